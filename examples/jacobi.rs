//! Heat in a square plate whose upper edge is hot, by Jacobi's method: each rank has some rows, and exchanges the outermost with its
//! neighbours while it computes the others. The argument is the side, else 64.

use places::Channel;
use places_mpi::{Communicator, Error, Request, finish, init, op};

/// The change at which it is done.
const SMALL: f64 = 1e-4;

#[places::start]
fn jacobi(ch: Channel) -> places::Result {
    let (world, args) = init(ch)?;
    let side: usize = args.first().map_or(Ok(64), |side| side.parse())?;
    if side < world.size() {
        return Err(format!("{} ranks for {side} rows", world.size()).into());
    }
    let rows = world.partition(side);
    // With a row above and one below, and a column on each side.
    let mut plate = vec![vec![0.0; side + 2]; rows.len() + 2];
    if rows.start == 0 {
        plate[0].fill(100.0);
    }
    let mut steps = 0;
    loop {
        steps += 1;
        let mut change = [step(&world, &mut plate)?];
        world.allreduce(&mut change, op::Max)?;
        if change[0] < SMALL {
            break;
        }
    }
    let mut heat = [plate[1..=rows.len()].iter().flat_map(|row| &row[1..=side]).sum::<f64>()];
    world.allreduce(&mut heat, op::Sum)?;
    if world.rank() == 0 {
        println!("after {steps} steps the plate has a mean of {:.6}", heat[0] / (side * side) as f64);
    }
    Ok(finish(world)?)
}

/// One step; returns the greatest change.
fn step(world: &Communicator, plate: &mut [Vec<f64>]) -> Result<f64, Error> {
    let last = plate.len() - 2;
    let above = world.rank().checked_sub(1);
    let below = Some(world.rank() + 1).filter(|&rank| rank < world.size());
    let from_above = above.map(|rank| world.irecv::<f64>(rank, 0)).transpose()?;
    let from_below = below.map(|rank| world.irecv::<f64>(rank, 1)).transpose()?;
    let to_above = above.map(|rank| world.isend(&plate[1], rank, 1)).transpose()?;
    let to_below = below.map(|rank| world.isend(&plate[last], rank, 0)).transpose()?;
    let inner: Vec<Vec<f64>> = (2..last).map(|row| smoothed(plate, row)).collect();
    if let Some(request) = from_above {
        plate[0] = request.wait()?.0;
    }
    if let Some(request) = from_below {
        plate[last + 1] = request.wait()?.0;
    }
    [to_above, to_below].into_iter().flatten().try_for_each(Request::wait)?;
    let (first, end) = (smoothed(plate, 1), smoothed(plate, last));
    let mut rows: Vec<Vec<f64>> = std::iter::once(first).chain(inner).collect();
    if last > 1 {
        rows.push(end);
    }
    let mut change = 0.0f64;
    for (old, new) in plate[1..=last].iter_mut().zip(rows) {
        change = old.iter().zip(&new).fold(change, |change, (old, new)| change.max((old - new).abs()));
        *old = new;
    }
    Ok(change)
}

fn smoothed(plate: &[Vec<f64>], row: usize) -> Vec<f64> {
    let (above, here, below) = (&plate[row - 1], &plate[row], &plate[row + 1]);
    let mut new = here.clone();
    for x in 1..here.len() - 1 {
        new[x] = 0.25 * (above[x] + below[x] + here[x - 1] + here[x + 1]);
    }
    new
}
