//! A message around a ring of ranks, as every introduction to MPI has it. The argument says how many rounds, else 3.

use places::Channel;
use places_mpi::{finish, init};

#[places::start]
fn ring(ch: Channel) -> places::Result {
    let (world, args) = init(ch)?;
    let rounds: u64 = args.first().map_or(Ok(3), |rounds| rounds.parse())?;
    let (next, before) = ((world.rank() + 1) % world.size(), (world.rank() + world.size() - 1) % world.size());
    for round in 1..=rounds {
        if world.rank() == 0 {
            world.send(&[1u64], next, 0)?;
            let (hops, _) = world.recv::<u64>(before, 0)?;
            println!("round {round}: {} ranks passed it on", hops[0]);
        } else {
            let (hops, _) = world.recv::<u64>(before, 0)?;
            world.send(&[hops[0] + 1], next, 0)?;
        }
    }
    Ok(finish(world)?)
}
