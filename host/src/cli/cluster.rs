//! `placehost cluster`: which machines belong together.
//!
//! A cluster is a certificate authority. All of it lies in one folder of this user; what each file is, `net/authority.rs` says.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use placehost::net::address::{Address, DEFAULT_PORT};
use placehost::net::trust::FolderError;
use placehost::net::trust::authority::{Authority, AuthorityError, RevokeError};
use placehost::net::trust::certificate::{Certificate, Name};
use placehost::net::trust::membership::{Member, Membership};
use placehost::net::trust::token::MAX_ADDRESSES;
use serde_json::{Value, json};

use super::error::CliError;
use super::exit_code::ExitCode;
use super::parse;
use super::terminal::{self, row};

/// Say which machines belong together: their nodes believe each other, and nobody else.
///
/// A cluster is a certificate authority. It lies in the folder that PLACEHOST_HOME names, else in `placehost` in XDG_CONFIG_HOME, else
/// in ~/.config/placehost. The machine where it was made signs the others' certificates, so its folder is worth a backup.
#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES)]
pub(crate) enum Command {
    Init(Init),
    Invite(Invite),
    Show(Show),
    Revoke(Revoke),
}

const EXAMPLES: &str = "\
Examples:
  placehost cluster init --name lab         Make a cluster; its authority is this machine
  placehost cluster invite                  Print a token, for one other machine and one hour
  placehost node --join ph1-…               There: join by it
  placehost cluster show                    Say who belongs to it
  placehost cluster revoke host2            Believe a machine no longer";

/// Make a cluster: an authority, valid for ten years, and a certificate for this machine, valid for one.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  placehost cluster init\n  placehost cluster init --name lab --node host1")]
pub(crate) struct Init {
    /// What the cluster is called.
    #[arg(long, default_value = "cluster")]
    name: Name,

    /// What this machine is called in it, instead of its host name.
    #[arg(long, value_name = "NAME")]
    node: Option<Name>,
}

/// Print a token by which one other machine can join, once.
///
/// Whoever has the token can use it, so carry it like a password. The machine that joins connects to a node that runs here.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  placehost cluster invite\n  placehost cluster invite --address host1.example.org --expires 10m")]
pub(crate) struct Invite {
    /// Where the node here can be reached, as HOST or HOST:PORT; by default the addresses of this machine that lead out of it, and
    /// port 6340. Several are tried at once.
    #[arg(long = "address", value_name = "ADDRESS")]
    addresses: Vec<Address>,

    /// How long the token can be used, such as 10m or 2h; at most 30 days.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse::duration)]
    expires: Duration,
}

/// Say which cluster this machine is in, and who else is.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  placehost cluster show\n  placehost cluster show --json | jq -r '.members[].name'")]
pub(crate) struct Show {
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Believe a machine no longer: all certificates that have its name, or a fingerprint that begins so.
///
/// Nodes on this machine know at once, others when they next meet one that knows.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  placehost cluster revoke host2\n  placehost cluster revoke 0f3c88a1")]
pub(crate) struct Revoke {
    /// A name, or at least the first 8 digits of a fingerprint, as `placehost cluster show` has them.
    #[arg(value_name = "NAME|FINGERPRINT")]
    which: String,
}

/// Tokens are to be used soon after they were made.
const LONGEST_INVITE: Duration = Duration::from_secs(30 * 24 * 3600);

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// There is no cluster, or there is one already; or its folder is unusable.
    pub(crate) fn run(self) -> Result<ExitCode, CliError> {
        let folder = folder()?;
        match self {
            Self::Init(args) => init(&folder, args),
            Self::Invite(args) => invite(&folder, args),
            Self::Show(args) => show(&folder, &args),
            Self::Revoke(args) => revoke(&folder, &args),
        }
        .map(|()| ExitCode::SUCCESS)
    }
}

/// The folder of this user's cluster: `$PLACEHOST_HOME`, else `$XDG_CONFIG_HOME/placehost`, else `~/.config/placehost`.
///
/// # Errors
/// None of them is set.
pub(crate) fn folder() -> Result<PathBuf, CliError> {
    among(|name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)).ok_or_else(|| {
        CliError::new(ExitCode::FAILED, "there is no folder for the cluster: this user has no home").hint("export PLACEHOST_HOME=FOLDER")
    })
}

fn among(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    variable("PLACEHOST_HOME").or_else(|| {
        // The XDG Base Directory Specification says that a relative path is to be ignored.
        let xdg = variable("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
        Some(xdg.or_else(|| Some(variable("HOME")?.join(".config")))?.join("placehost"))
    })
}

fn init(folder: &Path, args: Init) -> Result<(), CliError> {
    let node = args.node.unwrap_or_else(Name::of_this_machine);
    let authority = Authority::create(folder, &args.name, &node).map_err(|error| explain(&error))?;
    let fingerprint = authority.certificate().fingerprint();
    terminal::say(&format_args!("Made the cluster `{}` in `{}`; its authority is {fingerprint}. Next:\n", args.name, folder.display()));
    terminal::say(&"    placehost cluster invite");
    Ok(())
}

fn invite(folder: &Path, args: Invite) -> Result<(), CliError> {
    let usage = |message: String| CliError::new(ExitCode::USAGE, message);
    if args.expires > LONGEST_INVITE {
        return Err(usage("a token can be used for at most 30 days".into()).hint("make another when the machine is ready to join"));
    }
    if args.addresses.len() > MAX_ADDRESSES {
        return Err(usage(format!("a token has at most {MAX_ADDRESSES} addresses")));
    }
    let authority = Authority::load(folder).map_err(|error| explain(&error))?;
    let addresses = if args.addresses.is_empty() { Address::of_this_machine(DEFAULT_PORT) } else { args.addresses };
    if addresses.is_empty() {
        let error = CliError::new(ExitCode::FAILED, "this machine has no address that leads out of it");
        return Err(error.hint("name one where the node here can be reached: `--address HOST`"));
    }
    let token = authority.invite(addresses, args.expires).map_err(|error| explain(&error))?;
    terminal::answer(&token)
}

fn show(folder: &Path, args: &Show) -> Result<(), CliError> {
    let found = Membership::read(folder).map_err(|error| explain(&error))?;
    match args.json {
        true => terminal::answer(&to_json(&found)),
        false => terminal::answer(&Table(&found)),
    }
}

fn revoke(folder: &Path, args: &Revoke) -> Result<(), CliError> {
    let authority = Authority::load(folder).map_err(|error| explain(&error))?;
    let revoked = authority.revoke(&args.which).map_err(|error| explain_revoke(&error))?;
    // A fingerprint may have named more than was meant, so it is said.
    revoked.iter().for_each(|certificate| terminal::say(&format_args!("Revoked {}", Named(certificate))));
    Ok(())
}

/// An authority that cannot be had, as a sentence.
pub(crate) fn explain(error: &AuthorityError) -> CliError {
    let cannot = |message: String| CliError::new(ExitCode::FAILED, message);
    match error {
        AuthorityError::Taken { .. } => cannot(error.to_string())
            .hint("`placehost cluster show` says which")
            .hint("for another, name another folder: `export PLACEHOST_HOME=FOLDER`"),
        AuthorityError::Missing { path } if path.join("node.pem").exists() => {
            cannot(format!("the authority of this cluster is another machine: its key is not in `{}`", path.display()))
                .hint("run this on the machine where `placehost cluster init` was run")
        }
        AuthorityError::Missing { path } => cannot(format!("this machine is in no cluster: there is none in `{}`", path.display()))
            .hint("`placehost cluster init` makes one")
            .hint("to join one: `placehost node --join TOKEN`, with a token that `placehost cluster invite` printed on its authority's machine"),
        AuthorityError::Folder(error) => explain_folder(error),
        error => cannot("the folder of the cluster is damaged".into()).because(error).hint("restore it from a backup, or begin another: `export PLACEHOST_HOME=FOLDER`"),
    }
}

fn explain_folder(error: &FolderError) -> CliError {
    let cannot = CliError::new(ExitCode::FAILED, error.to_string());
    match error {
        FolderError::Io { source, .. } => cannot.because(source).hint("export PLACEHOST_HOME=FOLDER, to keep the cluster elsewhere"),
        error => error.hint().into_iter().fold(cannot, CliError::hint),
    }
}

fn explain_revoke(error: &RevokeError) -> CliError {
    let cannot = CliError::new(ExitCode::FAILED, error.to_string());
    match error {
        RevokeError::Authority(error) => explain(error),
        RevokeError::Unknown { names, .. } => {
            cannot.hint(format!("there are certificates of {}", super::explain::list(names.iter().map(String::as_str))))
        }
        RevokeError::Own(_) => {
            cannot.hint("if its keys were stolen, so was the authority's: make another cluster, and let the others join it")
        }
        RevokeError::Already(_) => cannot.hint("`placehost cluster show` has the list"),
        _ => cannot,
    }
}

/// A certificate in a line.
struct Named<'a>(&'a Certificate);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}), valid until {}", self.0.name(), self.0.fingerprint().short(), self.0.until())
    }
}

fn certificate_json(certificate: &Certificate) -> Value {
    json!({
        "name": certificate.name(),
        "fingerprint": certificate.fingerprint().to_string(),
        "serial": certificate.serial(),
        "from": certificate.from().rfc3339(),
        "until": certificate.until().rfc3339(),
    })
}

fn to_json(found: &Membership) -> Value {
    let member = |member: &Member| {
        let mut value = certificate_json(&member.certificate);
        value["revoked"] = member.revoked.into();
        value
    };
    let invite = |invite: &placehost::net::trust::invite::Invite| json!({"fingerprint": invite.fingerprint.to_string(), "expires": invite.expires.rfc3339()});
    json!({
        "authority": certificate_json(&found.authority),
        "is_authority": found.is_authority,
        "node": certificate_json(&found.node),
        "members": found.members.iter().map(member).collect::<Vec<_>>(),
        "invites": found.invites.iter().map(invite).collect::<Vec<_>>(),
        "revoked": found.revoked,
    })
}

/// What was found, for people.
struct Table<'a>(&'a Membership);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Membership { authority, is_authority, node, members, invites, revoked, .. } = self.0;
        let member = |member: &Member| format!("{}{}", Named(&member.certificate), if member.revoked { "; revoked" } else { "" });
        let mut text = String::new();
        row(&mut text, "cluster", [authority.name()])?;
        row(&mut text, "authority", [authority.fingerprint()])?;
        row(&mut text, "", [if *is_authority { "this machine" } else { "another machine" }])?;
        row(&mut text, "node", [node.name()])?;
        row(&mut text, "key", [node.fingerprint()])?;
        row(&mut text, "serial", [node.serial()])?;
        row(&mut text, "valid", [format!("{} to {}", node.from(), node.until())])?;
        row(&mut text, "members", members.iter().map(member))?;
        row(&mut text, "invites", invites.iter().map(|invite| format!("{}, until {}", invite.fingerprint.short(), invite.expires)))?;
        row(&mut text, "revoked", revoked)?;
        f.write_str(text.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_where_the_environment_says() {
        let among = |variables: &[(&str, &str)]| {
            among(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value)))
        };
        assert_eq!(among(&[]), None);
        assert_eq!(among(&[("HOME", "/h")]), Some("/h/.config/placehost".into()));
        assert_eq!(among(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]), Some("/x/placehost".into()));
        assert_eq!(among(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "x")]), Some("/h/.config/placehost".into()));
        assert_eq!(among(&[("HOME", "/h"), ("PLACEHOST_HOME", "c")]), Some("c".into()));
    }
}
