//! Barrier (MPI 4.1, section 6.3).

use super::broadcast::broadcast;
use super::reduce::gather_up;
use super::{Call, Terms};
use crate::communicator::Communicator;
use crate::datatype;
use crate::error::Error;
use crate::header::Kind;

impl Communicator {
    /// Waits until all ranks have called it: up a binomial tree and down again, which are the fewest messages (MPI 4.1, section 6.3).
    ///
    /// # Errors
    /// [`Error::Mismatch`] where another rank called something else; [`Error::Ended`] where a rank has gone wrong and the job goes on.
    pub fn barrier(&self) -> Result<(), Error> {
        let terms = Terms { kind: Kind::Barrier, datatype: datatype::NOTHING, count: 0, root: 0, op: "", alike: true };
        let call = Call::begin(self, &terms)?;
        if call.has_several_nodes() {
            gather_up(&call.neighbours())?;
            if let Some(leaders) = call.leaders() {
                gather_up(&leaders)?;
                broadcast(&leaders, 0, &mut [])?;
            }
            broadcast(&call.neighbours(), 0, &mut [])?;
        } else {
            gather_up(&call.everybody())?;
            broadcast(&call.everybody(), 0, &mut [])?;
        }
        call.end()
    }
}
