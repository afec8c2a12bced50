//! Alltoall and alltoallv (MPI 4.1, section 6.8).
//!
//! Blocks of a few bytes over many ranks: Bruck's algorithm, where a block takes as many hops as the distance it goes has ones in its
//! binary form, and so there is a logarithm of messages of each rank. Else each rank sends each other its block: in rounds, where
//! everybody has another partner, or to all at once where some are on other nodes. Between nodes short blocks go by the leaders, those of
//! one node for another as one message. So do the short ones among blocks of any lengths; of a long one only the news that it comes goes
//! that way.

use super::bundle::{self, Blocks};
use super::{Call, SEGMENT, Team, Terms, fill_with};
use crate::communicator::Communicator;
use crate::datatype::{self, Datatype};
use crate::error::Error;
use crate::header::Kind;
use crate::matching::Envelope;

/// Up to this many bytes of a block the number of messages costs more than the hops: over 8 ranks of one node Bruck's took 100 µs for
/// blocks of 1 KiB and the rounds 154; and 335 and 238 for 4 KiB.
const SHORT: usize = 1 << 10;
/// Up to this many bytes of a block the messages between nodes cost more than to copy the blocks at the leaders. On loopback, with other
/// work beside it, in µs by the leaders and directly: over two nodes of 4 ranks each blocks of 8 bytes took 242–266 and 401–636, of 1 KiB
/// 298–374 and 504–810, of 4 KiB 561–744 and 767–1,176, of 64 KiB 3,000–11,000 and 6,100–8,400; over four nodes of 2 ranks each, 8 bytes
/// 472–1,059 and 843–1,065, 4 KiB 665–1,479 and 1,046–1,333.
const SHORT_BETWEEN_NODES: usize = 4 << 10;
/// From so many ranks on.
const MANY: usize = 8;

impl Communicator {
    /// Exchanges blocks of equally many elements: the n-th block of a rank goes to rank n, and what comes stands in the order of the
    /// ranks (MPI 4.1, section 6.8).
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
        let short_between_nodes = call.has_leaders() && size <= SHORT_BETWEEN_NODES;
        if !short_between_nodes && size <= SHORT && self.size() >= MANY {
            bruck(&call.everybody(), size, room)?;
        } else {
            let blocks: Vec<&[u8]> = (0..self.size()).map(|rank| &bytemuck::cast_slice(data)[rank * size..][..size]).collect();
            let mut filled = Ok(());
            let found = |from: usize, block: &[u8]| {
                let fills = fill_with(&mut room[from * size..][..size], block, || format!("a block of rank {from}"));
                filled = std::mem::replace(&mut filled, Ok(())).and(fills);
            };
            if short_between_nodes {
                over_leaders(&call, &blocks, found)?
            } else {
                directly(&call, &blocks, found)?
            }
            filled?;
        }
        call.end()?;
        Ok(all)
    }

    /// Exchanges blocks of any lengths: the n-th block goes to rank n, and what comes stands in the order of the ranks.
    /// MPI 4.1, section 6.8.
    ///
    /// # Errors
    /// As [`Self::barrier`]; [`Error::Invalid`] where there is not one block for each rank.
    pub fn alltoallv<T: Datatype, B: AsRef<[T]>>(&self, blocks: &[B]) -> Result<Vec<Vec<T>>, Error> {
        if blocks.len() != self.size() {
            return Err(Error::Invalid(format!("alltoallv of {} blocks between {} ranks", blocks.len(), self.size())));
        }
        let call = Call::begin(self, &Terms::new::<T>(Kind::Alltoall, 0).varying())?;
        let bytes: Vec<&[u8]> = blocks.iter().map(|block| bytemuck::cast_slice(block.as_ref())).collect();
        let mut came = vec![Vec::new(); self.size()];
        varying(&call, &bytes, |rank, block| came[rank] = datatype::elements(block).into_owned())?;
        call.end()?;
        came[self.rank()] = blocks[self.rank()].as_ref().to_vec();
        Ok(came)
    }
}

/// Blocks of any lengths, one for each rank; each that comes is given with its rank, but for this rank's own.
pub(super) fn varying(call: &Call<'_>, blocks: &[&[u8]], found: impl FnMut(usize, &[u8])) -> Result<(), Error> {
    if call.has_leaders() {
        return over_leaders(call, blocks, found);
    }
    directly(call, blocks, found)
}

fn directly(call: &Call<'_>, blocks: &[&[u8]], mut found: impl FnMut(usize, &[u8])) -> Result<(), Error> {
    let came = pairwise(&call.everybody(), blocks)?;
    came.iter().enumerate().for_each(|(rank, block)| block.iter().for_each(|block| found(rank, block.body())));
    Ok(())
}

/// Each to each; this rank's own block is left out.
pub(super) fn pairwise(team: &Team<'_>, blocks: &[&[u8]]) -> Result<Vec<Option<Envelope>>, Error> {
    let Team { me, size, .. } = *team;
    let mut came: Vec<Option<Envelope>> = std::iter::repeat_with(|| None).take(size).collect();
    // A way to another node takes longer than to send more. Long blocks would lie about at their senders meanwhile.
    let at_once = team.call.has_several_nodes() && blocks.iter().all(|block| block.len() <= SEGMENT);
    let to = |step: usize| (me + step) % size;
    if at_once {
        (1..size).try_for_each(|step| team.send(to(step), blocks[to(step)]))?;
    }
    for step in 1..size {
        let from = (me + size - step) % size;
        if !at_once {
            team.send(to(step), blocks[to(step)])?;
        }
        came[from] = Some(team.recv(from)?);
    }
    Ok(came)
}

/// Each leader collects its node's blocks, the leaders exchange those of two nodes as one message, and deal them out. Of a long one there is
/// a mark, and it comes from its sender, behind what the leaders say of it.
fn over_leaders(call: &Call<'_>, blocks: &[&[u8]], mut found: impl FnMut(usize, &[u8])) -> Result<(), Error> {
    let (me, nodes) = (call.communicator.rank(), call.communicator.by_node());
    let neighbours = call.neighbours();
    let goes_directly = |to: usize| to != me && blocks[to].len() > SHORT_BETWEEN_NODES;
    let send_directly = |to: usize| if goes_directly(to) { call.send(to, blocks[to]) } else { Ok(()) };
    // By receiver.
    let mut given = Vec::new();
    for &to in nodes.iter().flatten() {
        if to == me || goes_directly(to) { bundle::add_mark(&mut given) } else { bundle::add(&mut given, blocks[to])? }
    }
    let message;
    let dealt = match call.leaders() {
        None => {
            neighbours.send(0, &given)?;
            nodes.iter().flatten().try_for_each(|&to| send_directly(to))?;
            message = neighbours.recv(0)?;
            message.body()
        }
        Some(leaders) => {
            let bundles = bundles(&neighbours, nodes, &given)?;
            let others = || (0..leaders.size).filter(|&node| node != leaders.me);
            others().try_for_each(|node| leaders.send(node, &bundles[node]))?;
            others().flat_map(|node| &nodes[node]).try_for_each(|&to| send_directly(to))?;
            let came = (0..leaders.size).map(|node| if node == leaders.me { Ok(None) } else { leaders.recv(node).map(Some) });
            let came = came.collect::<Result<Vec<_>, _>>()?;
            given = deal(&neighbours, nodes, &came, &bundles[leaders.me])?;
            nodes[leaders.me].iter().try_for_each(|&to| send_directly(to))?;
            &given
        }
    };
    let mut dealt = Blocks(dealt);
    for &from in nodes.iter().flatten() {
        match dealt.next()? {
            Some(block) => found(from, block),
            None if from == me => {}
            None => found(from, call.recv(from)?.body()),
        }
    }
    Ok(())
}

/// At a leader: what the ranks of its node have for those of each, by receiver, and for each by sender.
fn bundles(neighbours: &Team<'_>, nodes: &[Vec<usize>], mine: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let others = (1..neighbours.size).map(|number| neighbours.recv(number)).collect::<Result<Vec<_>, _>>()?;
    let mut given: Vec<Blocks<'_>> = std::iter::once(mine).chain(others.iter().map(Envelope::body)).map(Blocks).collect();
    let mut bundle = |receivers: &Vec<usize>| {
        let mut bundle = Vec::new();
        for _ in receivers {
            given.iter_mut().try_for_each(|blocks| blocks.pass_on().map(|block| bundle.extend_from_slice(block)))?;
        }
        Ok(bundle)
    };
    nodes.iter().map(&mut bundle).collect()
}

/// At a leader: gives each rank of its node what came for it from all nodes, and returns what came for itself. `near` is what its own node
/// has.
fn deal(neighbours: &Team<'_>, nodes: &[Vec<usize>], came: &[Option<Envelope>], near: &[u8]) -> Result<Vec<u8>, Error> {
    let mut came: Vec<Blocks<'_>> = came.iter().map(|bundle| Blocks(bundle.as_ref().map_or(near, Envelope::body))).collect();
    let mut mine = Vec::new();
    for number in 0..neighbours.size {
        let mut dealt = Vec::new();
        for (senders, blocks) in nodes.iter().zip(&mut came) {
            senders.iter().try_for_each(|_| blocks.pass_on().map(|block| dealt.extend_from_slice(block)))?;
        }
        if number == 0 { mine = dealt } else { neighbours.send(number, &dealt)? }
    }
    Ok(mine)
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
