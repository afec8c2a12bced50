//! Gather and gatherv (MPI 4.1, section 6.5).
//!
//! Short blocks go up a binomial tree, each rank passing on those below it as one message. Long ones, and those of any length, go to
//! the root directly, which has to receive them anyway. Between nodes the leader sends its node's blocks as one.

use super::{Call, Team, Terms, fill};
use crate::communicator::Communicator;
use crate::datatype::{self, Datatype};
use crate::error::Error;
use crate::header::Kind;
use crate::matching::Envelope;
use crate::tree::Binomial;

/// Up to this many bytes of a block the number of messages costs more than to copy them on the way.
const SHORT: usize = 4 << 10;

impl Communicator {
    /// Collects equally many elements of each rank at the root, in the order of the ranks; the others get nothing.
    ///
    /// # Errors
    /// As [`Self::barrier`]; [`Error::NoRank`].
    pub fn gather<T: Datatype>(&self, data: &[T], root: usize) -> Result<Option<Vec<T>>, Error> {
        let call = Call::begin(self, &Terms::new::<T>(Kind::Gather, data.len()).root(root))?;
        let mut all = vec![T::zeroed(); if self.rank() == root { data.len() * self.size() } else { 0 }];
        let (mine, room) = (bytemuck::cast_slice(data), bytemuck::cast_slice_mut(&mut all));
        if mine.len() > SHORT {
            directly(&call, mine, root, room)?;
        } else if call.has_several_nodes() {
            over_leaders(&call, mine, root, room)?;
        } else {
            gather(&call.everybody(), root, mine, room)?;
        }
        call.end()?;
        Ok((self.rank() == root).then_some(all))
    }

    /// Collects what each rank gives, of any length, at the root.
    ///
    /// # Errors
    /// As [`Self::gather`].
    pub fn gatherv<T: Datatype>(&self, data: &[T], root: usize) -> Result<Option<Vec<Vec<T>>>, Error> {
        let call = Call::begin(self, &Terms::new::<T>(Kind::Gather, data.len()).root(root).varying())?;
        let blocks = varying(&call, bytemuck::cast_slice(data), root)?;
        call.end()?;
        let elements = |envelope: &Envelope| datatype::elements(envelope.body()).into_owned();
        let block = |(rank, block): (usize, &Option<Envelope>)| match block {
            Some(envelope) => elements(envelope),
            None => {
                debug_assert_eq!(rank, root);
                data.to_vec()
            }
        };
        Ok(blocks.map(|blocks| blocks.iter().enumerate().map(block).collect()))
    }
}

/// Blocks of any lengths at the root, where its own is left out.
pub(super) fn varying(call: &Call<'_>, mine: &[u8], root: usize) -> Result<Option<Vec<Option<Envelope>>>, Error> {
    let me = call.communicator.rank();
    if me != root {
        call.send(root, mine)?;
        return Ok(None);
    }
    let block = |rank| if rank == root { Ok(None) } else { call.recv(rank).map(Some) };
    (0..call.communicator.size()).map(block).collect::<Result<_, _>>().map(Some)
}

fn directly(call: &Call<'_>, mine: &[u8], root: usize, room: &mut [u8]) -> Result<(), Error> {
    let Some(blocks) = varying(call, mine, root)? else { return Ok(()) };
    for (block, room) in blocks.iter().zip(room.chunks_exact_mut(mine.len())) {
        match block {
            Some(envelope) => fill(room, envelope)?,
            None => room.copy_from_slice(mine),
        }
    }
    Ok(())
}

/// Blocks of one size up a binomial tree; `room` is for all of them at the root, and empty elsewhere.
pub(super) fn gather(team: &Team<'_>, root: usize, mine: &[u8], room: &mut [u8]) -> Result<(), Error> {
    let size = mine.len();
    let tree = Binomial { rank: team.counted_from(root), size: team.size };
    let mut below = Vec::with_capacity(tree.subtree().len() * size);
    below.extend_from_slice(mine);
    for child in tree.children() {
        let envelope = team.recv(team.back(child, root))?;
        below.extend_from_slice(envelope.body());
    }
    match tree.parent() {
        Some(parent) => team.send(team.back(parent, root), &below),
        None => {
            // They begin with the root's.
            let (tail, head) = room.split_at_mut(root * size);
            let split = head.len().min(below.len());
            head.copy_from_slice(&below[..split]);
            tail.copy_from_slice(&below[split..]);
            Ok(())
        }
    }
}

/// Each leader collects its node's blocks and sends them to the root as one.
fn over_leaders(call: &Call<'_>, mine: &[u8], root: usize, room: &mut [u8]) -> Result<(), Error> {
    let (me, size) = (call.communicator.rank(), mine.len());
    let neighbours = call.neighbours();
    let leads = neighbours.me == 0;
    let mut near = vec![0; if leads { size * neighbours.size } else { 0 }];
    gather(&neighbours, 0, mine, &mut near)?;
    if leads && me != root {
        call.send(root, &near)?;
    }
    if me != root {
        return Ok(());
    }
    for ranks in call.communicator.by_node() {
        let far;
        let blocks = if ranks[0] == me {
            &near[..]
        } else {
            far = call.recv(ranks[0])?;
            far.body()
        };
        place(ranks, blocks, size, room)?;
    }
    Ok(())
}

/// Puts the blocks of these ranks where they belong.
pub(super) fn place(ranks: &[usize], blocks: &[u8], size: usize, room: &mut [u8]) -> Result<(), Error> {
    if blocks.len() != ranks.len() * size {
        return Err(Error::Mismatch(format!("{} ranks of a node give {} bytes where {size} each are due", ranks.len(), blocks.len())));
    }
    for (index, &rank) in ranks.iter().enumerate() {
        room[rank * size..][..size].copy_from_slice(&blocks[index * size..][..size]);
    }
    Ok(())
}
