//! What `scripts/bench.sh` measures of MPI: the time of an operation over all ranks, as `name value unit`, printed by rank 0.

use std::time::Instant;

use places::Channel;
use places_mpi::{Communicator, Error, finish, init, op};

/// The seconds that one of `n` calls takes, after a tenth of them as a rehearsal.
fn timed(world: &Communicator, n: usize, mut call: impl FnMut() -> Result<(), Error>) -> Result<f64, Error> {
    for _ in 0..n.div_ceil(10) {
        call()?;
    }
    world.barrier()?;
    let start = Instant::now();
    for _ in 0..n {
        call()?;
    }
    // Until the others are done too: who gives only is done at once.
    world.barrier()?;
    Ok(start.elapsed().as_secs_f64() / n as f64)
}

fn report(world: &Communicator, name: &str, seconds: f64) {
    if world.rank() == 0 {
        let nodes = if world.nodes() > 1 { format!(".nodes{}", world.nodes()) } else { String::new() };
        println!("placehost.mpi.{name}.np{}{nodes} {:.3} us", world.size(), seconds * 1e6);
    }
}

/// The collective operations; the arguments name those that are wanted, else all.
#[places::start]
fn collectives(ch: Channel) -> places::Result {
    let (world, args) = init(ch)?;
    let wanted = |name: &str| args.is_empty() || args.iter().any(|arg| arg == name);
    // Fewer rounds between nodes, where each takes longer.
    let few = if world.nodes() > 1 { 10 } else { 1 };
    if wanted("allreduce") {
        for (count, n) in [(1, 20_000), (128, 10_000), (1_024, 6_000), (4_096, 2_000), (16_384, 800), (131_072, 60), (1_048_576, 6)] {
            let mut data = vec![1.0f64; count];
            let name = format!("allreduce.{}B", count * 8);
            // What was summed up grows; the time does not depend on it.
            let seconds = timed(&world, (n / few).max(3), || world.allreduce(&mut data, op::Sum))?;
            report(&world, &name, seconds);
        }
    }
    if wanted("barrier") {
        report(&world, "barrier", timed(&world, 20_000 / few, || world.barrier())?);
    }
    if wanted("broadcast") {
        for (count, n) in [(8, 20_000), (65_536, 1_000), (1 << 20, 100), (8 << 20, 10)] {
            let mut data = vec![1u8; count];
            let seconds = timed(&world, (n / few).max(3), || world.broadcast(&mut data, 0))?;
            report(&world, &format!("broadcast.{count}B"), seconds);
        }
    }
    if wanted("alltoall") {
        for (each, n) in [(8, 4_000), (256, 4_000), (1_024, 2_000), (4_096, 1_000), (65_536, 60)] {
            let data = vec![1u8; each * world.size()];
            let seconds = timed(&world, (n / few).max(3), || world.alltoall(&data).map(drop))?;
            report(&world, &format!("alltoall.{each}B"), seconds);
        }
    }
    if wanted("alltoallv") {
        for (each, n) in [(8, 4_000), (64, 4_000), (256, 4_000), (1_024, 2_000), (4_096, 1_000), (65_536, 60)] {
            let blocks = vec![vec![1u8; each]; world.size()];
            let seconds = timed(&world, (n / few).max(3), || world.alltoallv(&blocks).map(drop))?;
            report(&world, &format!("alltoallv.{each}B"), seconds);
        }
    }
    if wanted("reduce_scatter") {
        for (each, n) in [(1, 6_000), (1_024, 2_000), (16_384, 60)] {
            let data = vec![1.0f64; each * world.size()];
            let seconds = timed(&world, (n / few).max(3), || world.reduce_scatter_block(&data, op::Sum).map(drop))?;
            report(&world, &format!("reduce_scatter.{}B", size_of_val(&*data)), seconds);
        }
    }
    if wanted("gatherv") {
        for (each, n) in [(8, 6_000), (1_024, 4_000), (4_096, 2_000), (65_536, 60)] {
            let data = vec![1u8; each];
            let seconds = timed(&world, (n / few).max(3), || world.gatherv(&data, 0).map(drop))?;
            report(&world, &format!("gatherv.{each}B"), seconds);
        }
    }
    if wanted("allgatherv") {
        for (each, n) in [(8, 6_000), (1_024, 4_000), (4_096, 2_000), (65_536, 60)] {
            let data = vec![1u8; each];
            let seconds = timed(&world, (n / few).max(3), || world.allgatherv(&data).map(drop))?;
            report(&world, &format!("allgatherv.{each}B"), seconds);
        }
    }
    if wanted("values") {
        let text = "x".repeat(64);
        let longer = |a: String, b: String| if a.len() < b.len() { b } else { a };
        let n = 4_000 / few;
        report(&world, "allreduce_value", timed(&world, n, || world.allreduce_value(text.clone(), longer).map(drop))?);
        report(&world, "scan_value", timed(&world, n, || world.scan_value(text.clone(), longer).map(drop))?);
        report(&world, "allgather_value", timed(&world, n, || world.allgather_value(text.clone()).map(drop))?);
        report(&world, "alltoall_value", timed(&world, n, || world.alltoall_value(vec![text.clone(); world.size()]).map(drop))?);
    }
    if wanted("scan") {
        for (count, n) in [(1, 10_000), (128, 10_000), (1_024, 4_000), (8_192, 1_000), (131_072, 60)] {
            let mut data = vec![1.0f64; count];
            let seconds = timed(&world, (n / few).max(3), || world.scan(&mut data, op::Sum))?;
            report(&world, &format!("scan.{}B", count * 8), seconds);
        }
    }
    if wanted("allgather") {
        for (each, n) in [(8, 10_000), (1_024, 4_000), (8_192, 1_000), (65_536, 100)] {
            let data = vec![1u8; each];
            let seconds = timed(&world, (n / few).max(3), || world.allgather(&data).map(drop))?;
            report(&world, &format!("allgather.{each}B"), seconds);
        }
    }
    Ok(finish(world)?)
}

/// Round trips between ranks 0 and 1.
#[places::start]
fn round_trip(ch: Channel) -> places::Result {
    let (world, _) = init(ch)?;
    let other = 1 - world.rank();
    for (size, n) in [(8, 40_000), (65_536, 4_000), (1 << 20, 200)] {
        let mut data = vec![1u8; size];
        let seconds = timed(&world, n, || {
            if world.rank() == 0 {
                world.send(&data, other, 0)?;
                world.recv_into(&mut data, other, 0)?;
            } else {
                world.recv_into(&mut data, other, 0)?;
                world.send(&data, other, 0)?;
            }
            Ok(())
        })?;
        report(&world, &format!("ping.{size}B"), seconds);
    }
    Ok(finish(world)?)
}

/// Nothing, for the time of a start.
#[places::start]
fn nothing(ch: Channel) -> places::Result {
    let (world, _) = init(ch)?;
    Ok(finish(world)?)
}
