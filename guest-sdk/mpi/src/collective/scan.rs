//! Scan and exscan (MPI 4.1, section 6.11).
//!
//! In a logarithm of rounds each rank gets from twice as far before it what that one has of the ranks before itself. Where the ranks of
//! each node stand together, as `mpirun` places them, and there is much to send, each node does so by itself, and then the leaders with what
//! their nodes have in all.

use super::broadcast::broadcast;
use super::{Call, Team, Terms};
use crate::communicator::Communicator;
use crate::datatype::{self, Datatype};
use crate::error::Error;
use crate::header::Kind;
use crate::op::Op;

/// From this many bytes on it pays that they cross between nodes once, though a leader then waits for the last of its node. Over two nodes on
/// loopback, of 4 ranks each, one scan after the other: 8 bytes took 64–83 µs by nodes and 2–13 as if there were one node, 8 KiB 91–189 and
/// 105–147, 64 KiB 560–930 and 1,000–1,160, 1 MiB 12–14 ms and 19–28.
const LONG_BETWEEN_NODES: usize = 16 << 10;

impl Communicator {
    /// Combines the elements of this rank and all before it, one by one.
    ///
    /// # Errors
    /// As [`Self::barrier`].
    pub fn scan<T: Datatype>(&self, data: &mut [T], op: impl Op<T>) -> Result<(), Error> {
        let call = Call::begin(self, &Terms::new::<T>(Kind::Scan, data.len()).op(&op))?;
        if goes_by_nodes(&call, data) {
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
    ///
    /// # Errors
    /// As [`Self::barrier`].
    pub fn exscan<T: Datatype>(&self, data: &[T], op: impl Op<T>) -> Result<Option<Vec<T>>, Error> {
        let call = Call::begin(self, &Terms::new::<T>(Kind::Exscan, data.len()).op(&op))?;
        let mut sum = data.to_vec();
        let before = if goes_by_nodes(&call, data) {
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

/// Whether each node sums up by itself first: its ranks are consecutive, and there is more to send than to wait for.
fn goes_by_nodes<T: Datatype>(call: &Call<'_>, data: &[T]) -> bool {
    let (nodes, size) = (call.communicator.by_node(), call.communicator.size());
    (2..size).contains(&nodes.len()) && size_of_val(data) >= LONG_BETWEEN_NODES && nodes.iter().flatten().copied().eq(0..size)
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

/// What the ranks of the nodes before this one have; nothing on the first. `sum` is what the ranks of this node have up to this one.
fn before_this_node<T: Datatype>(call: &Call<'_>, node: &Team<'_>, sum: &[T], op: &impl Op<T>) -> Result<Option<Vec<T>>, Error> {
    let last = node.size - 1;
    if node.me == last && last > 0 {
        node.send(0, bytemuck::cast_slice(sum))?;
    }
    let mut data = sum.to_vec();
    let mut before = None;
    if let Some(leaders) = call.leaders() {
        if last > 0 {
            node.recv_into(last, bytemuck::cast_slice_mut(&mut data))?;
        }
        before = exclusive(&leaders, &mut data, op)?;
    }
    if call.node_of(call.communicator.rank()).0 == 0 {
        return Ok(None);
    }
    let mut before = before.unwrap_or(data);
    broadcast(node, 0, bytemuck::cast_slice_mut(&mut before))?;
    Ok(Some(before))
}
