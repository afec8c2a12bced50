//! In which of the files of `/data` each word is. The arguments are nodes.

use places::Channel;
use places_mapreduce::{Config, Emit, Job, Line, MapReduce, Tasks, Values, mapper, reducer};

#[mapper]
fn words(line: Line<'_>, out: &mut Emit<(String, String), ()>) -> places::Result {
    for word in line.text()?.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        out.emit(&(word.to_lowercase(), line.path.to_owned()), ());
    }
    Ok(())
}

#[places_mapreduce::combiner]
fn once(_: &mut (), _: ()) {}

/// The words of one beginning go to one reduce task, and the files of a word with them.
#[places_mapreduce::partitioner]
fn by_letter((word, _): (String, String), of: u32) -> u32 {
    word.chars().next().map_or(0, u32::from) % of
}

#[reducer]
fn files((word, file): (String, String), _: Values<'_, ()>, out: &mut Emit<String, String>) {
    out.emit(&word, file);
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let mut workers = MapReduce::workers(std::env::args().skip(1).fold(Config::default(), Config::on))?;
    let job = Job::new(words).combiner(once).partitioner(by_letter).reducer(files);
    let mut index: Vec<(String, Vec<String>)> = Vec::new();
    for (word, file) in workers.run(Tasks::files(["/data"]), &job)? {
        match index.last_mut() {
            Some((last, files)) if *last == word => files.push(file),
            _ => index.push((word, vec![file])),
        }
    }
    index.sort();
    index.iter().for_each(|(word, files)| println!("{word}: {}", files.join(" ")));
    Ok(())
}
