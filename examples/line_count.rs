//! The slides' MapReduce program: how many lines there are in the files that are named, on the nodes that are named. A node has a colon
//! in it: `line_count host2:6340 /data/a.txt /data/b.txt`.

use std::fs;

use places::Channel;
use places_mapreduce::{Config, Emit, Job, MapReduce, Results, Tasks, Values, mapper, outputer, reducer};

#[mapper]
fn lines(file: String, out: &mut Emit<String, u64>) -> places::Result {
    fs::read_to_string(&file)?.lines().for_each(|line| out.emit(line, 1));
    Ok(())
}

#[reducer]
fn count(line: String, ones: Values<'_, u64>, out: &mut Emit<String, u64>) {
    out.emit(&line, ones.sum());
}

#[outputer]
fn print(results: Results<String, u64>) {
    let mut results: Vec<_> = results.collect();
    results.sort();
    results.iter().for_each(|(line, count)| println!("{count} - {line}"));
    println!("{} - TOTAL", results.iter().map(|(_, count)| count).sum::<u64>());
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let (nodes, files): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|argument| argument.contains(':'));
    let config = nodes.into_iter().fold(Config::default(), Config::on);
    let mut workers = MapReduce::workers(config)?;
    workers.run(Tasks::values(files), &Job::new(lines).reducer(count).outputer(print))?;
    Ok(())
}
