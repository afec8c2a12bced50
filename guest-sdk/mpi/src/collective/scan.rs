//! Scan and exscan (MPI 4.1, section 6.11).
//!
//! In a logarithm of rounds each rank gets from twice as far before it what that one has of the ranks before itself.

use super::{Call, Team, Terms};
use crate::communicator::Communicator;
use crate::datatype::{self, Datatype};
use crate::error::Error;
use crate::header::Kind;
use crate::op::Op;

impl Communicator {
    /// Combines the elements of this rank and all before it, one by one.
    ///
    /// # Errors
    /// As [`Self::barrier`].
    pub fn scan<T: Datatype>(&self, data: &mut [T], op: impl Op<T>) -> Result<(), Error> {
        let call = Call::begin(self, &Terms::new::<T>(Kind::Scan, data.len()).op(&op))?;
        scan(&call.everybody(), data, &op)?;
        call.end()
    }

    /// Combines the elements of all ranks before this one, one by one; rank 0 has none before it, and gets nothing.
    ///
    /// # Errors
    /// As [`Self::barrier`].
    pub fn exscan<T: Datatype>(&self, data: &[T], op: impl Op<T>) -> Result<Option<Vec<T>>, Error> {
        let call = Call::begin(self, &Terms::new::<T>(Kind::Exscan, data.len()).op(&op))?;
        let team = call.everybody();
        let mut sum = data.to_vec();
        scan(&team, &mut sum, &op)?;
        if team.me + 1 < team.size {
            team.send(team.me + 1, bytemuck::cast_slice(&sum))?;
        }
        let mut before = None;
        if team.me > 0 {
            team.recv_into(team.me - 1, bytemuck::cast_slice_mut(&mut sum))?;
            before = Some(sum);
        }
        call.end()?;
        Ok(before)
    }
}

fn scan<T: Datatype>(team: &Team<'_>, sum: &mut [T], op: &impl Op<T>) -> Result<(), Error> {
    let mut distance = 1;
    while distance < team.size {
        if team.me + distance < team.size {
            team.send(team.me + distance, bytemuck::cast_slice(sum))?;
        }
        if team.me >= distance {
            op.before(sum, &datatype::elements(team.recv(team.me - distance)?.body()));
        }
        distance *= 2;
    }
    Ok(())
}
