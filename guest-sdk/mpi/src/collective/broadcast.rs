//! Broadcast (MPI 4.1, section 6.4).
//!
//! Up to [`SEGMENT`] bytes go down a binomial tree. More go down a chain of all ranks in segments: every rank sends each byte once, so
//! that the first ranks are not busy for all others, and the ranks work at once.

use super::{Call, SEGMENT, Team, Terms, fill, segments};
use crate::communicator::Communicator;
use crate::datatype::Datatype;
use crate::error::Error;
use crate::header::Kind;
use crate::tree::Binomial;

impl Communicator {
    /// Sends the elements of the root to all ranks, which have to have room for just as many.
    ///
    /// # Errors
    /// As [`Self::barrier`]; [`Error::NoRank`].
    pub fn broadcast<T: Datatype>(&self, data: &mut [T], root: usize) -> Result<(), Error> {
        let call = Call::begin(self, &Terms::new::<T>(Kind::Broadcast, data.len()).root(root))?;
        everywhere(&call, root, bytemuck::cast_slice_mut(data))?;
        call.end()
    }
}

/// From one rank to all, over each node's leader.
pub(super) fn everywhere(call: &Call<'_>, root: usize, data: &mut [u8]) -> Result<(), Error> {
    if !call.has_several_nodes() {
        return broadcast(&call.everybody(), root, data);
    }
    let me = call.communicator.rank();
    let (node, leader) = call.node_of(root);
    if root != leader {
        // The root's node has it first: its leader gets it beside the others, and once only.
        if me == root {
            call.send(leader, data)?;
        } else if me == leader {
            fill(data, &call.recv(root)?)?;
        }
    }
    if let Some(leaders) = call.leaders() {
        broadcast(&leaders, node, data)?;
    }
    let neighbours = call.neighbours();
    if neighbours.ranks.is_some_and(|ranks| ranks[0] == leader) && root != leader {
        return without(&neighbours, root, data);
    }
    broadcast(&neighbours, 0, data)
}

/// On the root's own node: to all but the root, which has it. The root stands last in the order, and nothing is sent to it.
fn without(team: &Team<'_>, root: usize, data: &mut [u8]) -> Result<(), Error> {
    let ranks = team.ranks.unwrap_or_default();
    let others: Vec<usize> = ranks.iter().copied().filter(|&rank| rank != root).collect();
    let me = team.rank(team.me);
    let Some(number) = others.iter().position(|&rank| rank == me) else { return Ok(()) };
    broadcast(&Team { call: team.call, ranks: Some(&others), me: number, size: others.len() }, 0, data)
}

/// From one of a team to all of it.
pub(super) fn broadcast(team: &Team<'_>, root: usize, data: &mut [u8]) -> Result<(), Error> {
    let number = team.counted_from(root);
    if data.len() <= SEGMENT || team.size <= 2 {
        let tree = Binomial { rank: number, size: team.size };
        for segment in segments(data.len(), 1) {
            let part = &mut data[segment];
            if let Some(parent) = tree.parent() {
                team.recv_into(team.back(parent, root), part)?;
            }
            tree.children().rev().try_for_each(|child| team.send(team.back(child, root), part))?;
        }
        return Ok(());
    }
    for segment in segments(data.len(), 1) {
        let part = &mut data[segment];
        if number > 0 {
            team.recv_into(team.back(number - 1, root), part)?;
        }
        if number + 1 < team.size {
            team.send(team.back(number + 1, root), part)?;
        }
    }
    Ok(())
}
