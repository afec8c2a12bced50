//! Reduce (MPI 4.1, section 6.9.1).
//!
//! Up a binomial tree, in segments where the data is longer than one. The tree is rooted at the root where the operation is
//! commutative; else at rank 0, below which the ranks stand in order, and the result goes on to the root.
//!
//! Between nodes each node combines what its ranks have, and then the leaders do. Only where the order matters and the ranks of a node
//! are not consecutive, as after a split by other keys, there is nothing that a node could combine by itself.

use super::{Call, Team, Terms, segments};
use crate::communicator::Communicator;
use crate::datatype::{self, Datatype};
use crate::error::Error;
use crate::header::Kind;
use crate::op::Op;
use crate::tree::Binomial;

impl Communicator {
    /// Combines the elements of all ranks, one by one; the root gets the result, the others nothing (MPI 4.1, section 6.9.1).
    ///
    /// # Errors
    /// As [`Self::barrier`]; [`Error::NoRank`].
    pub fn reduce<T: Datatype>(&self, data: &[T], op: impl Op<T>, root: usize) -> Result<Option<Vec<T>>, Error> {
        let call = Call::begin(self, &Terms::new::<T>(Kind::Reduce, data.len()).root(root).op(&op))?;
        let mut sum = data.to_vec();
        let in_order = !op.is_commutative();
        if call.has_leaders_in_order() || (call.has_leaders() && !in_order) {
            let (node, leader) = if in_order { (0, 0) } else { call.node_of(root) };
            reduce(&call.neighbours(), 0, &mut sum, &op)?;
            if let Some(leaders) = call.leaders() {
                reduce(&leaders, node, &mut sum, &op)?;
            }
            pass(&call, leader, root, &mut sum)?;
        } else if !in_order {
            reduce(&call.everybody(), root, &mut sum, &op)?;
        } else {
            reduce(&call.everybody(), 0, &mut sum, &op)?;
            pass(&call, 0, root, &mut sum)?;
        }
        call.end()?;
        Ok((self.rank() == root).then_some(sum))
    }
}

/// Hands the result on.
fn pass<T: Datatype>(call: &Call<'_>, from: usize, to: usize, data: &mut [T]) -> Result<(), Error> {
    let me = call.communicator.rank();
    if from == to {
        return Ok(());
    }
    if me == from {
        return call.send(to, bytemuck::cast_slice(data));
    }
    if me == to { super::fill(bytemuck::cast_slice_mut(data), &call.recv(from)?) } else { Ok(()) }
}

/// Combines what a team has at one of it; what the others have afterwards is of no use. In the order of their numbers, counted from the
/// root.
pub(super) fn reduce<T: Datatype>(team: &Team<'_>, root: usize, data: &mut [T], op: &impl Op<T>) -> Result<(), Error> {
    let tree = Binomial { rank: team.counted_from(root), size: team.size };
    for segment in segments(data.len(), size_of::<T>()) {
        let part = &mut data[segment];
        for child in tree.children() {
            let envelope = team.recv(team.back(child, root))?;
            op.after(part, &datatype::elements(envelope.body()));
        }
        if let Some(parent) = tree.parent() {
            team.send(team.back(parent, root), bytemuck::cast_slice(part))?;
        }
    }
    Ok(())
}

/// Waits at the first of a team until all of it have come here.
pub(super) fn gather_up(team: &Team<'_>) -> Result<(), Error> {
    let tree = Binomial { rank: team.me, size: team.size };
    tree.children().try_for_each(|child| team.recv(child).map(drop))?;
    tree.parent().map_or(Ok(()), |parent| team.send(parent, &[]))
}
