//! `types`: the host's errors and reasons, in the words of the contract.

use crate::bindings::places::core::types::{Error, ExitReason, Host, NodeId, PlaceId, Trap};
use crate::channel::{GetError, MAX_MESSAGE, OverBudget, PutError};
use crate::place::State;
use crate::{id, place};

impl Host for State {}

impl From<PutError> for Error {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Closed | PutError::NodeLost => Self::Closed,
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
    fn from(_: GetError) -> Self {
        Self::Closed
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
            // Contract 0.1 has no words for what follows from other places and nodes.
            place::ExitReason::Killed | place::ExitReason::NodeLost | place::ExitReason::Linked(_) => Self::Killed,
            place::ExitReason::Limit(which) => Self::Limit(which.to_string()),
        }
    }
}

impl From<id::PlaceId> for PlaceId {
    fn from(id: id::PlaceId) -> Self {
        let id::PlaceId { node: id::NodeId(node), seq } = id;
        Self { node: NodeId { hi: (node >> 64) as u64, lo: node as u64 }, seq }
    }
}
