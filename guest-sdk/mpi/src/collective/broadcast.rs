//! Broadcast (MPI 4.1, section 6.4).
//!
//! Up to [`SEGMENT`] bytes go down a binomial tree. More go down a chain of all ranks in segments: every rank sends each byte once, so
//! that the first ranks are not busy for all others, and the ranks work at once.

use super::{Call, SEGMENT, Team, Terms, segments};
use crate::communicator::Communicator;
use crate::datatype::Datatype;
use crate::error::Error;
use crate::header::Kind;
use crate::tree::Binomial;

impl Communicator {
    /// Sends the elements of the root to all ranks, which have to have room for just as many (MPI 4.1, section 6.4).
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
    over_leaders(call, root, |team, root| broadcast(team, root, data))
}

/// Bytes of a length that only the root knows, from it to all, over each node's leader.
pub(super) fn of_any_length(call: &Call<'_>, root: usize, data: &mut Vec<u8>) -> Result<(), Error> {
    over_leaders(call, root, |team, root| any_length(team, root, data))
}

/// The teams that something goes through from one rank to all, and who of each has it.
fn over_leaders(call: &Call<'_>, root: usize, mut hop: impl FnMut(&Team<'_>, usize) -> Result<(), Error>) -> Result<(), Error> {
    if !call.has_several_nodes() {
        return hop(&call.everybody(), root);
    }
    let me = call.communicator.rank();
    let (node, leader) = call.node_of(root);
    if root != leader
        && let Some(number) = [root, leader].iter().position(|&rank| rank == me)
    {
        // The root's node has it first: its leader gets it beside the others, and once only.
        hop(&Team { call, ranks: Some(&[root, leader]), me: number, size: 2 }, 0)?;
    }
    if let Some(leaders) = call.leaders() {
        hop(&leaders, node)?;
    }
    let neighbours = call.neighbours();
    if root == leader || neighbours.rank(0) != leader {
        return hop(&neighbours, 0);
    }
    // To all of the root's node but the root, which has it.
    let others: Vec<usize> = (0..neighbours.size).map(|number| neighbours.rank(number)).filter(|&rank| rank != root).collect();
    let Some(number) = others.iter().position(|&rank| rank == me) else { return Ok(()) };
    hop(&Team { call, ranks: Some(&others), me: number, size: others.len() }, 0)
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

/// Bytes of a length that only the root knows, from one of a team to all of it: the first message says how many there are.
pub(super) fn any_length(team: &Team<'_>, root: usize, data: &mut Vec<u8>) -> Result<(), Error> {
    /// Before the bytes.
    const LENGTH: usize = size_of::<u64>();
    let tree = Binomial { rank: team.counted_from(root), size: team.size };
    let message;
    let head = match tree.parent() {
        None => {
            let first = &data[..data.len().min(SEGMENT - LENGTH)];
            [&(data.len() as u64).to_le_bytes(), first].concat()
        }
        Some(parent) => {
            message = team.recv(team.back(parent, root))?;
            message.body().to_vec()
        }
    };
    tree.children().rev().try_for_each(|child| team.send(team.back(child, root), &head))?;
    let strange = || Error::Mismatch("the first message of a broadcast does not say how long it is".into());
    let (length, first) = head.split_first_chunk::<LENGTH>().ok_or_else(strange)?;
    if tree.parent().is_some() {
        data.clear();
        data.extend_from_slice(first);
        data.resize(u64::from_le_bytes(*length) as usize, 0);
    }
    match &mut data[first.len()..] {
        [] => Ok(()),
        rest => broadcast(team, root, rest),
    }
}
