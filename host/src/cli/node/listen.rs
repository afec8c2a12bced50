//! Who a node is, and where it listens.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use placehost::net::address::DEFAULT_PORT;
use placehost::net::trust::authority::AuthorityError;
use placehost::net::trust::certificate::Name;
use placehost::net::trust::clock::Moment;
use placehost::net::trust::identity::Identity;
use placehost::net::trust::join::{JoinError, join, renew};
use placehost::net::trust::membership::Membership;
use placehost::net::trust::token::Token;
use placehost::{Host, NetworkConfig, NodeError, Policy};

use super::Serve;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::{cluster, terminal};

/// Who the node is: of its cluster, which it joins first if it shall.
pub(super) async fn identity(args: &Serve) -> Result<Identity, CliError> {
    if let Some(token) = &args.join {
        let folder = cluster::folder()?;
        let member = membership(&folder, token)?;
        let own = member.as_ref().and_then(|member| member.node.name().parse().ok());
        let name = args.name.clone().or(own).unwrap_or_else(Name::of_this_machine);
        let joined = match &member {
            None => Some(join(token, &name, &folder).await),
            Some(member) if member.is_due(Moment::now()) && !member.is_authority => Some(renew(token, &name, &folder).await),
            Some(_) => None,
        };
        if let Some(joined) = joined {
            return joined.map_err(|error| explain_join(&error));
        }
        tracing::info!("the token is not needed: this machine is in its cluster already");
    }
    args.network.identity()
}

/// What this machine is in the cluster of the token, if it is in it. That makes a command with a token one that can be repeated.
fn membership(folder: &Path, token: &Token) -> Result<Option<Membership>, CliError> {
    match Membership::read(folder) {
        Ok(found) if found.authority.fingerprint() == token.authority() => Ok(Some(found)),
        Ok(_) => Err(explain_join(&JoinError::Taken(folder.to_owned()))),
        Err(AuthorityError::Missing { .. }) => Ok(None),
        Err(error) => Err(cluster::explain(&error)),
    }
}

fn explain_join(error: &JoinError) -> CliError {
    let cannot = CliError::new(ExitCode::FAILED, error.to_string());
    let cannot = std::error::Error::source(error).into_iter().fold(cannot, CliError::because);
    let cannot = match error {
        JoinError::Unreachable { tried } => tried.iter().fold(cannot, CliError::cause),
        _ => cannot,
    };
    error.hint().into_iter().fold(cannot, CliError::hint)
}

/// Whose members it believes, for people.
pub(super) fn trusted(identity: &Identity) -> String {
    let authority = identity.roots().first().expect("whoever has a certificate believes somebody");
    format!("`{}` ({})", authority.name(), authority.fingerprint().short())
}

pub(super) fn config(args: &Serve, identity: Identity, policy: Policy, modules: Option<PathBuf>) -> NetworkConfig {
    let mut config = NetworkConfig::new(Arc::new(identity));
    let port = if args.bootstrap { args.listen_port } else { DEFAULT_PORT };
    config.listen = Some(args.listen.unwrap_or_else(|| everywhere(port)));
    config.advertise.clone_from(&args.advertise);
    config.timeout = args.network.timeout;
    config.policy = policy;
    config.modules = modules;
    config
}

/// All addresses of this machine: those of IPv4 too where there is IPv6.
fn everywhere(port: u16) -> SocketAddr {
    match UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)) {
        Ok(_) => (Ipv6Addr::UNSPECIFIED, port).into(),
        Err(_) => (Ipv4Addr::UNSPECIFIED, port).into(),
    }
}

/// Lets others connect; returns where they are told that they can.
pub(super) async fn listen(host: &Host) -> Result<Vec<String>, CliError> {
    host.listen().await.map_err(|error| {
        let cannot = CliError::new(ExitCode::FAILED, error.to_string());
        let cannot = std::error::Error::source(&error).into_iter().fold(cannot, CliError::because);
        match &error {
            NodeError::Listen { source, .. } => cannot.hint(match source.kind() {
                ErrorKind::AddrInUse => "another program has that UDP port, perhaps another node; `--listen ADDRESS:PORT` names another",
                ErrorKind::AddrNotAvailable => "`ip address` shows the addresses of this machine",
                ErrorKind::PermissionDenied => "ports below 1024 are not every user's; `--listen ADDRESS:PORT` names another",
                _ => "`--listen ADDRESS:PORT` names another address",
            }),
            _ => cannot,
        }
    })
}

/// Says that the node is there.
pub(super) fn say(host: &Host, trusted: &str) {
    let node = host.this_node();
    let address = host.local_address().map(|address| address.to_string()).unwrap_or_default();
    terminal::say(&format_args!("Node `{}` ({}) listens on {address} for the cluster {trusted}", node.name(), node.id()));
}
