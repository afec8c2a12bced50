//! `types`: the host's errors and reasons, in the words of the contract.

use crate::bindings::places::core::types::{Error, ExitReason, Host, NodeId, PlaceId, Trap};
use crate::channel::{GetError, MAX_MESSAGE, OverBudget, PutError};
use crate::node::NodeError;
use crate::place::{LookupError, SpawnError, State};
use crate::{id, place};

impl Host for State {}

impl From<PutError> for Error {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Closed => Self::Closed,
            PutError::NodeLost => Self::NodeLost,
            PutError::Full => Self::WouldBlock,
            PutError::TooLarge => Self::TooLarge(MAX_MESSAGE as u64),
            PutError::OverBudget(error) => error.into(),
            PutError::ToItself => Self::Invalid(error.to_string()),
        }
    }
}

impl From<OverBudget> for Error {
    fn from(error: OverBudget) -> Self {
        Self::Limit(error.to_string())
    }
}

impl From<GetError> for Error {
    fn from(error: GetError) -> Self {
        match error {
            GetError::Closed => Self::Closed,
            GetError::NodeLost => Self::NodeLost,
        }
    }
}

impl From<LookupError> for Error {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::NoName { .. } | LookupError::NoPlace { .. } | LookupError::NoNode { .. } => Self::NotFound(error.to_string()),
            LookupError::Full { .. } | LookupError::OverBudget { .. } => Self::Limit(chain(&error)),
            LookupError::NodeLost => Self::NodeLost,
            LookupError::Refused(why) => Self::Denied(why),
        }
    }
}

impl From<NodeError> for Error {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Unreachable { .. } | NodeError::Version(_) | NodeError::Create(_) => Self::Unreachable(error.to_string()),
            NodeError::Denied(_) | NodeError::Untrusted(_) | NodeError::NoNetwork => Self::Denied(error.to_string()),
            NodeError::Lost => Self::NodeLost,
            NodeError::Listen { .. } => Self::Invalid(error.to_string()),
            NodeError::Invalid(why) => Self::Invalid(why),
        }
    }
}

impl From<SpawnError> for Error {
    fn from(error: SpawnError) -> Self {
        match error {
            SpawnError::NoStart { ref has, .. } if has.is_empty() => Self::NotFound(format!("{error}; it has none")),
            SpawnError::NoStart { ref has, .. } => Self::NotFound(format!("{error}; it has `{}`", has.join("`, `"))),
            SpawnError::BadStart { .. } | SpawnError::BadModule(_) => Self::BadModule(error.to_string()),
            SpawnError::TooManyPlaces { .. }
            | SpawnError::Memory { .. }
            | SpawnError::OverBudget(_)
            | SpawnError::TooLargeModule { .. }
            | SpawnError::Limit(_) => Self::Limit(error.to_string()),
            SpawnError::NoFuel | SpawnError::NoPreemption | SpawnError::Ending | SpawnError::Refused(_) => Self::Denied(error.to_string()),
            SpawnError::Scratch(ref cause) if cause.is_full() => Self::Limit(chain(cause)),
            SpawnError::Scratch(ref cause) => Self::Denied(chain(cause)),
            SpawnError::Setup(_) => Self::Denied(chain(&error)),
            SpawnError::NotFound(text) => Self::NotFound(text),
            SpawnError::NameTaken { .. } | SpawnError::Exists(_) => Self::Exists(error.to_string()),
            SpawnError::BadName { .. } => Self::Invalid(error.to_string()),
            SpawnError::NodeLost => Self::NodeLost,
        }
    }
}

impl From<place::ExitReason> for ExitReason {
    fn from(reason: place::ExitReason) -> Self {
        match reason {
            place::ExitReason::Returned => Self::Returned,
            place::ExitReason::Exited(code) => Self::Exited(code),
            place::ExitReason::Failed(error) => Self::Failed(error.to_string()),
            place::ExitReason::Trapped { message, backtrace } => {
                Self::Trapped(Trap { message: message.to_string(), backtrace: backtrace.to_string() })
            }
            place::ExitReason::Killed => Self::Killed,
            place::ExitReason::NodeLost => Self::NodeLost,
            place::ExitReason::Linked(which) => Self::Linked(which.to_string()),
            place::ExitReason::Limit(which) => Self::Limit(which.to_string()),
        }
    }
}

impl From<id::PlaceId> for PlaceId {
    fn from(id: id::PlaceId) -> Self {
        Self { node: id.node.into(), seq: id.seq }
    }
}

impl From<PlaceId> for id::PlaceId {
    fn from(PlaceId { node, seq }: PlaceId) -> Self {
        Self { node: id::NodeId(u128::from(node.hi) << 64 | u128::from(node.lo)), seq }
    }
}

impl From<id::NodeId> for NodeId {
    fn from(id::NodeId(id): id::NodeId) -> Self {
        Self { hi: (id >> 64) as u64, lo: id as u64 }
    }
}

/// An error and its causes on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
