//! Sorts records of 100 bytes that it makes, ten of which are the key, and checks that they are sorted. The first argument is how many,
//! else 100,000; with `to=DIR` they go to files there, and with `memory=MIB` each task has so much. Other arguments are nodes.

use places::Channel;
use places_mapreduce::{Config, Emit, Job, MapReduce, Tasks, mapper, partitioner};

const LETTERS: u64 = 26;

/// SplitMix64, from anywhere in its sequence.
fn random(index: u64) -> u64 {
    let z = 42u64.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[mapper]
fn records((first, count): (u64, u64), out: &mut Emit<String, String>) {
    let (mut key, filler) = (String::new(), ".".repeat(56));
    for number in first..first + count {
        key.clear();
        let mut bits = random(number);
        for _ in 0..10 {
            key.push((b'A' + (bits % LETTERS) as u8) as char);
            bits /= LETTERS;
        }
        out.emit(&key, format!("{number:032} {filler}"));
    }
}

/// By the first two letters, so that the results follow one another.
#[partitioner]
fn by_range(key: &str, of: u32) -> u32 {
    let place = key.bytes().take(2).fold(0, |place, letter| place * LETTERS + u64::from(letter - b'A'));
    (place * u64::from(of) / (LETTERS * LETTERS)) as u32
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let (mut config, mut job, mut count) = (Config::default(), Job::new(records).partitioner(by_range), 100_000u64);
    for argument in std::env::args().skip(1) {
        match (argument.split_once('='), argument.parse()) {
            (Some(("to", dir)), _) => job = job.output(dir),
            (Some(("memory", mib)), _) => config = config.memory(mib.parse::<u64>()? << 20),
            (_, Ok(number)) => count = number,
            _ => config = config.on(argument),
        }
    }
    let step = count.div_ceil(16).max(1);
    let tasks = (0..count).step_by(step as usize).map(|first| (first, step.min(count - first)));
    let mut workers = MapReduce::workers(config)?;
    let (mut before, mut number, mut sum) = (String::new(), 0u64, 0u64);
    for (key, value) in workers.run(Tasks::values(tasks), &job)? {
        if key < before {
            return Err(format!("{key} comes after {before}").into());
        }
        sum = sum.wrapping_add(value[..32].parse()?);
        number += 1;
        before = key;
    }
    let summary = workers.summary();
    match summary.files.len() {
        0 => println!("{number} records are sorted, none of them missing: {}", sum == count * count.saturating_sub(1) / 2),
        files => println!("{} records are sorted, in {files} files", summary.records_out),
    }
    Ok(())
}
