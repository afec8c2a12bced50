//! Who this command is to nodes: the options that say so, and what becomes of them.
//!
//! Nothing is read before it is needed. Who is in no cluster can still launch nodes by ssh, for those believe who launches them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use placehost::net::trust::identity::{Identity, IdentityError};
use placehost::{Allowed, NetworkConfig, NodeError};

use super::cluster;
use super::error::CliError;
use super::exit_code::ExitCode;
use super::parse;

/// Who we are to other nodes.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Other nodes")]
pub(crate) struct Options {
    /// Believe nodes with a certificate by an authority in this file, instead of those of the cluster.
    #[arg(long, value_name = "FILE", requires_all = ["cert", "key"])]
    ca: Option<PathBuf>,

    /// Show other nodes the certificate in this file, which leads to such an authority.
    #[arg(long, value_name = "FILE", requires_all = ["ca", "key"])]
    cert: Option<PathBuf>,

    /// The key of that certificate.
    #[arg(long, value_name = "FILE", requires_all = ["ca", "cert"])]
    key: Option<PathBuf>,

    /// Refuse the certificates that the authorities of --ca have revoked in this file, which is read again when it changes.
    #[arg(long, value_name = "FILE", requires = "ca")]
    crl: Option<PathBuf>,

    /// How long a node may be silent before it is lost.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse::silence)]
    pub(crate) timeout: Duration,
}

impl Options {
    /// Who this machine is to its cluster.
    ///
    /// # Errors
    /// It is in none, or what says so is unusable.
    pub(crate) fn identity(&self) -> Result<Identity, CliError> {
        match (&self.ca, &self.cert, &self.key) {
            (Some(ca), Some(cert), Some(key)) => Identity::from_files(ca, cert, key, self.crl.as_deref()).map_err(|error| explain(&error)),
            _ => {
                let folder = cluster::folder()?;
                Identity::load(&folder).map_err(|error| match error {
                    IdentityError::Missing(_) => no_cluster(&folder),
                    error => explain(&error),
                })
            }
        }
    }

    /// Whether the options name certificates.
    pub(crate) fn has_files(&self) -> bool {
        self.ca.is_some()
    }

    /// The network of a command that asks things of nodes in the cluster, and lets them do nothing here.
    ///
    /// # Errors
    /// As [`Self::identity`].
    pub(crate) fn member(&self) -> Result<NetworkConfig, CliError> {
        Ok(self.dials(NetworkConfig::new(Arc::new(self.identity()?))))
    }

    /// As [`Self::member`], but nothing is read before it is needed, and who is in no cluster has an identity of its own.
    pub(crate) fn anybody(&self) -> NetworkConfig {
        let options = self.clone();
        self.dials(NetworkConfig::lazy(move || options.any_identity().map(Arc::new)))
    }

    fn any_identity(&self) -> Result<Identity, NodeError> {
        if !self.has_files() && !cluster::folder().is_ok_and(|folder| folder.exists()) {
            return Ok(Identity::ephemeral());
        }
        // A folder that is there and cannot be used is not passed over in silence.
        self.identity().map_err(|error| NodeError::Invalid([&[error.message().to_owned()], error.causes()].concat().join(": ")))
    }

    fn dials(&self, mut config: NetworkConfig) -> NetworkConfig {
        config.timeout = self.timeout;
        config.policy.allowed = Allowed::NOTHING;
        config
    }
}

/// The error for who wants other nodes to believe it and is in no cluster.
fn no_cluster(folder: &Path) -> CliError {
    CliError::new(ExitCode::FAILED, format!("this machine is in no cluster: there is none in `{}`", folder.display()))
        .hint("`placehost cluster init` makes one")
        .hint("to join one: `placehost node --join TOKEN`, with a token that `placehost cluster invite` printed on its authority's machine")
        .hint("`--ca`, `--cert` and `--key` name certificates of your own")
}

/// An identity that cannot be had, as a sentence.
pub(crate) fn explain(error: &IdentityError) -> CliError {
    let cannot = CliError::new(ExitCode::FAILED, error.to_string());
    let cannot = std::error::Error::source(error).into_iter().fold(cannot, CliError::because);
    error.hint().into_iter().fold(cannot, CliError::hint)
}
