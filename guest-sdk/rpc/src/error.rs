//! What can go wrong with a call.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why a call has no result.
///
/// An error of the handler's own is none of these: a method that returns a `Result` has it as its result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server could not be reached.
    #[error("the server cannot be reached: {0}")]
    Connect(#[source] places::Error),
    /// The server is gone: it ended, or its node is lost. Whether it handled the call is not known.
    #[error("the server is lost: {0}")]
    Lost(#[source] places::Error),
    /// There was no answer within this time. The server has been told that nobody waits for it any more.
    #[error("there was no answer within {0:?}")]
    TimedOut(Duration),
    /// The server has no such method.
    #[error("the server has no method `{method}`; `{interface}` offers {}", list(.offers))]
    NoMethod {
        /// What was called.
        method: String,
        /// What the server calls its interface.
        interface: String,
        /// Its methods, with their parameters.
        offers: Vec<String>,
    },
    /// The arguments are not those of the method.
    #[error("`{method}` cannot be called so: {why}; `{interface}` offers {}", list(.offers))]
    BadArguments {
        /// What was called.
        method: String,
        /// What is wrong with the arguments.
        why: String,
        /// What the server calls its interface.
        interface: String,
        /// Its methods, with their parameters.
        offers: Vec<String>,
    },
    /// The server has another interface, or another version of it.
    #[error("the server has the interface `{interface}` in version {version}, not `{wanted}` in version {wanted_version}; it offers {}", list(.offers))]
    Interface {
        /// What the client expected.
        wanted: String,
        /// In which version.
        wanted_version: u32,
        /// What the server has.
        interface: String,
        /// In which version.
        version: u32,
        /// Its methods, with their parameters.
        offers: Vec<String>,
    },
    /// The handler panicked, with this message, and the server with it.
    #[error("the server panicked: {0}")]
    Panicked(String),
    /// The handler let go of its [`Reply`](crate::Reply) without an answer.
    #[error("the server gave no answer")]
    Unanswered,
    /// The call was cancelled before it was handled.
    #[error("the call was cancelled")]
    Cancelled,
    /// The request cannot be sent: it cannot be encoded, or is too large.
    #[error("the request cannot be sent: {0}")]
    Request(#[source] places::Error),
    /// The answer cannot be sent, or is not of the type that the client expects.
    #[error("the answer cannot be used: {0}")]
    Answer(String),
    /// The server could not handle a cast that this client sent before. The call that says so was not made.
    #[error("an earlier cast failed: {0}")]
    Cast(#[source] Box<Self>),
}

fn list(offers: &[String]) -> String {
    if offers.is_empty() { "nothing".into() } else { format!("`{}`", offers.join("`, `")) }
}

/// A [`CallError`] that the server tells, as it stands on the wire.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Failure {
    NoMethod { method: String, interface: String, offers: Vec<String> },
    BadArguments { method: String, why: String, interface: String, offers: Vec<String> },
    Interface { wanted: String, wanted_version: u32, interface: String, version: u32, offers: Vec<String> },
    Panicked(String),
    Unanswered,
    Cancelled,
    Answer(String),
}

impl From<Failure> for CallError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoMethod { method, interface, offers } => Self::NoMethod { method, interface, offers },
            Failure::BadArguments { method, why, interface, offers } => Self::BadArguments { method, why, interface, offers },
            Failure::Interface { wanted, wanted_version, interface, version, offers } => {
                Self::Interface { wanted, wanted_version, interface, version, offers }
            }
            Failure::Panicked(message) => Self::Panicked(message),
            Failure::Unanswered => Self::Unanswered,
            Failure::Cancelled => Self::Cancelled,
            Failure::Answer(why) => Self::Answer(why),
        }
    }
}
