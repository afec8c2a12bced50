//! What the functions of a job take and give has to be what they are called with.

#![expect(unused, reason = "what is told is what is wrong")]

use places_mapreduce::{Emit, Job, Results, Values, combiner, mapper, outputer, partitioner, reducer};

struct Plain;

#[mapper]
fn into_a_list(line: &str, out: &mut Vec<String>) {}

#[mapper]
fn by_value(line: &str, out: Emit<String, u64>) {}

#[mapper]
fn plain(line: &str, out: &mut Emit<String, Plain>) {}

#[mapper]
fn gives(line: &str, out: &mut Emit<String, u64>) -> u64 {
    1
}

#[combiner]
fn adds(total: u64, more: u64) {}

#[combiner]
fn sums(total: &mut u64, more: u64) -> u64 {
    *total + more
}

#[partitioner]
fn far(key: &str, of: u32) -> usize {
    0
}

#[reducer]
fn of_a_list(word: String, counts: Vec<u64>, out: &mut Emit<String, u64>) {}

#[outputer]
fn prints(results: Vec<(String, u64)>) {}

#[mapper]
fn words(line: &str, out: &mut Emit<String, u64>) {}

#[combiner]
fn joins(text: &mut String, more: String) {}

#[reducer]
fn of_texts(word: String, counts: Values<'_, String>, out: &mut Emit<String, String>) {}

fn main() {
    let _ = Job::new(words).combiner(joins);
    let _ = Job::new(words).reducer(of_texts);
}
