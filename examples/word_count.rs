//! How often each word is in the files of `/data`, by MapReduce: on the nodes that are named, else here. With `to=DIR` the counts go to
//! files there; with `slots=N` each node does so many tasks at a time.

use places::Channel;
use places_mapreduce::{Config, Emit, Job, MapReduce, Tasks, Values, combiner, mapper, reducer, words};

#[mapper]
fn count(line: &str, out: &mut Emit<String, u64>) {
    words(line).for_each(|word| out.emit(word, 1));
}

#[combiner]
fn sum(total: &mut u64, more: u64) {
    *total += more;
}

#[reducer]
fn total(word: String, counts: Values<'_, u64>, out: &mut Emit<String, u64>) {
    out.emit(&word, counts.sum());
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let (mut config, mut job) = (Config::default(), Job::new(count).combiner(sum).reducer(total));
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            Some(("to", dir)) => job = job.output(dir),
            Some(("slots", count)) => config = config.slots(count.parse()?),
            _ => config = config.on(argument),
        }
    }
    let mut workers = MapReduce::workers(config)?;
    let results = workers.run(Tasks::files(["/data"]), &job)?;
    let mut counts: Vec<_> = results.collect();
    counts.sort();
    counts.iter().for_each(|(word, count)| println!("{word} {count}"));
    let summary = workers.summary();
    println!("{} lines, {} different words", summary.records_in, summary.records_out);
    Ok(())
}
