//! Invitations that are outstanding: a file for each, in the folder of the authority that made it.
//!
//! A file is named after the fingerprint of the joiner's key and holds when the invitation expires. To redeem one is to take its file
//! away, which one of many who try at once can do.

use super::certificate::Fingerprint;
use super::clock::Moment;
use super::folder::{Folder, FolderError};

/// The invitations of one authority.
#[derive(Debug)]
pub(super) struct Invites {
    folder: Folder,
}

/// Why somebody with a token may not join.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InviteError {
    /// It was used, or withdrawn, or never made.
    #[error("the token was used already, or is of another cluster")]
    Unknown,
    /// It was not used in time.
    #[error("the token expired at {0}")]
    Expired(Moment),
    /// The system would not say.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// One that has not been used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invite {
    /// The fingerprint of the joiner's key.
    pub fingerprint: Fingerprint,
    /// The last second in which it is accepted.
    pub expires: Moment,
}

impl Invites {
    /// Those in a folder of an authority.
    pub(super) fn of(folder: &Folder) -> Result<Self, FolderError> {
        Ok(Self { folder: folder.inner("invites")? })
    }

    /// Adds one, and forgets those that have expired.
    pub(super) fn add(&self, invite: Invite) -> Result<(), FolderError> {
        let now = Moment::now();
        for old in self.all()?.iter().filter(|old| old.expires < now) {
            self.folder.take(&old.fingerprint.to_string())?;
        }
        self.folder.write(&invite.fingerprint.to_string(), invite.expires.0.to_string().as_bytes())
    }

    /// All of them, the expired among them.
    pub(super) fn all(&self) -> Result<Vec<Invite>, FolderError> {
        let names = self.folder.names()?;
        let invite = |name: &String| {
            let fingerprint = parse(name)?;
            Some(self.expiry(fingerprint).transpose()?.map(|expires| Invite { fingerprint, expires }))
        };
        names.iter().filter_map(invite).collect()
    }

    /// Whether a joiner with this key may come in. It is asked again when the invitation is redeemed.
    pub(super) fn check(&self, fingerprint: Fingerprint) -> Result<(), InviteError> {
        match self.expiry(fingerprint)? {
            None => Err(InviteError::Unknown),
            Some(expires) if expires < Moment::now() => Err(InviteError::Expired(expires)),
            Some(_) => Ok(()),
        }
    }

    /// Takes the invitation away. Success is had once, however many try.
    pub(super) fn redeem(&self, fingerprint: Fingerprint) -> Result<(), InviteError> {
        self.check(fingerprint)?;
        if self.folder.take(&fingerprint.to_string())? { Ok(()) } else { Err(InviteError::Unknown) }
    }

    fn expiry(&self, fingerprint: Fingerprint) -> Result<Option<Moment>, FolderError> {
        let content = match self.folder.read(&fingerprint.to_string()) {
            // It was taken between two looks at it.
            Err(FolderError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
            content => content?,
        };
        // What cannot be read has expired.
        let seconds = |content: Vec<u8>| std::str::from_utf8(&content).ok()?.trim().parse().ok();
        Ok(content.map(|content| Moment(seconds(content).unwrap_or(0))))
    }
}

/// A fingerprint in full.
fn parse(text: &str) -> Option<Fingerprint> {
    let digits = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    digits.then_some(Fingerprint(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_is_redeemed_once_and_in_time() {
        let above = tempfile::tempdir().expect("there is room");
        let invites = Invites::of(&Folder::make(&above.path().join("a")).expect("it can be made")).expect("it can be made");
        let (fresh, stale) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        let hour = std::time::Duration::from_secs(3600);
        invites.add(Invite { fingerprint: stale, expires: Moment::now().before(hour) }).expect("it can be written");
        assert!(matches!(invites.redeem(stale), Err(InviteError::Expired(_))));
        invites.add(Invite { fingerprint: fresh, expires: Moment::now().after(hour) }).expect("it can be written");
        assert_eq!(invites.all().expect("they can be listed").len(), 1, "the expired one is forgotten");
        assert!(invites.redeem(fresh).is_ok());
        assert!(matches!(invites.redeem(fresh), Err(InviteError::Unknown)));
    }
}
