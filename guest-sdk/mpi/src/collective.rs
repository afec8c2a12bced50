//! Collective operations: what all of them share (MPI 4.1, chapter 6).
//!
//! Each is a few messages along a pattern that fits the size and the number of ranks; the files say which, and from when on. Where the
//! ranks of a communicator run on several nodes, one rank of each, its *leader*, speaks for the node, so that what all need crosses
//! between two nodes once. Of `n` nodes, so many messages cross in all:
//!
//! | operations | messages | else |
//! | --- | --- | --- |
//! | barrier | up a tree of leaders and down again: 2(n − 1) | |
//! | broadcast | down a tree: n − 1 | a chain, in segments, from 128 KiB on |
//! | reduce | up a tree: n − 1; where the order matters one more, to the root | |
//! | allreduce | recursive doubling: n log n; of values 2(n − 1) | Rabenseifner's or a ring, from 64 KiB on |
//! | gather, scatter, and those with blocks of any lengths | n − 1 | blocks of more than 4 KiB directly, but in `scatter` |
//! | allgather, allgatherv | n(n − 1), or n log n | |
//! | alltoall, alltoallv | n(n − 1) | blocks of more than 4 KiB directly |
//! | `reduce_scatter`, `reduce_scatter_block` | n(n − 1) | |
//! | scan, exscan | at most n log n | |
//!
//! What goes directly is what only its receiver needs, so it crosses once too. Operations on values are those with blocks of any lengths.
//! Two things are not done by nodes, where the ranks of a node are not consecutive, as after a split by other keys: scans, and reductions
//! of elements by operations whose order matters. There a node can combine nothing by itself, as ranks of other nodes come in between.
//!
//! Every message says which operation it belongs to and with what arguments its sender called it, so a rank that called another one is
//! found by whoever hears from it.

mod allgather;
mod allreduce;
mod alltoall;
mod barrier;
mod broadcast;
mod bundle;
mod gather;
mod reduce;
mod reduce_scatter;
mod scan;
mod scatter;
mod values;

use crate::communicator::Communicator;
use crate::datatype::{self, Datatype};
use crate::error::Error;
use crate::header::{Header, Kind};
use crate::matching::{Envelope, Pattern};
use crate::op::Op;
use crate::process::{Wait, type_name};

/// Long data is passed on in segments of this many bytes, so that the ranks along a path work at once. With a quarter of it 8 MiB over 4
/// ranks took a quarter longer; four times as much is as fast, and fills an inbox sooner.
const SEGMENT: usize = 128 << 10;

/// One call of a collective operation by this rank.
struct Call<'a> {
    communicator: &'a Communicator,
    header: Header,
    /// Whether all ranks have to give equally many elements.
    alike: bool,
}

/// What the ranks have to agree on.
struct Terms {
    kind: Kind,
    datatype: u32,
    count: usize,
    root: usize,
    op: &'static str,
    alike: bool,
}

impl Terms {
    fn new<T: Datatype>(kind: Kind, count: usize) -> Self {
        Self { kind, datatype: datatype::code::<T>(), count, root: 0, op: "", alike: true }
    }

    fn root(self, root: usize) -> Self {
        Self { root, ..self }
    }

    fn op<T, O: Op<T>>(self, op: &O) -> Self {
        Self { op: op.name(), ..self }
    }

    /// Each rank may give as many elements as it likes. Such a call is another one than that of its like with equal counts.
    fn varying(self) -> Self {
        Self { alike: false, op: VARYING, ..self }
    }
}

/// Stands where the operation of a reduction would.
const VARYING: &str = "any counts";

impl<'a> Call<'a> {
    fn begin(communicator: &'a Communicator, terms: &Terms) -> Result<Self, Error> {
        communicator.check_rank(terms.kind.name(), terms.root)?;
        let header = Header {
            kind: terms.kind,
            more: false,
            from: communicator.process().rank as u32,
            source: communicator.rank() as u32,
            context: communicator.context() + 1,
            tag: communicator.next_operation(),
            datatype: terms.datatype,
            root: terms.root as u32,
            op: op_code(terms.op),
            count: terms.count as u64,
        };
        Ok(Self { communicator, header, alike: terms.alike })
    }

    fn send(&self, to: usize, body: &[u8]) -> Result<(), Error> {
        self.communicator.process().post(self.communicator.member(to), self.header, body)?;
        Ok(())
    }

    fn recv(&self, from: usize) -> Result<Envelope, Error> {
        let pattern = Pattern { context: self.header.context, source: Some(from as u32), tag: None };
        let wait = Wait::Collective { what: self.header.kind.name(), sequence: self.header.tag, source: self.communicator.member(from) };
        let envelope = self.communicator.process().receive(&pattern, &wait)?;
        self.check(&envelope.header)?;
        Ok(envelope)
    }

    /// Waits until what this rank sent has been put: it may not come back to where messages are dealt with.
    fn end(self) -> Result<(), Error> {
        self.communicator.process().flush_all()
    }

    fn check(&self, theirs: &Header) -> Result<(), Error> {
        let mine = &self.header;
        let agreed =
            (mine.kind, mine.tag, mine.datatype, mine.root, mine.op) == (theirs.kind, theirs.tag, theirs.datatype, theirs.root, theirs.op);
        if agreed && (!self.alike || mine.count == theirs.count) {
            return Ok(());
        }
        let (here, there) = (describe(mine), describe(theirs));
        Err(Error::Mismatch(format!("ranks disagree: rank {} calls {there}, where rank {} calls {here}", theirs.source, mine.source)))
    }

    /// All ranks.
    fn everybody(&self) -> Team<'_> {
        Team { call: self, ranks: None, me: self.communicator.rank(), size: self.communicator.size() }
    }

    /// The ranks of this node, the leader first, where there are several nodes.
    fn neighbours(&self) -> Team<'_> {
        let me = self.communicator.rank();
        let ranks = self.communicator.by_node().iter().find(|ranks| ranks.contains(&me));
        let ranks = ranks.expect("every rank is on a node");
        Team { call: self, ranks: Some(ranks), me: ranks.iter().position(|&rank| rank == me).unwrap_or_default(), size: ranks.len() }
    }

    /// The leaders of all nodes; none for who is none.
    fn leaders(&self) -> Option<Team<'_>> {
        let leaders = self.communicator.leaders();
        let me = leaders.iter().position(|&rank| rank == self.communicator.rank())?;
        Some(Team { call: self, ranks: Some(leaders), me, size: leaders.len() })
    }

    fn has_several_nodes(&self) -> bool {
        self.communicator.nodes() > 1
    }

    /// Whether there are several nodes, and one of them has several ranks: leaders spare messages between nodes.
    fn has_leaders(&self) -> bool {
        (2..self.communicator.size()).contains(&self.communicator.nodes())
    }

    /// Whether it has, and what nodes combine by themselves and leaders after them is combined in the order of the ranks: those of each
    /// node are consecutive, as `mpirun` places them.
    fn has_leaders_in_order(&self) -> bool {
        self.has_leaders() && self.communicator.by_node().iter().flatten().copied().eq(0..self.communicator.size())
    }

    /// The last rank of each node; none for who is none.
    fn lasts<'b>(&'b self, ranks: &'b mut Vec<usize>) -> Option<Team<'b>> {
        ranks.extend(self.communicator.by_node().iter().filter_map(|ranks| ranks.last()));
        let me = ranks.iter().position(|&rank| rank == self.communicator.rank())?;
        Some(Team { call: self, ranks: Some(ranks), me, size: ranks.len() })
    }

    /// The number of a rank's node, and the leader of that.
    fn node_of(&self, rank: usize) -> (usize, usize) {
        let nodes = self.communicator.by_node();
        let node = nodes.iter().position(|ranks| ranks.contains(&rank)).expect("every rank is on a node");
        (node, nodes[node][0])
    }
}

fn op_code(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// A call in words.
fn describe(header: &Header) -> String {
    const OPS: [&str; 15] = [
        "sum",
        "prod",
        "min",
        "max",
        "land",
        "lor",
        "lxor",
        "band",
        "bor",
        "bxor",
        "minloc",
        "maxloc",
        "one's own",
        "one's own, in order",
        VARYING,
    ];
    let op = OPS.iter().find(|name| op_code(name) == header.op).map(|name| format!(", {name}")).unwrap_or_default();
    let rooted = matches!(header.kind, Kind::Broadcast | Kind::Reduce | Kind::Gather | Kind::Scatter);
    let root = if rooted { format!(", root {}", header.root) } else { String::new() };
    let count = match header.kind {
        Kind::Barrier => String::new(),
        _ => format!(" of {} × {}", header.count, type_name(header.datatype)),
    };
    format!("{}{count}{op}{root} as its collective operation {}", header.kind.name(), header.tag)
}

/// Some ranks of a communicator, numbered from 0, in the middle of a call.
#[derive(Clone, Copy)]
struct Team<'a> {
    call: &'a Call<'a>,
    /// Their ranks in the communicator; absent where these are all.
    ranks: Option<&'a [usize]>,
    me: usize,
    size: usize,
}

impl Team<'_> {
    fn rank(&self, number: usize) -> usize {
        self.ranks.map_or(number, |ranks| ranks[number])
    }

    fn send(&self, to: usize, body: &[u8]) -> Result<(), Error> {
        self.call.send(self.rank(to), body)
    }

    fn recv(&self, from: usize) -> Result<Envelope, Error> {
        self.call.recv(self.rank(from))
    }

    /// Receives as many bytes as there is room for.
    fn recv_into(&self, from: usize, room: &mut [u8]) -> Result<(), Error> {
        fill(room, &self.recv(from)?)
    }

    /// This rank's number, counted from another one.
    fn counted_from(&self, root: usize) -> usize {
        (self.me + self.size - root) % self.size
    }

    /// The number behind one that is counted from another.
    fn back(&self, from_root: usize, root: usize) -> usize {
        (from_root + root) % self.size
    }
}

/// Copies a message of just this size.
fn fill(room: &mut [u8], envelope: &Envelope) -> Result<(), Error> {
    fill_with(room, envelope.body(), || format!("rank {} in {}", envelope.header.source, describe(&envelope.header)))
}

/// Copies bytes of just this size. `whose` says where they come from.
fn fill_with(room: &mut [u8], bytes: &[u8], whose: impl FnOnce() -> String) -> Result<(), Error> {
    if bytes.len() != room.len() {
        // Only ranks that disagree on counts come here, in operations where counts may differ.
        let (are, due, whose) = (bytes.len(), room.len(), whose());
        return Err(Error::Mismatch(format!("ranks disagree: {whose} has {are} bytes, where {due} are due")));
    }
    room.copy_from_slice(bytes);
    Ok(())
}

/// Segments of a whole of this many elements of this size; one of none where it is empty.
fn segments(len: usize, size: usize) -> impl Iterator<Item = std::ops::Range<usize>> + Clone {
    let step = (SEGMENT / size.max(1)).max(1);
    (0..len.max(1)).step_by(step).map(move |start| start..len.min(start + step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_consecutive_and_cover_everything() {
        for (len, size) in [(0, 8), (1, 8), (SEGMENT / 8, 8), (SEGMENT / 8 + 1, 8), (1 << 20, 1), (3, 1 << 20)] {
            let all: Vec<_> = segments(len, size).collect();
            assert_eq!((all[0].start, all[all.len() - 1].end), (0, len));
            assert!(all.windows(2).all(|two| two[0].end == two[1].start));
        }
    }

    #[test]
    fn a_call_is_said_in_words() {
        let header = Header {
            kind: Kind::Reduce,
            more: false,
            from: 0,
            source: 0,
            context: 1,
            tag: 7,
            datatype: datatype::code::<f64>(),
            root: 2,
            op: op_code("sum"),
            count: 10,
        };
        assert_eq!(describe(&header), "reduce of 10 × f64, sum, root 2 as its collective operation 7");
        let barrier = Header { kind: Kind::Barrier, op: op_code(""), ..header };
        assert_eq!(describe(&barrier), "barrier as its collective operation 7");
    }
}
