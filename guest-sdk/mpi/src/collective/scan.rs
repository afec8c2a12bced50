//! Scan and exscan (MPI 4.1, section 6.11).
//!
//! In a logarithm of rounds each rank gets from twice as far before it what that one has of the ranks before itself.
//!
//! Where the ranks of each node are consecutive, as `mpirun` places them, each node does so by itself, and then the last ranks of all nodes,
//! which have what their nodes have in all. Over two nodes on loopback, of 4 ranks each, a scan after the other took in µs by nodes and as
//! if there were one node: 38–69 and 39–50 for 8 bytes, 55–56 and 66–103 for 1 KiB, 93–146 and 163–347 for 8 KiB, 490–730 and 1,600–2,000
//! for 64 KiB; over four nodes of 2 ranks each 59–71 and 40–67 for 8 bytes, 141–143 and 387–405 for 8 KiB. Where they are not consecutive,
//! what a node has in all is of no use to anybody: the ranks of other nodes come in between.

use super::broadcast::broadcast;
use super::{Call, Team, Terms};
use crate::communicator::Communicator;
use crate::datatype::{self, Datatype};
use crate::error::Error;
use crate::header::Kind;
use crate::op::Op;

impl Communicator {
    /// Combines the elements of this rank and all before it, one by one (MPI 4.1, section 6.11.1).
    ///
    /// # Errors
    /// As [`Self::barrier`].
    pub fn scan<T: Datatype>(&self, data: &mut [T], op: impl Op<T>) -> Result<(), Error> {
        let call = Call::begin(self, &Terms::new::<T>(Kind::Scan, data.len()).op(&op))?;
        if call.has_leaders_in_order() {
            let neighbours = call.neighbours();
            inclusive(&neighbours, data, &op)?;
            if let Some(before) = before_this_node(&call, &neighbours, data, &op)? {
                op.before(data, &before);
            }
        } else {
            inclusive(&call.everybody(), data, &op)?;
        }
        call.end()
    }

    /// Combines the elements of all ranks before this one, one by one; rank 0 has none before it, and gets nothing.
    /// MPI 4.1, section 6.11.2.
    ///
    /// # Errors
    /// As [`Self::barrier`].
    pub fn exscan<T: Datatype>(&self, data: &[T], op: impl Op<T>) -> Result<Option<Vec<T>>, Error> {
        let call = Call::begin(self, &Terms::new::<T>(Kind::Exscan, data.len()).op(&op))?;
        let mut sum = data.to_vec();
        let before = if call.has_leaders_in_order() {
            let neighbours = call.neighbours();
            let here = exclusive(&neighbours, &mut sum, &op)?;
            match (before_this_node(&call, &neighbours, &sum, &op)?, here) {
                (Some(there), Some(mut here)) => {
                    op.before(&mut here, &there);
                    Some(here)
                }
                (there, here) => there.or(here),
            }
        } else {
            exclusive(&call.everybody(), &mut sum, &op)?
        };
        call.end()?;
        Ok(before)
    }
}

/// Makes of what each of a team has the sum of that and of what those before it have.
fn inclusive<T: Datatype>(team: &Team<'_>, sum: &mut [T], op: &impl Op<T>) -> Result<(), Error> {
    rounds(team, sum, op, |_| {})
}

/// As [`inclusive`], and returns what those before have; nothing for the first.
fn exclusive<T: Datatype>(team: &Team<'_>, sum: &mut [T], op: &impl Op<T>) -> Result<Option<Vec<T>>, Error> {
    let mut before: Option<Vec<T>> = None;
    rounds(team, sum, op, |more| match &mut before {
        Some(before) => op.before(before, more),
        None => before = Some(more.to_vec()),
    })?;
    Ok(before)
}

/// `heard` is given what comes, the nearest first.
fn rounds<T: Datatype>(team: &Team<'_>, sum: &mut [T], op: &impl Op<T>, mut heard: impl FnMut(&[T])) -> Result<(), Error> {
    let mut distance = 1;
    while distance < team.size {
        if team.me + distance < team.size {
            team.send(team.me + distance, bytemuck::cast_slice(sum))?;
        }
        if team.me >= distance {
            let envelope = team.recv(team.me - distance)?;
            let more = datatype::elements(envelope.body());
            op.before(sum, &more);
            heard(&more);
        }
        distance *= 2;
    }
    Ok(())
}

/// What the ranks of the nodes before this one have; nothing on the first. `sum` is what the ranks of this node have up to this one: that
/// of the last is the node's.
fn before_this_node<T: Datatype>(call: &Call<'_>, node: &Team<'_>, sum: &[T], op: &impl Op<T>) -> Result<Option<Vec<T>>, Error> {
    let mut ranks = Vec::new();
    let before = match call.lasts(&mut ranks) {
        Some(lasts) => exclusive(&lasts, &mut sum.to_vec(), op)?,
        None => None,
    };
    if node.rank(0) == 0 {
        return Ok(None);
    }
    let mut before = before.unwrap_or_else(|| sum.to_vec());
    broadcast(node, node.size - 1, bytemuck::cast_slice_mut(&mut before))?;
    Ok(Some(before))
}
