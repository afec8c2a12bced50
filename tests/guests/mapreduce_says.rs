//! What a MapReduce job says, without one: the start function `mapreduce-job`, which plays the part that its order names as the mapper.
//! So `tests/mapreduce_command.rs` has every event at will, in the shape of `guest-sdk/mapreduce/EVENTS.md`.

use std::fs;
use std::path::Path;

use places::{Channel, scratch};
use serde::{Deserialize, Serialize};

/// The order, as far as it is looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(dead_code, reason = "it is printed")]
struct Order {
    workers: Vec<Worker>,
    slots: Option<u32>,
    inputs: Vec<String>,
    split: Option<u64>,
    output: Option<String>,
    args: Vec<String>,
    mapper: Option<String>,
    combiner: Option<String>,
    partitioner: Option<String>,
    reducer: Option<String>,
    outputer: Option<String>,
    reducers: Option<u32>,
    memory: Option<u64>,
    attempts: u32,
    speculation: bool,
    verbosity: u8,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "it is printed")]
struct Worker {
    address: Option<String>,
}

#[derive(Clone, Copy, Serialize)]
struct Tasks {
    of: u32,
    done: u32,
    running: u32,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Failure {
    at: u64,
    kind: &'static str,
    task: u32,
    attempt: u32,
    worker: u32,
    name: &'static str,
    input: &'static str,
    offset: Option<u64>,
    error: &'static str,
    backtrace: Vec<&'static str>,
    again: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Slow {
    kind: &'static str,
    task: u32,
    worker: u32,
    name: &'static str,
    input: &'static str,
    millis: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
enum Event {
    Joined {
        worker: u32,
        name: &'static str,
        address: Option<String>,
        slots: u32,
    },
    Lost {
        worker: u32,
        name: &'static str,
        why: &'static str,
        again: u32,
    },
    Planned {
        maps: u32,
        reduces: u32,
        bytes: u64,
    },
    Progress {
        at: u64,
        maps: Tasks,
        reduces: Tasks,
        bytes_in: u64,
        shuffled: u64,
        bytes_out: u64,
        workers: u32,
        retries: u32,
        left: Option<u64>,
    },
    TaskBegan {
        at: u64,
        kind: &'static str,
        task: u32,
        attempt: u32,
        worker: u32,
        slot: u32,
        input: &'static str,
    },
    TaskFailed(Failure),
    Done {
        millis: u64,
        maps: u32,
        reduces: u32,
        records_in: u64,
        bytes_in: u64,
        records_shuffled: u64,
        shuffled: u64,
        records_out: u64,
        bytes_out: u64,
        spilled: u64,
        retries: u32,
        speculated: u32,
        workers: u32,
        lost: u32,
        slowest: Vec<Slow>,
        files: Vec<String>,
    },
    Failed {
        error: &'static str,
        task: Option<Failure>,
    },
}

fn progress(maps: u32, reduces: u32) -> Event {
    let tasks = |of, done| Tasks { of, done, running: 1 };
    let (maps, reduces) = (tasks(10, maps), tasks(2, reduces));
    Event::Progress { at: 5, maps, reduces, bytes_in: 9, shuffled: 1536, bytes_out: 0, workers: 2, retries: 1, left: Some(1500) }
}

fn failure(attempt: u32, again: bool) -> Failure {
    Failure {
        at: 7,
        kind: "map",
        task: 3,
        attempt,
        worker: 1,
        name: "host2",
        input: "/data/a.txt @ 0 + 9",
        offset: Some(7),
        error: "no number",
        backtrace: vec!["frame one", "frame two"],
        again,
    }
}

fn done() -> Event {
    let slow = Slow { kind: "map", task: 3, worker: 1, name: "host2", input: "/data/a.txt", millis: 1500 };
    Event::Done {
        millis: 2345,
        maps: 10,
        reduces: 2,
        records_in: 1234,
        bytes_in: 2048,
        records_shuffled: 10,
        shuffled: 1536,
        records_out: 1,
        bytes_out: 5,
        spilled: 0,
        retries: 1,
        speculated: 0,
        workers: 2,
        lost: 1,
        slowest: vec![slow],
        files: vec!["/out/part-00000".into()],
    }
}

/// Plays a part.
#[places::start]
fn mapreduce_job(ch: Channel<Order, Event>) -> places::Result {
    let order = ch.get()?;
    match order.mapper.as_deref() {
        None => println!("{order:?}"),
        Some("reads") => {
            assert_eq!(fs::read_dir(scratch()?)?.count(), 0);
            for input in &order.inputs {
                let folder = Path::new(input.split('*').next().unwrap_or_default());
                let mut names: Vec<_> =
                    fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<_, _>>()?;
                names.sort();
                assert!(fs::write(folder.join("new"), "x").is_err());
                println!("{names:?}");
            }
            fs::write(Path::new(&order.output.ok_or("no output")?).join("part-00000"), "written")?;
        }
        Some("all") => {
            ch.put(Event::Joined { worker: 1, name: "host2", address: None, slots: 2 })?;
            ch.put(Event::Planned { maps: 10, reduces: 2, bytes: 2048 })?;
            ch.put(Event::TaskBegan { at: 1, kind: "map", task: 3, attempt: 1, worker: 1, slot: 0, input: "/data/a.txt" })?;
            for event in [progress(0, 0), progress(5, 0), progress(5, 0), progress(10, 1)] {
                ch.put(event)?;
            }
            ch.put(Event::TaskFailed(failure(1, true)))?;
            ch.put(Event::Lost { worker: 0, name: "host1", why: "it does not answer", again: 2 })?;
            println!("a place prints");
        }
        Some("fails") => {
            ch.put(Event::Planned { maps: 10, reduces: 2, bytes: 2048 })?;
            return Ok(ch.put(Event::Failed { error: "map task 3 failed 4 times", task: Some(failure(4, false)) })?);
        }
        Some("early") => return Ok(ch.put(Event::Failed { error: "there is no input", task: None })?),
        Some("panics") => panic!("as it was told"),
        Some("waits") => {
            ch.put(Event::Planned { maps: 10, reduces: 2, bytes: 2048 })?;
            println!("there");
            assert!(ch.get().is_err());
            println!("it has cleaned up");
            return Ok(ch.put(Event::Failed { error: "interrupted", task: None })?);
        }
        Some("hangs") => {
            println!("there");
            loop {
                std::hint::spin_loop();
            }
        }
        Some(part) => return Err(format!("there is no part `{part}`").into()),
    }
    Ok(ch.put(done())?)
}
