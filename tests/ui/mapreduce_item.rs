//! The attributes of MapReduce belong on plain functions of a certain shape.

#![expect(unused, reason = "what is told is what is wrong")]

use places_mapreduce::{Emit, Results, Values, combiner, mapper, outputer, partitioner, reducer};

#[mapper]
struct Words;

#[mapper(name = "words")]
fn named(line: &str, out: &mut Emit<String, u64>) {
    out.emit(line, 1);
}

#[mapper]
async fn waits(line: &str, out: &mut Emit<String, u64>) {
    out.emit(line, 1);
}

#[mapper]
fn anything<T>(line: T, out: &mut Emit<String, u64>) {}

#[mapper]
fn alone(line: &str) {}

#[reducer]
unsafe fn dares(word: String, counts: Values<'_, u64>, out: &mut Emit<String, u64>) {}

#[reducer]
fn returns(word: String, counts: Values<'_, u64>) -> u64 {
    counts.sum()
}

#[combiner]
fn three(total: &mut u64, more: u64, most: u64) {}

#[partitioner]
fn unbounded(key: &str) -> u32 {
    0
}

#[outputer]
fn both(results: Results<String, u64>, more: u64) {}

struct Job;

impl Job {
    #[combiner]
    fn add(&self, more: u64) {}
}

fn main() {}
