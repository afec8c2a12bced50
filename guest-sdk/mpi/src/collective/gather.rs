//! Gather and gatherv (MPI 4.1, section 6.5).
//!
//! Short blocks go up a binomial tree, each rank passing on those below it as one message. Long ones, and those of any length, go to
//! the root directly, which has to receive them anyway. Between nodes the leader sends its node's short blocks as one.

use super::bundle::{self, Blocks};
use super::{Call, Team, Terms, fill};
use crate::communicator::Communicator;
use crate::datatype::{self, Datatype};
use crate::error::Error;
use crate::header::Kind;
use crate::matching::Envelope;
use crate::tree::Binomial;

/// Up to this many bytes of a block the number of messages costs more than to copy them on the way. Over two nodes on loopback, of 4 ranks
/// each, blocks of 8 bytes of any lengths took 20–105 µs by the leader and 33–154 directly, of 1 KiB 36–66 and 52–88; of 4 KiB and more the
/// noise is larger than the difference.
const SHORT: usize = 4 << 10;

impl Communicator {
    /// Collects equally many elements of each rank at the root, in the order of the ranks; the others get nothing (MPI 4.1, section 6.5).
    ///
    /// # Errors
    /// As [`Self::barrier`]; [`Error::NoRank`].
    pub fn gather<T: Datatype>(&self, data: &[T], root: usize) -> Result<Option<Vec<T>>, Error> {
        let call = Call::begin(self, &Terms::new::<T>(Kind::Gather, data.len()).root(root))?;
        let mut all = vec![T::zeroed(); if self.rank() == root { data.len() * self.size() } else { 0 }];
        let (mine, room) = (bytemuck::cast_slice(data), bytemuck::cast_slice_mut(&mut all));
        if mine.len() > SHORT {
            let of_rank = |rank: usize| rank * mine.len()..(rank + 1) * mine.len();
            directly(&call, mine, root, |envelope| fill(&mut room[of_rank(envelope.header.source as usize)], envelope))?;
            if self.rank() == root {
                room[of_rank(root)].copy_from_slice(mine);
            }
        } else if call.has_several_nodes() {
            over_leaders(&call, mine, root, room)?;
        } else {
            gather(&call.everybody(), root, mine, room)?;
        }
        call.end()?;
        Ok((self.rank() == root).then_some(all))
    }

    /// Collects what each rank gives, of any length, at the root (MPI 4.1, section 6.5).
    ///
    /// # Errors
    /// As [`Self::gather`].
    pub fn gatherv<T: Datatype>(&self, data: &[T], root: usize) -> Result<Option<Vec<Vec<T>>>, Error> {
        let call = Call::begin(self, &Terms::new::<T>(Kind::Gather, data.len()).root(root).varying())?;
        let mut blocks = vec![Vec::new(); if self.rank() == root { self.size() } else { 0 }];
        varying(&call, bytemuck::cast_slice(data), root, |rank, block| blocks[rank] = datatype::elements(block).into_owned())?;
        call.end()?;
        if let Some(own) = blocks.get_mut(root) {
            *own = data.to_vec();
        }
        Ok((self.rank() == root).then_some(blocks))
    }
}

/// Blocks of any lengths to the root, which is given each of the others with its rank. From another node the short ones come by its
/// leader.
pub(super) fn varying(call: &Call<'_>, mine: &[u8], root: usize, mut found: impl FnMut(usize, &[u8])) -> Result<(), Error> {
    let me = call.communicator.rank();
    if !call.has_leaders() {
        return directly(call, mine, root, |envelope| {
            found(envelope.header.source as usize, envelope.body());
            Ok(())
        });
    }
    let here = call.node_of(root).0;
    if me != root {
        if call.node_of(me).0 == here {
            return call.send(root, mine);
        }
        up_a_node(&call.neighbours(), mine, root)?;
        return if mine.len() > SHORT { call.send(root, mine) } else { Ok(()) };
    }
    for (node, ranks) in call.communicator.by_node().iter().enumerate() {
        let bundle = if node == here { None } else { Some(call.recv(ranks[0])?) };
        let mut blocks = bundle.as_ref().map(|bundle| Blocks(bundle.body()));
        for &rank in ranks.iter().filter(|&&rank| rank != root) {
            match blocks.as_mut().map(Blocks::next).transpose()?.flatten() {
                Some(block) => found(rank, block),
                None => found(rank, call.recv(rank)?.body()),
            }
        }
    }
    Ok(())
}

/// On a node that is not the root's: each gives its leader its block, or a mark where that is long, and the leader passes them on.
fn up_a_node(neighbours: &Team<'_>, mine: &[u8], root: usize) -> Result<(), Error> {
    let mut bundle = Vec::with_capacity(mine.len().min(SHORT) + 8);
    if mine.len() > SHORT {
        bundle::add_mark(&mut bundle)
    } else {
        bundle::add(&mut bundle, mine)?
    }
    if neighbours.me > 0 {
        return neighbours.send(0, &bundle);
    }
    for number in 1..neighbours.size {
        bundle.extend_from_slice(neighbours.recv(number)?.body());
    }
    neighbours.call.send(root, &bundle)
}

/// Each to the root, which looks at what comes.
fn directly(call: &Call<'_>, mine: &[u8], root: usize, mut found: impl FnMut(&Envelope) -> Result<(), Error>) -> Result<(), Error> {
    if call.communicator.rank() != root {
        return call.send(root, mine);
    }
    (0..call.communicator.size()).filter(|&rank| rank != root).try_for_each(|rank| found(&call.recv(rank)?))
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
