//! Scatter and scatterv (MPI 4.1, section 6.6).
//!
//! Blocks of one length go down a binomial tree, each message with those of all ranks below its receiver; between nodes a leader gets
//! those of its node. Blocks of any lengths come from the root directly; short ones for another node go to its leader as one message.

use super::bundle::{self, Blocks};
use super::{Call, Team, Terms};
use crate::communicator::Communicator;
use crate::datatype::{self, Datatype};
use crate::error::Error;
use crate::header::Kind;
use crate::tree::Binomial;

/// Up to this many bytes of a block of any length the number of messages between nodes costs more than to copy it at the leader.
const SHORT: usize = 4 << 10;

impl Communicator {
    /// Deals the elements of the root out, equally many to each rank, in the order of the ranks. The others give none.
    /// MPI 4.1, section 6.6.
    ///
    /// # Errors
    /// As [`Self::barrier`]; [`Error::NoRank`]; [`Error::Invalid`] where the root gives none, or a number that the number of ranks does
    /// not divide.
    pub fn scatter<T: Datatype>(&self, data: Option<&[T]>, root: usize) -> Result<Vec<T>, Error> {
        let call = Call::begin(self, &Terms { alike: false, ..Terms::new::<T>(Kind::Scatter, data.map_or(0, <[T]>::len)).root(root) })?;
        let data = self.given("scatter", data, root)?;
        if let Some(data) = data
            && !data.len().is_multiple_of(self.size())
        {
            return Err(Error::Invalid(format!("scatter of {} elements over {} ranks", data.len(), self.size())));
        }
        let data = data.map(bytemuck::cast_slice);
        let mine = if call.has_several_nodes() { over_leaders(&call, root, data)? } else { down(&call.everybody(), root, data)? };
        call.end()?;
        Ok(datatype::elements(&mine).into_owned())
    }

    /// Deals blocks of any lengths out, one for each rank. The others give none (MPI 4.1, section 6.6).
    ///
    /// # Errors
    /// As [`Self::scatter`]; [`Error::Invalid`] where there is not one block for each rank.
    pub fn scatterv<T: Datatype, B: AsRef<[T]>>(&self, blocks: Option<&[B]>, root: usize) -> Result<Vec<T>, Error> {
        let call = Call::begin(self, &Terms::new::<T>(Kind::Scatter, 0).root(root).varying())?;
        let blocks = self.given("scatterv", blocks, root)?;
        let bytes = blocks.map(|blocks| blocks.iter().map(|block| bytemuck::cast_slice(block.as_ref())).collect::<Vec<_>>());
        let mine = varying(&call, bytes.as_deref(), root)?;
        call.end()?;
        Ok(datatype::elements(&mine).into_owned())
    }

    /// What the root gives; what others give is not looked at.
    pub(super) fn given<'a, D: ?Sized>(&self, what: &str, data: Option<&'a D>, root: usize) -> Result<Option<&'a D>, Error> {
        if self.rank() != root {
            return Ok(None);
        }
        let none = || Error::Invalid(format!("{what}: rank {root} is the root and gives nothing"));
        data.ok_or_else(none).map(Some)
    }
}

/// One block for each rank, from the root. To another node the short ones go by its leader.
pub(super) fn varying(call: &Call<'_>, blocks: Option<&[&[u8]]>, root: usize) -> Result<Vec<u8>, Error> {
    let Some(blocks) = blocks else { return from_root(call, root) };
    let size = call.communicator.size();
    if blocks.len() != size {
        return Err(Error::Invalid(format!("{} blocks are to be dealt out over {size} ranks", blocks.len())));
    }
    let here = if call.has_leaders() { Some(call.node_of(root).0) } else { None };
    for (node, ranks) in call.communicator.by_node().iter().enumerate() {
        let bundled = here.is_some_and(|here| here != node);
        if bundled {
            let mut bundle = Vec::new();
            for &rank in ranks {
                if blocks[rank].len() > SHORT { bundle::add_mark(&mut bundle) } else { bundle::add(&mut bundle, blocks[rank])? }
            }
            call.send(ranks[0], &bundle)?;
        }
        for &rank in ranks.iter().filter(|&&rank| rank != root && !(bundled && blocks[rank].len() <= SHORT)) {
            call.send(rank, blocks[rank])?;
        }
    }
    Ok(blocks[root].to_vec())
}

/// What the root has for this rank.
fn from_root(call: &Call<'_>, root: usize) -> Result<Vec<u8>, Error> {
    if !call.has_leaders() || call.node_of(root).0 == call.node_of(call.communicator.rank()).0 {
        return Ok(call.recv(root)?.body().to_vec());
    }
    let neighbours = call.neighbours();
    let bundle = if neighbours.me == 0 { call.recv(root)? } else { neighbours.recv(0)? };
    let mut blocks = Blocks(bundle.body());
    let mine = blocks.next()?;
    if neighbours.me == 0 {
        (1..neighbours.size).try_for_each(|number| neighbours.send(number, blocks.pass_on()?))?;
    }
    mine.map_or_else(|| Ok(call.recv(root)?.body().to_vec()), |mine| Ok(mine.to_vec()))
}

/// Blocks of one size, down a binomial tree; `data` is where they come from.
pub(super) fn down(team: &Team<'_>, root: usize, data: Option<&[u8]>) -> Result<Vec<u8>, Error> {
    let tree = Binomial { rank: team.counted_from(root), size: team.size };
    let below = match (data, tree.parent()) {
        // In the order of the tree, which begins with the root.
        (Some(data), _) => {
            let split = root * (data.len() / team.size);
            [&data[split..], &data[..split]].concat()
        }
        (None, Some(parent)) => team.recv(team.back(parent, root))?.body().to_vec(),
        (None, None) => unreachable!("the root of the tree has the data"),
    };
    let size = below.len() / tree.subtree().len();
    for child in tree.children().rev() {
        let theirs = Binomial { rank: child, ..tree }.subtree();
        team.send(team.back(child, root), &below[(theirs.start - tree.rank) * size..(theirs.end - tree.rank) * size])?;
    }
    Ok(below[..size].to_vec())
}

/// The root sends each leader the blocks of its node as one.
fn over_leaders(call: &Call<'_>, root: usize, data: Option<&[u8]>) -> Result<Vec<u8>, Error> {
    let me = call.communicator.rank();
    let neighbours = call.neighbours();
    let mut near = None;
    if let Some(data) = data {
        let size = data.len() / call.communicator.size();
        for ranks in call.communicator.by_node() {
            let blocks = ranks.iter().map(|rank| &data[rank * size..][..size]).collect::<Vec<_>>().concat();
            if ranks[0] == me { near = Some(blocks) } else { call.send(ranks[0], &blocks)? }
        }
    }
    if neighbours.me == 0 && me != root {
        near = Some(call.recv(root)?.body().to_vec());
    }
    down(&neighbours, 0, near.as_deref())
}
