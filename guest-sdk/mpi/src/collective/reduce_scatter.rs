//! Reduce-scatter (MPI 4.1, section 6.10).
//!
//! Short data goes up a binomial tree, and the blocks of the result come down from its root. Long data: each rank sends each other the
//! block that is that one's, and combines what comes in the order of the ranks; every element travels once.
//!
//! Between nodes each node combines what its ranks have at its leader, the leaders send each other what is of the other's ranks, and deal
//! out what comes: of many ranks on a node, one block crosses. That is not done where the order matters and the ranks of a node are not
//! consecutive, as there is nothing that a node could combine by itself. Over two nodes on loopback, of 4 ranks each, 1 MiB took 5–8 ms
//! so and 12–13 each with each; over four nodes of 2 ranks each both took 13–20 ms, and 64 bytes 490–590 µs and 450: what is spared grows
//! with the ranks on a node.

use std::ops::Range;

use super::reduce::reduce;
use super::{Call, Team, Terms, fill};
use crate::communicator::Communicator;
use crate::datatype::{self, Datatype};
use crate::error::Error;
use crate::header::Kind;
use crate::op::Op;
use crate::partition::blocks;

/// Up to this many bytes the number of messages costs more than their length.
const SHORT: usize = 4 << 10;

impl Communicator {
    /// Combines the elements of all ranks, one by one, and gives each rank a block of the result, all of one length.
    /// MPI 4.1, section 6.10.1.
    ///
    /// # Errors
    /// As [`Self::barrier`]; [`Error::Invalid`] where the number of ranks does not divide that of the elements.
    pub fn reduce_scatter_block<T: Datatype>(&self, data: &[T], op: impl Op<T>) -> Result<Vec<T>, Error> {
        if !data.len().is_multiple_of(self.size()) {
            return Err(Error::Invalid(format!("reduce_scatter_block of {} elements over {} ranks", data.len(), self.size())));
        }
        self.reduce_scatter(data, &vec![data.len() / self.size(); self.size()], op)
    }

    /// Combines the elements of all ranks, one by one, and gives each rank a block of the result. All ranks give the same lengths of the
    /// blocks (MPI 4.1, section 6.10.2).
    ///
    /// # Errors
    /// As [`Self::barrier`]; [`Error::Invalid`] where there is not one length for each rank, or they are not those of the data together.
    pub fn reduce_scatter<T: Datatype>(&self, data: &[T], lengths: &[usize], op: impl Op<T>) -> Result<Vec<T>, Error> {
        if lengths.len() != self.size() || lengths.iter().sum::<usize>() != data.len() {
            let (lengths, total) = (lengths.len(), lengths.iter().sum::<usize>());
            let (ranks, elements) = (self.size(), data.len());
            return Err(Error::Invalid(format!(
                "reduce_scatter of {elements} elements over {ranks} ranks with {lengths} lengths that make {total}"
            )));
        }
        let call = Call::begin(self, &Terms::new::<T>(Kind::ReduceScatter, data.len()).op(&op))?;
        let ranges = blocks(lengths);
        let mine = if call.has_leaders_in_order() || (call.has_leaders() && op.is_commutative()) {
            over_leaders(&call, data, &ranges, &op)?
        } else if size_of_val(data) <= SHORT {
            from_root(&call, data, &ranges, &op)?
        } else {
            exchanged(&call.everybody(), data, &ranges, &op)?
        };
        call.end()?;
        Ok(mine)
    }
}

fn from_root<T: Datatype>(call: &Call<'_>, data: &[T], ranges: &[Range<usize>], op: &impl Op<T>) -> Result<Vec<T>, Error> {
    let team = call.everybody();
    let mut sum = data.to_vec();
    reduce(&team, 0, &mut sum, op)?;
    let mut mine = sum[ranges[team.me].clone()].to_vec();
    if team.me > 0 {
        fill(bytemuck::cast_slice_mut(&mut mine), &team.recv(0)?)?;
        return Ok(mine);
    }
    for (rank, range) in ranges.iter().enumerate().skip(1) {
        team.send(rank, bytemuck::cast_slice(&sum[range.clone()]))?;
    }
    Ok(mine)
}

/// `ranges` are those of the team.
fn exchanged<T: Datatype>(team: &Team<'_>, data: &[T], ranges: &[Range<usize>], op: &impl Op<T>) -> Result<Vec<T>, Error> {
    for step in 1..team.size {
        let to = (team.me + step) % team.size;
        team.send(to, bytemuck::cast_slice(&data[ranges[to].clone()]))?;
    }
    let own = &data[ranges[team.me].clone()];
    let mut sum: Option<Vec<T>> = None;
    for from in 0..team.size {
        let envelope;
        let part = if from == team.me {
            own.into()
        } else {
            envelope = team.recv(from)?;
            datatype::elements(envelope.body())
        };
        match &mut sum {
            None => sum = Some(part.into_owned()),
            Some(sum) => op.after(sum, &part),
        }
    }
    Ok(sum.unwrap_or_default())
}

/// Each node combines at its leader, and the leaders exchange the blocks of whole nodes.
fn over_leaders<T: Datatype>(call: &Call<'_>, data: &[T], ranges: &[Range<usize>], op: &impl Op<T>) -> Result<Vec<T>, Error> {
    let neighbours = call.neighbours();
    let mut sum = data.to_vec();
    reduce(&neighbours, 0, &mut sum, op)?;
    let mut mine = vec![T::zeroed(); ranges[call.communicator.rank()].len()];
    let Some(leaders) = call.leaders() else {
        neighbours.recv_into(0, bytemuck::cast_slice_mut(&mut mine))?;
        return Ok(mine);
    };
    // The blocks of each node's ranks one behind the other.
    let nodes = call.communicator.by_node();
    let by_node = nodes.iter().flatten().map(|&rank| &sum[ranges[rank].clone()]).collect::<Vec<_>>().concat();
    let of_node = |ranks: &Vec<usize>| ranks.iter().map(|&rank| ranges[rank].len()).sum();
    let ours = exchanged(&leaders, &by_node, &blocks(&nodes.iter().map(of_node).collect::<Vec<_>>()), op)?;
    let lengths: Vec<usize> = nodes[leaders.me].iter().map(|&rank| ranges[rank].len()).collect();
    for (number, block) in blocks(&lengths).into_iter().enumerate() {
        match number {
            0 => mine.copy_from_slice(&ours[block]),
            _ => neighbours.send(number, bytemuck::cast_slice(&ours[block]))?,
        }
    }
    Ok(mine)
}
