//! Communicators: groups of ranks whose messages are apart from those of all others (MPI 4.1, chapter 7).

use std::cell::Cell;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

use crate::error::Error;
use crate::op::Max;
use crate::partition::share;
use crate::process::Process;

/// A group of ranks that can talk to each other, and nobody else to them. A clone is the same communicator; [`Self::dup`] makes
/// another one.
///
/// All ranks have to call its collective operations in the same order. Where they do not, an error says which rank did what, as soon
/// as a message shows it.
#[derive(Clone)]
pub struct Communicator(Rc<Inner>);

struct Inner {
    process: Rc<Process>,
    context: u32,
    rank: usize,
    /// The rank in the world of each rank here.
    members: Vec<usize>,
    /// The ranks of each node, where there are several; the node of rank 0 is first, and each one's ranks are in order.
    nodes: Vec<Vec<usize>>,
    /// The first rank of each node.
    leaders: Vec<usize>,
    /// Collective operations so far.
    operations: Cell<u32>,
}

impl Communicator {
    /// All ranks of the job.
    pub(crate) fn world(process: Process) -> Self {
        let members = (0..process.hosts.len()).collect();
        let rank = process.rank;
        Self::of(Rc::new(process), 0, members, rank)
    }

    fn of(process: Rc<Process>, context: u32, members: Vec<usize>, rank: usize) -> Self {
        let mut nodes: Vec<(u32, Vec<usize>)> = Vec::new();
        for (rank, member) in members.iter().enumerate() {
            let host = process.hosts[*member];
            match nodes.iter_mut().find(|(other, _)| *other == host) {
                Some((_, ranks)) => ranks.push(rank),
                None => nodes.push((host, vec![rank])),
            }
        }
        let nodes: Vec<Vec<usize>> = nodes.into_iter().map(|(_, ranks)| ranks).collect();
        let leaders = nodes.iter().map(|ranks| ranks[0]).collect();
        Self(Rc::new(Inner { process, context, rank, members, nodes, leaders, operations: Cell::new(0) }))
    }

    /// The rank of this place in it.
    pub fn rank(&self) -> usize {
        self.0.rank
    }

    /// How many ranks it has.
    pub fn size(&self) -> usize {
        self.0.members.len()
    }

    /// On how many nodes they run.
    pub fn nodes(&self) -> usize {
        self.0.nodes.len()
    }

    /// How many messages this rank has sent to a rank of it so far, over all communicators: what a program looks at that wants to know what
    /// its operations cost, a performance variable in the words of section 15.3. A message longer than 1 MiB counts once for each. What a
    /// rank sends to itself does not count.
    ///
    /// # Errors
    /// [`Error::NoRank`].
    pub fn messages_to(&self, rank: usize) -> Result<u64, Error> {
        self.check_rank("messages_to", rank)?;
        Ok(self.process().messages_to(self.member(rank)))
    }

    /// The share of this rank in `total` elements, as [`share`] gives it; `rmpi-partition`.
    pub fn partition(&self, total: usize) -> Range<usize> {
        share(total, self.rank(), self.size())
    }

    /// Another communicator of the same ranks, whose messages are apart. Collective (section 7.4.2).
    ///
    /// # Errors
    /// As [`Self::barrier`].
    pub fn dup(&self) -> Result<Self, Error> {
        let context = self.agree_on_context()?;
        Ok(Self::of(Rc::clone(&self.0.process), context, self.0.members.clone(), self.rank()))
    }

    /// A communicator for each colour, of the ranks that gave it: in the order of their keys, and where those are equal, of their ranks
    /// here. Who gives no colour gets none. Collective (section 7.4.2).
    ///
    /// # Errors
    /// As [`Self::barrier`].
    pub fn split(&self, color: Option<u32>, key: i64) -> Result<Option<Self>, Error> {
        let context = self.agree_on_context()?;
        // The absence of a colour is a number that no colour can be.
        let mine = [color.map_or(-1, i64::from), key];
        let all = self.allgather(&mine)?;
        let Some(color) = color else { return Ok(None) };
        let mut ranks: Vec<(i64, usize)> = Vec::new();
        for (rank, pair) in all.chunks_exact(2).enumerate() {
            if pair[0] == i64::from(color) {
                ranks.push((pair[1], rank));
            }
        }
        ranks.sort_unstable();
        Ok(self.subset(context, &ranks.iter().map(|(_, rank)| *rank).collect::<Vec<_>>()))
    }

    /// A communicator of some ranks of this one, in this order; none for who is not among them. Collective over all ranks of this one,
    /// which have to name the same ones (section 7.4.2, `MPI_Comm_create`).
    ///
    /// # Errors
    /// As [`Self::barrier`]; a rank is not there or is named twice.
    pub fn subgroup(&self, ranks: &[usize]) -> Result<Option<Self>, Error> {
        for (index, &rank) in ranks.iter().enumerate() {
            self.check_rank("subgroup", rank)?;
            if ranks[..index].contains(&rank) {
                return Err(Error::Invalid(format!("subgroup names rank {rank} twice")));
            }
        }
        let context = self.agree_on_context()?;
        Ok(self.subset(context, ranks))
    }

    /// The communicator of these ranks, if this one is among them.
    fn subset(&self, context: u32, ranks: &[usize]) -> Option<Self> {
        let rank = ranks.iter().position(|&rank| rank == self.rank())?;
        let members = ranks.iter().map(|&rank| self.0.members[rank]).collect();
        Some(Self::of(Rc::clone(&self.0.process), context, members, rank))
    }

    /// A number that no rank of this communicator has used for another one. Those that have no rank in common may share it.
    fn agree_on_context(&self) -> Result<u32, Error> {
        let mut next = [self.process().next_context()];
        self.allreduce(&mut next, Max)?;
        // Two for each: one for messages between two ranks, one for collective operations.
        self.process().set_next_context(next[0] + 2);
        Ok(next[0])
    }

    pub(crate) fn process(&self) -> &Process {
        &self.0.process
    }

    /// The number under which messages between two ranks travel; collective operations have the next one.
    pub(crate) fn context(&self) -> u32 {
        self.0.context
    }

    /// The rank in the world of a rank here.
    pub(crate) fn member(&self, rank: usize) -> usize {
        self.0.members[rank]
    }

    /// The ranks of each node.
    pub(crate) fn by_node(&self) -> &[Vec<usize>] {
        &self.0.nodes
    }

    /// The first rank of each node.
    pub(crate) fn leaders(&self) -> &[usize] {
        &self.0.leaders
    }

    /// The number of the collective operation that begins.
    pub(crate) fn next_operation(&self) -> u32 {
        let number = self.0.operations.get();
        self.0.operations.set(number.wrapping_add(1));
        number
    }

    /// # Errors
    /// There is no such rank.
    pub(crate) fn check_rank(&self, what: &'static str, rank: usize) -> Result<(), Error> {
        if rank < self.size() { Ok(()) } else { Err(Error::NoRank { what, rank, size: self.size() }) }
    }
}

impl fmt::Debug for Communicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Communicator").field("rank", &self.rank()).field("size", &self.size()).finish_non_exhaustive()
    }
}
