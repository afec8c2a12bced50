//! How many messages of each collective operation cross between two nodes, counted by who sends them.

use places::Channel;
use places_mpi::{Communicator, Error, finish, init, op};

/// A communicator, and the node of each of its ranks.
struct Group {
    comm: Communicator,
    nodes: Vec<usize>,
    /// Whether the ranks of each node are consecutive.
    in_order: bool,
    root: usize,
}

impl Group {
    /// As many messages as said in all; and from one node to another no more than said.
    fn cross(&self, what: &str, in_all: usize, of_two: u64, call: impl FnOnce(&Communicator) -> Result<(), Error>) -> Result<(), Error> {
        let count = || (0..self.nodes.len()).map(|rank| self.comm.messages_to(rank)).collect::<Result<Vec<_>, _>>();
        // What others count meanwhile is theirs.
        let before = count()?;
        call(&self.comm)?;
        let sent: Vec<u64> = count()?.iter().zip(before).map(|(after, before)| after - before).collect();
        let all = self.comm.allgather(&sent)?;
        let far = self.nodes.iter().max().expect("there is a rank") + 1;
        let mut crossed = vec![vec![0; far]; far];
        for (row, from) in all.chunks_exact(self.nodes.len()).zip(&self.nodes) {
            for (count, to) in row.iter().zip(&self.nodes).filter(|(_, to)| *to != from) {
                crossed[*from][*to] += count;
            }
        }
        let (total, most) = (crossed.iter().flatten().sum::<u64>(), crossed.iter().flatten().max());
        let placed = &self.nodes;
        assert_eq!(total, in_all as u64, "{what}, ranks on nodes {placed:?}, root {}: {crossed:?}", self.root);
        assert!(most.is_some_and(|most| *most <= of_two), "{what}, ranks on nodes {placed:?}, root {}: {crossed:?}", self.root);
        Ok(())
    }

    /// A tree over nodes has an edge less than nodes; a message for each pair, each way, are `pairs`.
    fn all(&self) -> Result<(), Error> {
        let (size, root) = (self.comm.size(), self.root);
        let nodes = self.comm.nodes();
        let (edges, pairs) = (nodes - 1, nodes * (nodes - 1));
        let folded = 1 << nodes.ilog2();
        let doubling = folded * nodes.ilog2() as usize + 2 * (nodes - folded);
        let rounds = (0..).map(|round| 1 << round).take_while(|&distance| distance < nodes).map(|distance| nodes - distance).sum();
        let is_root = self.comm.rank() == root;
        let mine = vec![1u32; 3];
        let all = vec![1u32; 3 * size];
        let blocks: Vec<Vec<u32>> = (0..size).map(|to| vec![1; to + self.comm.rank()]).collect();
        let text = || "text".to_owned();
        let join = |a: String, b: String| a + &b;

        self.cross("barrier", 2 * edges, 1, |comm| comm.barrier())?;
        self.cross("broadcast", edges, 1, |comm| comm.broadcast(&mut mine.clone(), root))?;
        self.cross("reduce", edges, 1, |comm| comm.reduce(&mine, op::Sum, root).map(drop))?;
        self.cross("allreduce", doubling, 1, |comm| comm.allreduce(&mut mine.clone(), op::Sum))?;
        self.cross("gather", edges, 1, |comm| comm.gather(&mine, root).map(drop))?;
        self.cross("gatherv", edges, 1, |comm| comm.gatherv(&blocks[root], root).map(drop))?;
        self.cross("scatter", edges, 1, |comm| comm.scatter(is_root.then_some(&all[..]), root).map(drop))?;
        self.cross("scatterv", edges, 1, |comm| comm.scatterv(is_root.then_some(&blocks[..]), root).map(drop))?;
        // Around a ring each node's blocks pass the same two nodes one after the other.
        self.cross("allgather", pairs, edges as u64, |comm| comm.allgather(&mine).map(drop))?;
        self.cross("allgatherv", pairs, 1, |comm| comm.allgatherv(&blocks[0]).map(drop))?;
        self.cross("alltoall", pairs, 1, |comm| comm.alltoall(&all).map(drop))?;
        self.cross("alltoallv", pairs, 1, |comm| comm.alltoallv(&blocks).map(drop))?;
        self.cross("reduce_scatter_block", pairs, 1, |comm| comm.reduce_scatter_block(&all, op::Sum).map(drop))?;
        self.cross("reduce_scatter_block of long data", pairs, 1, |comm| {
            comm.reduce_scatter_block(&vec![1u64; 4_000 * size], op::Sum).map(drop)
        })?;

        self.cross("broadcast_value", edges, 1, |comm| comm.broadcast_value(is_root.then(text), root).map(drop))?;
        self.cross("gather_value", edges, 1, |comm| comm.gather_value(text(), root).map(drop))?;
        self.cross("scatter_value", edges, 1, |comm| comm.scatter_value(is_root.then_some(&blocks[..]), root).map(drop))?;
        self.cross("allgather_value", pairs, 1, |comm| comm.allgather_value(text()).map(drop))?;
        self.cross("alltoall_value", pairs, 1, |comm| comm.alltoall_value(blocks.clone()).map(drop))?;
        self.cross("reduce_scatter_value", pairs, 1, |comm| comm.reduce_scatter_value(vec![text(); size], join).map(drop))?;
        self.cross("allreduce_value", 2 * edges, 1, |comm| comm.allreduce_value(text(), join).map(drop))?;
        // In their order values are combined up to rank 0; where ranks are not consecutive, by the root.
        let on = if self.in_order { usize::from(self.nodes[root] != self.nodes[0]) } else { 0 };
        self.cross("reduce_value", edges + on, 1, |comm| comm.reduce_value(text(), join, root).map(drop))?;

        // Of the long blocks there is one from each rank to each on another node, beside what the leaders say.
        let long = vec![vec![1u8; 5_000]; size];
        let far = (0..size).flat_map(|from| (0..size).map(move |to| (from, to))).filter(|(from, to)| self.nodes[*from] != self.nodes[*to]);
        self.cross("alltoallv of long blocks", pairs + far.count(), u64::MAX, |comm| comm.alltoallv(&long).map(drop))?;

        if self.in_order {
            let ordered = || op::ordered(|a: &u32, b: &u32| a.wrapping_mul(31).wrapping_add(*b));
            self.cross("reduce in order", edges + on, 1, |comm| comm.reduce(&mine, ordered(), root).map(drop))?;
            self.cross("allreduce in order", doubling, 1, |comm| comm.allreduce(&mut mine.clone(), ordered()))?;
            self.cross("scan", rounds, 1, |comm| comm.scan(&mut mine.clone(), op::Sum))?;
            self.cross("exscan", rounds, 1, |comm| comm.exscan(&mine, op::Sum).map(drop))?;
            self.cross("scan_value", rounds, 1, |comm| comm.scan_value(text(), join).map(drop))?;
            self.cross("exscan_value", rounds, 1, |comm| comm.exscan_value(text(), join).map(drop))?;
        }
        Ok(())
    }
}

/// A rank. The arguments say how many there are on each node.
#[places::start]
fn crossings(ch: Channel) -> places::Result {
    let (world, args) = init(ch)?;
    let each = args.iter().map(|arg| arg.parse()).collect::<Result<Vec<usize>, _>>()?;
    let nodes: Vec<usize> = each.iter().enumerate().flat_map(|(node, count)| std::iter::repeat_n(node, *count)).collect();
    // The first ranks of all nodes, then the second ones, and so on.
    let mut dealt: Vec<usize> = (0..world.size()).collect();
    let place_on_node = |rank: usize| nodes[..rank].iter().filter(|node| **node == nodes[rank]).count();
    dealt.sort_by_key(|&rank| (place_on_node(rank), rank));
    let other = world.split(Some(0), place_on_node(world.rank()) as i64)?.ok_or("it has a colour")?;
    for root in 0..world.size() {
        Group { comm: world.clone(), nodes: nodes.clone(), in_order: true, root }.all()?;
        let nodes = dealt.iter().map(|&rank| nodes[rank]).collect();
        Group { comm: other.clone(), nodes, in_order: false, root }.all()?;
    }
    Ok(finish(world)?)
}
