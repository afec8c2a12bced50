//! How a place becomes a rank, and ceases to be one (MPI 4.1, section 11.2).

use places::{Channel, Level, log};

use crate::communicator::Communicator;
use crate::error::Error;
use crate::process::Process;

/// Makes this place the rank that it was started as; returns all ranks of the job, and the job's arguments.
///
/// `ch` is what its start function was given. It has to be the first thing that happens to it.
///
/// # Errors
/// [`Error::Place`] where the place was not started by `placehost mpirun` or [`launch`](crate::launch()).
pub fn init<G, P>(ch: Channel<G, P>) -> Result<(Communicator, Vec<String>), Error> {
    let process = Process::begin(ch.typed())?;
    Ok((Communicator::world(process), std::env::args().skip(1).collect()))
}

/// Ends this rank's part of the job: waits until all it sent has been put, and until all ranks have come so far. A rank that just
/// returns does as well, if nobody needs it any more.
///
/// # Errors
/// As [`Communicator::barrier`].
pub fn finish(world: Communicator) -> Result<(), Error> {
    world.process().flush_all()?;
    world.barrier()?;
    let unclaimed = world.process().unclaimed();
    if unclaimed > 0 {
        log(Level::Warn, format_args!("rank {} leaves {unclaimed} messages that nobody has received", world.rank()));
    }
    Ok(())
}
