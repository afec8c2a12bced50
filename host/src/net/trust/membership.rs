//! What the folder of a machine says of its cluster, for people: also where the node could not start any more.

use std::path::Path;

use super::authority::{AUTHORITY, Authority, AuthorityError, NODE};
use super::certificate::Certificate;
use super::clock::Moment;
use super::folder::Folder;
use super::invite::Invite;
use super::revocation::{self, List};

/// A machine's part in a cluster.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Membership {
    /// Who signs.
    pub authority: Certificate,
    /// Whether it signs on this machine.
    pub is_authority: bool,
    /// The machine's own certificate.
    pub node: Certificate,
    /// Certificates that have not expired; known only to the authority.
    pub members: Vec<Member>,
    /// Invitations that are outstanding; known only to the authority.
    pub invites: Vec<Invite>,
    /// The serial numbers of what is revoked, in hexadecimal digits and in order.
    pub revoked: Vec<String>,
}

/// A certificate that the authority has signed.
#[derive(Clone, Debug)]
pub struct Member {
    /// The certificate.
    pub certificate: Certificate,
    /// Whether it was revoked since.
    pub revoked: bool,
}

impl Membership {
    /// Whether this machine needs a new certificate, by a new token: its own has expired, is about to, or was revoked.
    pub fn is_due(&self, now: Moment) -> bool {
        self.node.is_due(now) || self.revoked.contains(&self.node.serial())
    }

    /// What is in a folder. Whether certificates are valid now is not looked at.
    ///
    /// # Errors
    /// [`AuthorityError::Missing`]: the machine is in no cluster; [`AuthorityError::Damaged`], [`AuthorityError::List`],
    /// [`AuthorityError::Folder`].
    pub fn read(path: &Path) -> Result<Self, AuthorityError> {
        let missing = || AuthorityError::Missing { path: path.to_owned() };
        if !path.exists() {
            return Err(missing());
        }
        let folder = Folder::open(path)?;
        let certificate = |name: &str| {
            let pem = folder.read(name)?.ok_or_else(missing)?;
            let damaged = |error| AuthorityError::Damaged { path: path.join(name), source: Some(error) };
            Ok::<_, AuthorityError>(Certificate::from_pem(&pem).map_err(damaged)?.swap_remove(0))
        };
        let (authority, node) = (certificate(AUTHORITY)?, certificate(NODE)?);
        let list = folder.read(revocation::FILE)?.map(|der| List::verify(&der, std::slice::from_ref(&authority))).transpose()?;
        let serials = list.map(|list| list.serials).unwrap_or_default();
        let signer = match Authority::load(path) {
            Ok(signer) => Some(signer),
            Err(AuthorityError::Missing { .. }) => None,
            Err(error) => return Err(error),
        };
        let members = signer.as_ref().map_or(Ok(Vec::new()), Authority::members)?;
        let invites = signer.as_ref().map_or(Ok(Vec::new()), Authority::invites)?;
        let member = |certificate: Certificate| Member { revoked: serials.contains(certificate.raw_serial()), certificate };
        let hex = |serial: &Vec<u8>| serial.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut revoked: Vec<String> = serials.iter().map(hex).collect();
        revoked.sort();
        Ok(Self { is_authority: signer.is_some(), members: members.into_iter().map(member).collect(), authority, node, invites, revoked })
    }
}
