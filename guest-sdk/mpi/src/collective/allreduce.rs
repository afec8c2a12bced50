//! Allreduce (MPI 4.1, section 6.9.6).
//!
//! Short data goes up a binomial tree and down again where all ranks share a node: of all patterns it has the fewest messages, and
//! there are fewer processors than ranks. Between nodes, for two ranks, and for operations that are not commutative, it is recursive
//! doubling. Long data is Rabenseifner's: a reduce-scatter by recursive halving and an allgather by doubling; and a ring where the number
//! of ranks is no power of two.
//!
//! Between nodes each node combines what its ranks have, and then the leaders do as said. Only where the order matters and the ranks of
//! a node are not consecutive all ranks do, as there is nothing that a node could combine by itself.

use super::broadcast::broadcast;
use super::reduce::reduce;
use super::{Call, Team, Terms};
use crate::communicator::Communicator;
use crate::datatype::{self, Datatype};
use crate::error::Error;
use crate::header::Kind;
use crate::op::Op;
use crate::partition::share;
use crate::tree::{Folded, fold, folded_size, unfold};

/// Up to this many bytes the number of messages costs more than their length: over 4 ranks of one node the tree took 50 µs for 32 KiB and
/// Rabenseifner's 78; both alike 170 for 128 KiB; and 2,050 and 1,040 for 1 MiB.
const SHORT: usize = 64 << 10;

impl Communicator {
    /// Combines the elements of all ranks, one by one, and gives all the result (MPI 4.1, section 6.9.6).
    ///
    /// ```no_run
    /// # fn example(world: &places_mpi::Communicator) -> Result<(), places_mpi::Error> {
    /// let mut product = [world.rank() as u64 + 1];
    /// world.allreduce(&mut product, places_mpi::op::Prod)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Self::barrier`].
    pub fn allreduce<T: Datatype>(&self, data: &mut [T], op: impl Op<T>) -> Result<(), Error> {
        let call = Call::begin(self, &Terms::new::<T>(Kind::Allreduce, data.len()).op(&op))?;
        let long = size_of_val(data) > SHORT && data.len() >= self.size();
        let in_order = !op.is_commutative();
        if call.has_leaders_in_order() || (call.has_leaders() && !in_order) {
            reduce(&call.neighbours(), 0, data, &op)?;
            if let Some(leaders) = call.leaders() {
                if long && !in_order { scattered(&leaders, data, &op)? } else { doubling(&leaders, data, &op)? }
            }
            broadcast(&call.neighbours(), 0, bytemuck::cast_slice_mut(data))?;
        } else if in_order || (!long && (self.size() == 2 || call.has_several_nodes())) {
            doubling(&call.everybody(), data, &op)?;
        } else if long {
            scattered(&call.everybody(), data, &op)?;
        } else {
            reduce(&call.everybody(), 0, data, &op)?;
            broadcast(&call.everybody(), 0, bytemuck::cast_slice_mut(data))?;
        }
        call.end()
    }
}

/// For long data.
fn scattered<T: Datatype>(team: &Team<'_>, data: &mut [T], op: &impl Op<T>) -> Result<(), Error> {
    if team.size.is_power_of_two() { rabenseifner(team, data, op) } else { ring(team, data, op) }
}

/// Recursive doubling: in each round everybody combines what it has with a partner twice as far away. Keeps the order of the ranks.
fn doubling<T: Datatype>(team: &Team<'_>, data: &mut [T], op: &impl Op<T>) -> Result<(), Error> {
    let (number, lender) = match fold(team.me, team.size) {
        Folded::Lends(to) => {
            team.send(to, bytemuck::cast_slice(data))?;
            return team.recv_into(to, bytemuck::cast_slice_mut(data));
        }
        Folded::Takes { number, lender } => (number, lender),
    };
    if let Some(lender) = lender {
        op.before(data, &datatype::elements(team.recv(lender)?.body()));
    }
    let mut distance = 1;
    while distance < folded_size(team.size) {
        let partner = number ^ distance;
        let rank = unfold(partner, team.size);
        team.send(rank, bytemuck::cast_slice(data))?;
        let theirs = team.recv(rank)?;
        let theirs = datatype::elements(theirs.body());
        if partner < number {
            op.before(data, &theirs)
        } else {
            op.after(data, &theirs)
        }
        distance *= 2;
    }
    lender.map_or(Ok(()), |lender| team.send(lender, bytemuck::cast_slice(data)))
}

/// Rabenseifner's, for a power of two: each round halves what a rank is in charge of, until that is a share combined of all ranks;
/// then the shares are put together again.
fn rabenseifner<T: Datatype>(team: &Team<'_>, data: &mut [T], op: &impl Op<T>) -> Result<(), Error> {
    let Team { me, size, .. } = *team;
    let len = data.len();
    // The elements of some consecutive shares.
    let shares = |first: usize, count: usize| share(len, first, size).start..share(len, first + count - 1, size).end;
    let mut distance = size / 2;
    while distance > 0 {
        let partner = me ^ distance;
        // Both are in charge of `2 * distance` shares, and each keeps its own half of them.
        let mine = shares(me & !(distance - 1), distance);
        let theirs = shares(partner & !(distance - 1), distance);
        team.send(partner, bytemuck::cast_slice(&data[theirs]))?;
        let part = team.recv(partner)?;
        op.after(&mut data[mine], &datatype::elements(part.body()));
        distance /= 2;
    }
    distance = 1;
    while distance < size {
        let partner = me ^ distance;
        let mine = shares(me & !(distance - 1), distance);
        let theirs = shares(partner & !(distance - 1), distance);
        team.send(partner, bytemuck::cast_slice(&data[mine]))?;
        team.recv_into(partner, bytemuck::cast_slice_mut(&mut data[theirs]))?;
        distance *= 2;
    }
    Ok(())
}

/// Around a ring, share by share: once to combine them, once to spread them.
fn ring<T: Datatype>(team: &Team<'_>, data: &mut [T], op: &impl Op<T>) -> Result<(), Error> {
    let Team { me, size, .. } = *team;
    let len = data.len();
    let (next, before) = ((me + 1) % size, (me + size - 1) % size);
    // The share that is this many behind another one.
    let behind = |from: usize, steps: usize| share(len, (from + size - steps) % size, size);
    for step in 0..size - 1 {
        team.send(next, bytemuck::cast_slice(&data[behind(me, step)]))?;
        let part = team.recv(before)?;
        op.after(&mut data[behind(me, step + 1)], &datatype::elements(part.body()));
    }
    for step in 0..size - 1 {
        team.send(next, bytemuck::cast_slice(&data[behind(next, step)]))?;
        team.recv_into(before, bytemuck::cast_slice_mut(&mut data[behind(me, step)]))?;
    }
    Ok(())
}
