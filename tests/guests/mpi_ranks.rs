//! Ranks that exchange messages, and ranks that go wrong: each start function is a job's, and panics where something is not as it
//! should be.

use std::time::Duration;

use places::{Channel, after, exit, sync};
use places_mpi::{Communicator, Error, Request, Source, Tag, finish, init, op, wait_all, wait_any};

/// Messages of one sender to one communicator are taken in their order, whatever is asked for between.
#[places::start]
fn order(ch: Channel) -> places::Result {
    const MANY: u32 = 3_000;
    let (world, _) = init(ch)?;
    let other = world.dup()?;
    if world.rank() > 0 {
        for number in 0..MANY {
            let comm = if number % 5 == 0 { &other } else { &world };
            comm.send(&[number], 0, number % 3)?;
        }
        return Ok(finish(world)?);
    }
    for rank in 1..world.size() {
        let expected = |on_other: bool, tag: Option<u32>| {
            (0..MANY).filter(move |number| (number % 5 == 0) == on_other && tag.is_none_or(|tag| number % 3 == tag))
        };
        // The last tag first, so that the others have come unasked.
        for number in expected(false, Some(2)) {
            assert_eq!(world.recv::<u32>(rank, 2)?.0, [number]);
        }
        for number in expected(true, None) {
            let (data, status) = other.recv::<u32>(rank, Tag::Any)?;
            assert_eq!((data, status.source, status.tag), (vec![number], rank, number % 3));
        }
        for number in expected(false, None).filter(|number| number % 3 != 2) {
            assert_eq!(world.recv::<u32>(rank, Tag::Any)?.0, [number]);
        }
    }
    Ok(finish(world)?)
}

/// What wildcards take, and what probes see.
#[places::start]
fn wildcards(ch: Channel) -> places::Result {
    let (world, _) = init(ch)?;
    let me = world.rank();
    if me > 0 {
        world.send(&vec![me as u8; me], 0, me as u32)?;
        world.send(&[0u8; 0], 0, 100)?;
        return Ok(finish(world)?);
    }
    assert_eq!(world.iprobe(Source::Any, 999)?, None);
    let mut seen = Vec::new();
    for _ in 1..world.size() {
        let status = world.probe(Source::Any, Tag::Any)?;
        assert_eq!(world.probe(status.source, status.tag)?, status);
        let (data, received) = world.recv::<u8>(status.source, status.tag)?;
        assert_eq!((received, data.len()), (status, status.count));
        // The first one of each is not the one with tag 100.
        if status.tag != 100 {
            assert_eq!((status.tag as usize, data), (status.source, vec![status.source as u8; status.source]));
            seen.push(status.source);
        }
        let (_, empty) = world.recv::<u8>(status.source, 100)?;
        assert_eq!(empty.count, 0);
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..world.size()).collect::<Vec<_>>());
    Ok(finish(world)?)
}

/// Many requests at once, served in their order and waited for in another.
#[places::start]
fn requests(ch: Channel) -> places::Result {
    const MANY: usize = 2_000;
    let (world, _) = init(ch)?;
    let (me, n) = (world.rank(), world.size());
    let next = (me + 1) % n;
    let before = (me + n - 1) % n;
    // Two of one pattern: the first request gets the first message.
    let first = world.irecv::<u64>(before, 0)?;
    let second = world.irecv::<u64>(Source::Any, 0)?;
    let many = (0..MANY).rev().map(|number| world.irecv::<u64>(before, 1 + number as u32)).collect::<Result<Vec<_>, _>>()?;
    world.barrier()?;
    let mut sends = vec![world.isend(&[1u64], next, 0)?, world.isend(&[2u64], next, 0)?];
    for number in 0..MANY {
        sends.push(world.isend(&[number as u64], next, 1 + number as u32)?);
    }
    assert_eq!(second.wait()?.0, [2]);
    assert_eq!(first.wait()?.0, [1]);
    wait_all(sends)?;
    for (number, (data, status)) in (0..MANY).rev().zip(wait_all(many)?) {
        assert_eq!((data, status.tag), (vec![number as u64], 1 + number as u32));
    }

    // Whichever comes first; and what has not come is not there.
    let mut any = (0..n).filter(|&rank| rank != me).map(|rank| world.irecv::<u32>(rank, 9)).collect::<Result<Vec<_>, _>>()?;
    let mut never = world.irecv::<u8>(before, 77)?;
    for rank in (0..n).filter(|&rank| rank != me) {
        world.send(&[me as u32], rank, 9)?;
    }
    let mut came = Vec::new();
    while let Some((_, (data, status))) = wait_any(&mut any)? {
        assert_eq!(data, [status.source as u32]);
        came.push(status.source);
        never = never.test()?.expect_err("nobody sends that");
    }
    came.sort_unstable();
    assert_eq!(came, (0..n).filter(|&rank| rank != me).collect::<Vec<_>>());
    // A receive that was taken back takes nothing.
    drop(never);
    world.barrier()?;
    world.send(&[5u8], next, 77)?;
    assert_eq!(world.recv::<u8>(before, 77)?.0, [5]);
    Ok(finish(world)?)
}

/// A rank is its own neighbour.
#[places::start]
fn to_itself(ch: Channel) -> places::Result {
    let (world, _) = init(ch)?;
    let me = world.rank();
    let large: Vec<u64> = (0..500_000).collect();
    world.send(&large, me, 1)?;
    world.send(&[7i16], me, 2)?;
    assert_eq!(world.recv::<i16>(me, 2)?.0, [7]);
    assert_eq!(world.recv::<u64>(Source::Any, Tag::Any)?.0, large);
    let (back, _) = world.sendrecv(&[me as u32], (me, 3), (me, 3))?;
    assert_eq!(back, [me as u32]);
    Ok(finish(world)?)
}

/// All send more than inboxes hold before anybody receives: many short messages, and a few long ones.
#[places::start]
fn crowded(ch: Channel) -> places::Result {
    let (world, _) = init(ch)?;
    let (me, n) = (world.rank(), world.size());
    let others = || (0..n).filter(|&rank| rank != me);
    for number in 0..20_000u32 {
        others().try_for_each(|rank| world.send(&[number], rank, 0))?;
    }
    let long = |from: usize| (0..100_000u64).map(move |index| index * 31 + from as u64).collect::<Vec<_>>();
    for _ in 0..12 {
        others().try_for_each(|rank| world.send(&long(me), rank, 1))?;
    }
    for rank in others() {
        for number in 0..20_000u32 {
            assert_eq!(world.recv::<u32>(rank, 0)?.0, [number]);
        }
        let mut room = vec![0u64; 100_001];
        for _ in 0..12 {
            assert_eq!(world.recv_into(&mut room, rank, 1)?.count, 100_000);
            assert_eq!(room[..100_000], long(rank));
        }
    }
    // Around a ring, each with its left and right, more than an inbox holds at a time.
    let (next, before) = ((me + 1) % n, (me + n - 1) % n);
    let huge = vec![me as u8; 9 << 20];
    let (came, _) = world.sendrecv(&huge, (next, 2), (before, 2))?;
    assert!(came.len() == huge.len() && came.iter().all(|&byte| usize::from(byte) == before));
    Ok(finish(world)?)
}

/// Values of any type, and what else they are read as.
#[places::start]
fn values(ch: Channel) -> places::Result {
    let (world, _) = init(ch)?;
    let pair = (String::from("ü"), vec![Some(1.5f32), None]);
    if world.rank() == 0 {
        world.send_value(&pair, 1, 0)?;
        world.send_value("text", 1, 1)?;
        world.send(&[1u8], 1, 2)?;
    } else {
        assert_eq!(world.recv_value::<(String, Vec<Option<f32>>)>(0, 0)?.0, pair);
        assert!(matches!(world.recv_value::<u32>(0, 1), Err(Error::Value(_))));
        let error = world.recv_value::<u8>(0, 2).unwrap_err();
        assert_eq!(error.to_string(), "the message of rank 0 with tag 2 was sent as u8 and is received as a value");
    }
    Ok(finish(world)?)
}

/// Errors name who did what.
#[places::start]
fn errors(ch: Channel) -> places::Result {
    let (world, _) = init(ch)?;
    let text = |error: Error| error.to_string();
    assert_eq!(text(world.send(&[1u8], 9, 0).unwrap_err()), "send names rank 9 of a communicator of 2");
    assert_eq!(text(world.recv::<u8>(2, 0).unwrap_err()), "recv names rank 2 of a communicator of 2");
    assert_eq!(text(world.broadcast(&mut [1u8], 5).unwrap_err()), "broadcast names rank 5 of a communicator of 2");
    assert_eq!(text(world.alltoall(&[1u8]).unwrap_err()), "alltoall of 1 elements between 2 ranks");
    assert_eq!(text(world.subgroup(&[0, 0]).unwrap_err()), "subgroup names rank 0 twice");
    if world.rank() == 0 {
        world.send(&[1.0f64; 3], 1, 4)?;
        world.send(&[1.0f64; 3], 1, 5)?;
    } else {
        let error = world.recv_into(&mut [0.0f64; 2], 0, 4).unwrap_err();
        assert_eq!(text(error), "the message of rank 0 with tag 4 has 3 elements, and the buffer for it 2");
        let error = world.recv::<f32>(0, 5).unwrap_err();
        assert_eq!(text(error), "the message of rank 0 with tag 5 was sent as f64 and is received as f32");
    }
    Ok(finish(world)?)
}

/// Subgroups in an order of their own, and communicators of communicators.
#[places::start]
fn groups(ch: Channel) -> places::Result {
    let (world, _) = init(ch)?;
    let reversed: Vec<usize> = (0..world.size()).rev().collect();
    let backwards = world.subgroup(&reversed)?.expect("all are in it");
    assert_eq!(backwards.rank(), world.size() - 1 - world.rank());
    let pair = backwards.split(Some((backwards.rank() / 2) as u32), 0)?.expect("all have a colour");
    let sum = pair.allreduce_value(world.rank(), |a, b| a + b)?;
    let partner = world.size() - 1 - (backwards.rank() ^ 1);
    assert_eq!((pair.size(), sum), (2, world.rank() + partner));
    assert!(world.split((world.rank() == 0).then_some(0), 0)?.is_some() == (world.rank() == 0));
    assert_eq!(world.subgroup(&[1])?.map(|alone| (alone.rank(), alone.size())), (world.rank() == 1).then_some((0, 1)));
    Ok(finish(world)?)
}

/// One rank calls another operation than all others.
#[places::start]
fn disagree(ch: Channel) -> places::Result {
    let (world, args) = init(ch)?;
    world.barrier()?;
    let odd = world.rank() == 1;
    match args.first().map(String::as_str) {
        Some("operation") if odd => world.allreduce(&mut [1.0f64], op::Sum)?,
        Some("count") if odd => world.broadcast(&mut [1u32; 4], 0)?,
        Some("type") if odd => world.broadcast(&mut [1u8; 3], 0)?,
        Some("root") if odd => world.broadcast(&mut [1u32; 3], 2)?,
        _ => world.broadcast(&mut [1u32; 3], 0)?,
    }
    Ok(finish(world)?)
}

/// Each waits for the one before it; one of them in an operation that the others do not call.
#[places::start]
fn deadlock(ch: Channel) -> places::Result {
    let (world, _) = init(ch)?;
    match world.rank() {
        0 => drop(world.recv::<u8>(world.size() - 1, 3)?),
        1 => world.barrier()?,
        rank => drop(world.recv::<u8>(rank - 1, 3)?),
    }
    Ok(())
}

/// A rank waits for one that has left, in which nothing is wrong.
#[places::start]
fn left(ch: Channel) -> places::Result {
    let (world, _) = init(ch)?;
    if world.rank() == 1 {
        world.recv::<u8>(0, 0)?;
    }
    Ok(())
}

/// One rank goes wrong, as the argument says; the others wait for it.
#[places::start]
fn wrong(ch: Channel) -> places::Result {
    let (world, args) = init(ch)?;
    world.barrier()?;
    if world.rank() == 1 {
        match args.first().map(String::as_str) {
            Some("panic") => panic!("on purpose"),
            Some("exit") => exit(7),
            Some("error") => return Err("it did not work".into()),
            _ => loop {
                std::hint::spin_loop();
            },
        }
    }
    world.barrier()?;
    Ok(())
}

/// The ranks that are left when rank 1 has gone wrong go on without it, with `--on-failure continue`.
#[places::start]
fn survivors(ch: Channel) -> places::Result {
    let (world, _) = init(ch)?;
    world.barrier()?;
    if world.rank() == 1 {
        exit(3);
    }
    let error = world.recv::<u8>(1, 0).unwrap_err();
    assert_eq!(error, Error::Ended { rank: 1, reason: "exited with code 3".into() });
    // Whom a wildcard waits for nobody knows: it is told once.
    assert!(matches!(world.recv::<u8>(Source::Any, 0), Err(Error::Ended { rank: 1, .. })));
    let error = loop {
        // Its inbox goes with it.
        if let Err(error) = world.send(&[1u8; 100], 1, 0) {
            break error;
        }
    };
    assert!(matches!(error, Error::Ended { rank: 1, .. }), "{error}");
    let others = [0, 2, 3];
    let around = |world: &Communicator, rank: usize| -> Result<(), Error> {
        let next = others[(rank + 1) % 3];
        world.send(&[rank as u8], next, 5)?;
        let (data, _) = world.recv::<u8>(Source::Any, 5)?;
        assert_eq!(usize::from(data[0]), (rank + 2) % 3);
        Ok(())
    };
    around(&world, others.iter().position(|&rank| rank == world.rank()).expect("it is one of them"))?;
    println!("rank {} goes on", world.rank());
    Ok(())
}

/// The others wait for a rank that is busy with something else for longer than it takes to find a deadlock.
#[places::start]
fn slow(ch: Channel) -> places::Result {
    let (world, _) = init(ch)?;
    if world.rank() == 1 {
        sync! { _ = after(Duration::from_millis(3_500)) => {} }
    }
    let mut sum = [1u32];
    world.allreduce(&mut sum, op::Sum)?;
    assert_eq!(sum[0] as usize, world.size());
    Ok(finish(world)?)
}

/// Says that it is there, and computes for ever.
#[places::start]
fn forever(ch: Channel) -> places::Result {
    let (world, _) = init(ch)?;
    world.barrier()?;
    println!("rank {} is there", world.rank());
    loop {
        std::hint::spin_loop();
    }
}

/// Two lines of each rank, the second without an end.
#[places::start]
fn talkative(ch: Channel) -> places::Result {
    let (world, _) = init(ch)?;
    println!("one");
    print!("two");
    Ok(finish(world)?)
}
