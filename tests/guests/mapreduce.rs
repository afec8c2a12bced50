//! Jobs at the edges: no input, one key, many, large groups, functions that fail, workers that are lost.

use std::fs::OpenOptions;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use places::{Channel, Node};
use places_mapreduce::{Config, Emit, Error, Event, Job, Kind, MapReduce, OutputAt, Tasks, Values, args, combiner, mapper, reducer};

#[mapper]
fn numbers((first, count, keys): (u64, u64, u64), out: &mut Emit<u64, u64>) {
    (first..first + count).for_each(|number| out.emit(&(number % keys), number));
}

#[combiner]
fn add(total: &mut u64, more: u64) {
    *total += more;
}

#[reducer]
fn sum(key: u64, values: Values<'_, u64>, out: &mut Emit<u64, u64>) {
    out.emit(&key, values.sum());
}

#[reducer]
fn of_each(line: String, values: Values<'_, u64>, out: &mut Emit<String, u64>) {
    out.emit(&line, values.sum());
}

/// The first value and how many there are: neither may depend on what is lost.
#[reducer]
fn first(key: u64, mut values: Values<'_, u64>, out: &mut Emit<u64, (u64, u64)>) {
    let first = values.next().unwrap_or_default();
    out.emit(&key, (first, 1 + values.count() as u64));
}

#[mapper]
fn lines(line: &str, out: &mut Emit<String, u64>) -> places::Result {
    if line == "fails" {
        return Err("it was told to".into());
    }
    if line == "panics" {
        panic!("it was told to");
    }
    out.emit(line, 1);
    Ok(())
}

/// Panics at every third value when it first sees it, whoever does; the scratch directory knows which ones it has seen.
#[mapper]
fn shaky(value: u64, out: &mut Emit<u64, u64>) -> places::Result {
    let seen = places::scratch()?.join(format!("seen-{value}"));
    if value.is_multiple_of(3) && !seen.exists() {
        std::fs::write(seen, "")?;
        panic!("it stumbles over {value}");
    }
    out.emit(&(value % 7), value);
    Ok(())
}

/// At a line `waits`, until the file is there that its argument names.
#[mapper]
fn gated(line: &str, out: &mut Emit<String, u64>) {
    while line == "waits" && !Path::new(&args()[0]).exists() {
        sleep(Duration::from_millis(5));
    }
    out.emit(line, 1);
}

/// Takes very long for one text, whoever is the first to see it; the file that its argument names is there then.
fn be_slow(text: &str) {
    if args()[1] == text && OpenOptions::new().write(true).create_new(true).open(&args()[0]).is_ok() {
        sleep(Duration::from_secs(600));
    }
}

#[mapper]
fn slow(line: &str, out: &mut Emit<String, u64>) {
    be_slow(&format!("map {line}"));
    out.emit(line, 1);
}

#[reducer]
fn slow_sum(line: String, values: Values<'_, u64>, out: &mut Emit<String, u64>) {
    out.emit(&line, values.sum());
    be_slow(&format!("reduce {line}"));
}

/// From what its first argument names to what its second does.
#[places::start]
fn from_to(_: Channel) -> places::Result {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut workers = MapReduce::workers(Config::default())?;
    let job = Job::new(lines).reducer(of_each).reducers(2).output(&arguments[1]);
    let job = if arguments.get(2).is_some() { job.output_at(OutputAt::Job) } else { job };
    workers.run(Tasks::files([&arguments[0]]), &job)?;
    println!("{:?}", workers.summary().files);
    Ok(())
}

#[mapper]
fn nothing(_: u64, _: &mut Emit<u64, u64>) {}

fn tasks(count: u64, each: u64, keys: u64) -> Vec<(u64, u64, u64)> {
    (0..count).map(|task| (task * each, each, keys)).collect()
}

#[places::start]
fn sizes(_: Channel) -> places::Result {
    for slots in [1, 2] {
        let mut workers = MapReduce::workers(Config::default().slots(slots))?;
        // No task, one, one key, as many as records, a group that is far larger than the buffers.
        for (count, each, keys) in [(0, 0, 1), (1, 0, 1), (1, 1, 1), (3, 1000, 1), (5, 20_000, 100_000), (4, 100_000, 2)] {
            for reducers in [1, 3] {
                let all = count * each;
                let mut expected = vec![0; keys as usize];
                (0..all).for_each(|number| expected[(number % keys) as usize] += number);
                let job = Job::new(numbers).reducer(sum).reducers(reducers);
                for job in [job.clone(), job.combiner(add)] {
                    let mut found = vec![None; keys as usize];
                    for (key, total) in workers.run(Tasks::values(tasks(count, each, keys)), &job)? {
                        assert!(found[key as usize].replace(total).is_none(), "{key} is there twice");
                    }
                    let found: Vec<u64> = found.into_iter().map(Option::unwrap_or_default).collect();
                    assert!(found == expected, "{count} {each} {keys} {reducers}");
                    assert_eq!(workers.summary().records_in, count);
                }
            }
        }
    }
    println!("all of them are right");
    Ok(())
}

/// Nine of ten numbers have one key, each of the others its own.
#[mapper]
fn skewed((first, count, _): (u64, u64, u64), out: &mut Emit<u64, u64>) {
    (first..first + count).for_each(|number| out.emit(&if number.is_multiple_of(10) { number } else { u64::MAX }, number));
}

/// A million keys, a key of ten million values, and one that has nine of ten of them, with little memory.
#[places::start]
fn large(_: Channel) -> places::Result {
    let mut workers = MapReduce::workers(Config::default().memory(16 << 20))?;
    for (count, each, keys) in [(4, 500_000, 1_000_000), (4, 2_500_000, 1)] {
        let results = workers.run(Tasks::values(tasks(count, each, keys)), &Job::new(numbers).reducer(first))?;
        let mut found = 0;
        for (key, of_key) in results {
            assert_eq!(of_key, (key, count * each / keys), "key {key} of {keys}");
            found += 1;
        }
        println!("{found} keys of {} records, spilled: {}", workers.summary().records_in * each, workers.summary().spilled > 0);
    }
    let results = workers.run(Tasks::values(tasks(4, 2_000_000, 0)), &Job::new(skewed).reducer(first).reducers(4))?;
    let mut found = 0;
    for (key, of_key) in results {
        assert_eq!(of_key, if key == u64::MAX { (1, 7_200_000) } else { (key, 1) });
        found += 1;
    }
    println!("{found} keys of which one has nearly all, spilled: {}", workers.summary().spilled > 0);
    Ok(())
}

/// Goes beyond its memory: what does not fit is on disk, and gone afterwards.
#[places::start]
fn spills(_: Channel) -> places::Result {
    let mut workers = MapReduce::workers(Config::default().memory(16 << 20))?;
    let (count, each, keys) = (4, 600_000, 50_000);
    let results = workers.run(Tasks::values(tasks(count, each, keys)), &Job::new(numbers).reducer(first))?;
    let mut number = 0;
    for (key, (first, values)) in results {
        assert_eq!((first, values), (key, count * each / keys));
        number += 1;
    }
    let left = std::fs::read_dir(places::scratch()?)?.count();
    println!("{number} keys, spilled: {}, left: {left}", workers.summary().spilled > 0);
    Ok(())
}

/// Without a scratch directory it says what it needs.
#[places::start]
fn overflows(_: Channel) -> places::Result {
    let mut workers = MapReduce::workers(Config::default().memory(16 << 20).slots(1))?;
    let job = Job::new(numbers).reducer(first).attempts(1);
    match workers.run(Tasks::values(tasks(1, 4_000_000, 1_000_000)), &job) {
        Ok(_) => Err("there was no room".into()),
        Err(error) => {
            println!("{error}");
            Ok(())
        }
    }
}

/// Fails as the lines of `/data` say.
#[places::start]
fn fails(_: Channel) -> places::Result {
    let mut workers = MapReduce::workers(Config::default().slots(1))?;
    let mut attempts = 0;
    let result = workers.run_with(Tasks::files(["/data/*.txt"]), &Job::new(lines).attempts(3), |event| {
        attempts += u32::from(matches!(event, Event::TaskFailed(_)));
    });
    match result {
        Err(Error::Task(error)) => {
            let what = match error.kind {
                Kind::Map => "map",
                Kind::Reduce => "reduce",
            };
            println!("{what} {} of {}, at {:?}, after {attempts}: {}", error.task, error.input, error.offset, error.error);
            println!("a backtrace: {}", !error.backtrace.is_empty());
        }
        Err(error) => println!("{error}"),
        Ok(results) => println!("{} lines", results.count()),
    }
    // The workers are as good as before.
    println!("{}", workers.run(Tasks::values([5]), &Job::new(nothing))?.count());
    Ok(())
}

#[places::start]
fn stumbles(_: Channel) -> places::Result {
    let mut workers = MapReduce::workers(Config::default())?;
    let job = Job::new(shaky).reducer(sum).attempts(2);
    let mut results: Vec<_> = workers.run(Tasks::values(0..40), &job)?.collect();
    results.sort();
    println!("{results:?}, again: {}", workers.summary().retries >= 14);
    Ok(())
}

/// Runs over three nodes of which one is stopped when so many map tasks are done, and says what it has found.
#[places::start]
fn loses(_: Channel) -> places::Result {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (nodes, when) = (&arguments[..3], arguments[3].parse::<u32>()?);
    let mut workers = MapReduce::workers(nodes.iter().fold(Config::default(), Config::on))?;
    let mut lost = 0;
    let mut stopped = false;
    let job = Job::new(numbers).reducer(first).reducers(5);
    let results: Vec<_> = workers
        .run_with(Tasks::values(tasks(60, 30_000, 5000)), &job.verbose(), |event| match event {
            Event::TaskEnded { kind, task, .. } => {
                let now = if kind == Kind::Map { lost + task } else { 60 + task };
                if !stopped && now >= when {
                    stopped = true;
                    // It is not there any more when it answers.
                    let _ = Node::connect(&nodes[1]).and_then(|node| node.exit());
                }
            }
            Event::Lost { .. } => lost += 1,
            _ => {}
        })?
        .collect();
    let mut sum = 0u64;
    for (key, (first, count)) in &results {
        sum = sum.wrapping_mul(31).wrapping_add(key ^ first.wrapping_mul(7) ^ count);
    }
    // The job may have ended before it heard of that; one of the next will.
    for _ in 0..1000 {
        if stopped && workers.alive() == nodes.len() {
            workers.run(Tasks::values([0]), &Job::new(nothing))?;
        }
    }
    println!("{} keys, {sum:x}; workers: {}", results.len(), workers.alive());
    Ok(())
}

/// So many tasks that do nothing.
#[places::start]
fn empty_tasks(_: Channel) -> places::Result {
    let count = std::env::args().nth(1).map_or(Ok(1000), |count| count.parse())?;
    let mut workers = MapReduce::workers(Config::default())?;
    workers.run(Tasks::values(0..2), &Job::new(nothing))?;
    let began = std::time::Instant::now();
    workers.run(Tasks::values(0..count), &Job::new(nothing))?;
    println!("{:.4}", began.elapsed().as_secs_f64() * 1e3 / count as f64);
    Ok(())
}

#[mapper]
fn endless(_: u64, out: &mut Emit<u64, u64>) {
    for number in 0u64.. {
        out.emit(&(number % 5), number);
    }
}

/// Works on a node until it is ended.
#[places::start]
fn forever(_: Channel) -> places::Result {
    let mut workers = MapReduce::workers(std::env::args().skip(1).fold(Config::default(), Config::on))?;
    workers.run(Tasks::values(0..2), &Job::new(endless).reducer(sum).combiner(add))?;
    Ok(())
}
