//! Allgather and allgatherv (MPI 4.1, section 6.7).
//!
//! Short blocks: where all ranks share a node, up a binomial tree and down again, which are the fewest messages. Longer ones go around a
//! ring, where each rank sends what it received last. Between nodes the leaders exchange their nodes' blocks by Bruck's algorithm, or
//! around a ring; those of any lengths each with each, and spread them.

use super::alltoall::pairwise;
use super::broadcast::{any_length, broadcast};
use super::bundle::{self, Blocks};
use super::gather::{gather, place};
use super::{Call, Team, Terms, fill};
use crate::communicator::Communicator;
use crate::datatype::{self, Datatype};
use crate::error::Error;
use crate::header::Kind;
use crate::matching::Envelope;

/// Up to this many bytes of all blocks the number of messages costs more than their length: over 4 ranks of one node the tree took 44 µs
/// for 32 KiB and the ring 65; and 348 and 301 for 256 KiB.
const SHORT: usize = 128 << 10;

impl Communicator {
    /// Collects equally many elements of each rank at all ranks, in the order of the ranks (MPI 4.1, section 6.7).
    ///
    /// # Errors
    /// As [`Self::barrier`].
    pub fn allgather<T: Datatype>(&self, data: &[T]) -> Result<Vec<T>, Error> {
        let call = Call::begin(self, &Terms::new::<T>(Kind::Allgather, data.len()))?;
        let mut all = vec![T::zeroed(); data.len() * self.size()];
        let (mine, room) = (bytemuck::cast_slice(data), bytemuck::cast_slice_mut(&mut all));
        if call.has_several_nodes() {
            over_leaders(&call, mine, room)?;
        } else if size_of_val(&*room) <= SHORT {
            gather(&call.everybody(), 0, mine, if self.rank() == 0 { room } else { &mut [] })?;
            broadcast(&call.everybody(), 0, room)?;
        } else {
            ring(&call.everybody(), mine, room)?;
        }
        call.end()?;
        Ok(all)
    }

    /// Collects what each rank gives, of any length, at all ranks (MPI 4.1, section 6.7).
    ///
    /// # Errors
    /// As [`Self::barrier`].
    pub fn allgatherv<T: Datatype>(&self, data: &[T]) -> Result<Vec<Vec<T>>, Error> {
        let call = Call::begin(self, &Terms::new::<T>(Kind::Allgather, data.len()).varying())?;
        let mut blocks = vec![Vec::new(); self.size()];
        varying(&call, bytemuck::cast_slice(data), |rank, block| blocks[rank] = datatype::elements(block).into_owned())?;
        call.end()?;
        blocks[self.rank()] = data.to_vec();
        Ok(blocks)
    }
}

/// Blocks of any lengths; each but this rank's own is given with its rank.
pub(super) fn varying(call: &Call<'_>, mine: &[u8], mut found: impl FnMut(usize, &[u8])) -> Result<(), Error> {
    if !call.has_leaders() {
        let blocks = around(&call.everybody(), mine)?;
        blocks.iter().enumerate().for_each(|(rank, block)| block.iter().for_each(|block| found(rank, block.body())));
        return Ok(());
    }
    let neighbours = call.neighbours();
    let mut all = Vec::with_capacity(mine.len() + 8);
    bundle::add(&mut all, mine)?;
    if neighbours.me > 0 {
        neighbours.send(0, &all)?;
    }
    if let Some(leaders) = call.leaders() {
        for number in 1..neighbours.size {
            all.extend_from_slice(neighbours.recv(number)?.body());
        }
        let far = pairwise(&leaders, &vec![&all[..]; leaders.size])?;
        all = far.iter().map(|node| node.as_ref().map_or(&all[..], Envelope::body)).collect::<Vec<_>>().concat();
    }
    any_length(&neighbours, 0, &mut all)?;
    let mut blocks = Blocks(&all);
    for &rank in call.communicator.by_node().iter().flatten() {
        let block = blocks.next()?.unwrap_or_default();
        if rank != call.communicator.rank() {
            found(rank, block);
        }
    }
    Ok(())
}

/// Around a ring: each rank sends on what it received last. A message's length is its own.
fn around(team: &Team<'_>, mine: &[u8]) -> Result<Vec<Option<Envelope>>, Error> {
    let Team { me, size, .. } = *team;
    let (next, before) = ((me + 1) % size, (me + size - 1) % size);
    let mut blocks: Vec<Option<Envelope>> = std::iter::repeat_with(|| None).take(size).collect();
    for step in 0..size - 1 {
        let from = (me + size - step) % size;
        team.send(next, blocks[from].as_ref().map_or(mine, Envelope::body))?;
        blocks[(me + size - step - 1) % size] = Some(team.recv(before)?);
    }
    Ok(blocks)
}

/// Blocks of one size around a ring.
fn ring(team: &Team<'_>, mine: &[u8], room: &mut [u8]) -> Result<(), Error> {
    for (block, room) in around(team, mine)?.iter().zip(room.chunks_exact_mut(mine.len())) {
        match block {
            Some(envelope) => fill(room, envelope)?,
            None => room.copy_from_slice(mine),
        }
    }
    Ok(())
}

/// Each leader collects its node's blocks, the leaders exchange them, and spread them all.
fn over_leaders(call: &Call<'_>, mine: &[u8], room: &mut [u8]) -> Result<(), Error> {
    let size = mine.len();
    let neighbours = call.neighbours();
    let mut near = vec![0; if neighbours.me == 0 { size * neighbours.size } else { 0 }];
    gather(&neighbours, 0, mine, &mut near)?;
    if let Some(leaders) = call.leaders() {
        let nodes = call.communicator.by_node();
        let even = nodes.iter().all(|ranks| ranks.len() == nodes[0].len());
        if even && size_of_val(&*room) <= SHORT {
            let mut all = vec![0; room.len()];
            bruck(&leaders, &near, &mut all)?;
            for (ranks, blocks) in nodes.iter().zip(all.chunks_exact(near.len().max(1))) {
                place(ranks, blocks, size, room)?;
            }
        } else {
            for (ranks, block) in nodes.iter().zip(around(&leaders, &near)?) {
                place(ranks, block.as_ref().map_or(&near[..], Envelope::body), size, room)?;
            }
        }
    }
    broadcast(&neighbours, 0, room)
}

/// Bruck's algorithm for blocks of one size: in a logarithm of rounds each rank doubles what it has, for any number of ranks.
fn bruck(team: &Team<'_>, mine: &[u8], room: &mut [u8]) -> Result<(), Error> {
    let Team { me, size, .. } = *team;
    // Blocks from this rank's own on, around.
    let mut have = Vec::with_capacity(room.len());
    have.extend_from_slice(mine);
    let mut distance = 1;
    while distance < size {
        let count = distance.min(size - distance);
        team.send((me + size - distance) % size, &have[..count * mine.len()])?;
        let more = team.recv((me + distance) % size)?;
        have.extend_from_slice(more.body());
        distance *= 2;
    }
    let (head, tail) = room.split_at_mut(me * mine.len());
    if have.len() != head.len() + tail.len() {
        return Err(Error::Mismatch("ranks give blocks of different lengths to allgather".into()));
    }
    tail.copy_from_slice(&have[..tail.len()]);
    head.copy_from_slice(&have[tail.len()..]);
    Ok(())
}
