//! What a child leaves to its successor.

use places::Channel;
use serde::{Deserialize, Serialize};

/// What a child that keeps a state is started with; see [`Child::keeping`](crate::Child::keeping). It can be sent: mostly it is the first
/// message of the child's channel, or a part of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "S: Serialize", deserialize = "S: Deserialize<'de>"))]
pub struct Kept<S> {
    /// What the one before it put last; nothing for the first.
    pub last: Option<S>,
    /// Of all that is put here, the next one gets the last. It survives the child, but not its supervisor; where the child's node is
    /// lost, what was under way is lost with it.
    pub keeper: Channel<(), S>,
}
