//! Alltoall and alltoallv (MPI 4.1, section 6.8).
//!
//! Blocks of a few bytes over many ranks: Bruck's algorithm, where a block takes as many hops as the distance it goes has ones in its
//! binary form, and so there is a logarithm of messages of each rank. Else each rank sends each other its block: in rounds, where
//! everybody has another partner. Between nodes short blocks go by the leaders, those of one node for another as one message; so do none of
//! other lengths, of which the leaders would not know which are short.

use super::gather::gather;
use super::scatter::down;
use super::{Call, Team, Terms, fill};
use crate::communicator::Communicator;
use crate::datatype::{self, Datatype};
use crate::error::Error;
use crate::header::Kind;
use crate::matching::Envelope;

/// Up to this many bytes of a block the number of messages costs more than the hops: over 8 ranks of one node Bruck's took 100 µs for
/// blocks of 1 KiB and the rounds 154; and 335 and 238 for 4 KiB.
const SHORT: usize = 1 << 10;
/// Up to this many bytes of a block the messages between nodes cost more than to copy the blocks at the leaders. Over two nodes on loopback,
/// of 4 ranks each, blocks of 8 bytes took 190–260 µs by the leaders and 390–440 as if there were one node; of 256 bytes 550–580 and 350–510.
/// Of 2 ranks each, 256 bytes took 270 and 470, and 1 KiB 580 and 370.
const SHORT_BETWEEN_NODES: usize = 64;
/// From so many ranks on.
const MANY: usize = 8;

impl Communicator {
    /// Exchanges blocks of equally many elements: the n-th block of a rank goes to rank n, and what comes stands in the order of the
    /// ranks.
    ///
    /// # Errors
    /// As [`Self::barrier`]; [`Error::Invalid`] where the number of ranks does not divide that of the elements.
    pub fn alltoall<T: Datatype>(&self, data: &[T]) -> Result<Vec<T>, Error> {
        if !data.len().is_multiple_of(self.size()) {
            return Err(Error::Invalid(format!("alltoall of {} elements between {} ranks", data.len(), self.size())));
        }
        let call = Call::begin(self, &Terms::new::<T>(Kind::Alltoall, data.len()))?;
        let mut all = data.to_vec();
        let room: &mut [u8] = bytemuck::cast_slice_mut(&mut all);
        let size = room.len() / self.size();
        if call.has_several_nodes() && self.nodes() < self.size() && size <= SHORT_BETWEEN_NODES {
            over_leaders(&call, size, room)?;
        } else if size <= SHORT && self.size() >= MANY {
            bruck(&call.everybody(), size, room)?;
        } else {
            let blocks: Vec<&[u8]> = (0..self.size()).map(|rank| &bytemuck::cast_slice(data)[rank * size..][..size]).collect();
            for (rank, block) in pairwise(&call.everybody(), &blocks)?.iter().enumerate() {
                if let Some(envelope) = block {
                    fill(&mut room[rank * size..][..size], envelope)?;
                }
            }
        }
        call.end()?;
        Ok(all)
    }

    /// Exchanges blocks of any lengths: the n-th block goes to rank n, and what comes stands in the order of the ranks.
    ///
    /// # Errors
    /// As [`Self::barrier`]; [`Error::Invalid`] where there is not one block for each rank.
    pub fn alltoallv<T: Datatype, B: AsRef<[T]>>(&self, blocks: &[B]) -> Result<Vec<Vec<T>>, Error> {
        if blocks.len() != self.size() {
            return Err(Error::Invalid(format!("alltoallv of {} blocks between {} ranks", blocks.len(), self.size())));
        }
        let call = Call::begin(self, &Terms::new::<T>(Kind::Alltoall, 0).varying())?;
        let bytes: Vec<&[u8]> = blocks.iter().map(|block| bytemuck::cast_slice(block.as_ref())).collect();
        let came = pairwise(&call.everybody(), &bytes)?;
        call.end()?;
        let block = |block: Option<Envelope>| match block {
            Some(envelope) => datatype::elements(envelope.body()).into_owned(),
            None => blocks[self.rank()].as_ref().to_vec(),
        };
        Ok(came.into_iter().map(block).collect())
    }
}

/// Each to each; this rank's own block is left out.
pub(super) fn pairwise(team: &Team<'_>, blocks: &[&[u8]]) -> Result<Vec<Option<Envelope>>, Error> {
    let Team { me, size, .. } = *team;
    let mut came: Vec<Option<Envelope>> = std::iter::repeat_with(|| None).take(size).collect();
    for step in 1..size {
        let (to, from) = ((me + step) % size, (me + size - step) % size);
        team.send(to, blocks[to])?;
        came[from] = Some(team.recv(from)?);
    }
    Ok(came)
}

/// Each leader collects its node's blocks, the leaders exchange those of two nodes as one message, and deal them out. `room` has the
/// blocks by receiver before, and by sender after.
fn over_leaders(call: &Call<'_>, size: usize, room: &mut [u8]) -> Result<(), Error> {
    let row = room.len();
    let neighbours = call.neighbours();
    let mut near = vec![0; if neighbours.me == 0 { row * neighbours.size } else { 0 }];
    gather(&neighbours, 0, room, &mut near)?;
    let mut rows = None;
    if let Some(leaders) = call.leaders() {
        let nodes = call.communicator.by_node();
        let ours = &nodes[leaders.me];
        // By receiver, and for each by sender.
        let bundle = |receivers: &Vec<usize>| {
            let blocks = receivers.iter().flat_map(|to| (0..ours.len()).map(move |from| from * row + to * size));
            blocks.flat_map(|at| &near[at..][..size]).copied().collect::<Vec<u8>>()
        };
        let bundles: Vec<Vec<u8>> = nodes.iter().map(bundle).collect();
        let came = pairwise(&leaders, &bundles.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        let mut dealt = vec![0; near.len()];
        for (senders, came) in nodes.iter().zip(&came) {
            let blocks = came.as_ref().map_or(&bundles[leaders.me][..], Envelope::body);
            if blocks.len() != ours.len() * senders.len() * size {
                return Err(Error::Mismatch("ranks give blocks of different lengths to alltoall".into()));
            }
            for (to, blocks) in blocks.chunks_exact((senders.len() * size).max(1)).enumerate() {
                for (from, block) in senders.iter().zip(blocks.chunks_exact(size)) {
                    dealt[to * row + from * size..][..size].copy_from_slice(block);
                }
            }
        }
        rows = Some(dealt);
    }
    room.copy_from_slice(&down(&neighbours, 0, rows.as_deref())?);
    Ok(())
}

/// Bruck's algorithm: `room` has the blocks by receiver before, and by sender after.
fn bruck(team: &Team<'_>, size: usize, room: &mut [u8]) -> Result<(), Error> {
    let Team { me, size: ranks, .. } = *team;
    // The block with this index goes this many ranks on.
    room.rotate_left(me * size);
    let mut distance = 1;
    while distance < ranks {
        let moving = || (0..ranks).filter(move |index| index & distance != 0);
        let blocks = moving().map(|index| &room[index * size..][..size]).collect::<Vec<_>>().concat();
        team.send((me + distance) % ranks, &blocks)?;
        let came = team.recv((me + ranks - distance) % ranks)?;
        if came.body().len() != blocks.len() {
            return Err(Error::Mismatch("ranks give blocks of different lengths to alltoall".into()));
        }
        for (index, block) in moving().zip(came.body().chunks_exact(size.max(1))) {
            room[index * size..][..size].copy_from_slice(block);
        }
        distance *= 2;
    }
    // The block that came this many ranks far is of the rank so far before.
    let by_distance = room.to_vec();
    for index in 0..ranks {
        let sender = (me + ranks - index) % ranks;
        room[sender * size..][..size].copy_from_slice(&by_distance[index * size..][..size]);
    }
    Ok(())
}
