//! Sorts the lines of the files in `/data` by their bytes, and says how many there are. With `to=DIR` they go to files there, one after
//! another in order; with `memory=MIB` each task has so much. Other arguments are nodes.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};

use places::Channel;
use places_mapreduce::{Config, Emit, Job, MapReduce, Tasks, args, mapper, partitioner};

/// About how many lines are looked at, to know where the parts of the result begin.
const SAMPLES: u64 = 1000;

#[mapper]
fn lines(line: &str, out: &mut Emit<String, ()>) {
    out.emit(line, ());
}

/// The arguments of the job are the first lines of all parts but the first.
#[partitioner]
fn by_range(line: &str, _of: u32) -> u32 {
    args().partition_point(|first| first.as_str() <= line) as u32
}

/// Lines from all over the files, in order.
fn sample() -> io::Result<Vec<String>> {
    let files = fs::read_dir("/data")?.map(|entry| entry.and_then(|entry| Ok((entry.path(), entry.metadata()?.len()))));
    let files = files.collect::<io::Result<Vec<_>>>()?;
    let step = (files.iter().map(|(_, len)| len).sum::<u64>() / SAMPLES).max(1);
    let mut lines = Vec::new();
    for (path, len) in files {
        let mut file = BufReader::with_capacity(1 << 10, File::open(path)?);
        for at in (0..len).step_by(step as usize) {
            file.seek(SeekFrom::Start(at))?;
            // Most probably the first one is but the rest of a line.
            let (mut rest, mut line) = (Vec::new(), String::new());
            file.read_until(b'\n', &mut rest)?;
            if file.read_line(&mut line)? > 0 {
                lines.push(line);
            }
        }
    }
    lines.sort();
    Ok(lines)
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let (mut config, mut job, mut parts) = (Config::default(), Job::new(lines).partitioner(by_range), 0);
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            Some(("to", dir)) => job = job.output(dir),
            Some(("memory", mib)) => config = config.memory(mib.parse::<u64>()? << 20),
            _ => {
                config = config.on(argument);
                parts += 2;
            }
        }
    }
    let parts = parts.max(2);
    let sample = sample()?;
    let firsts = (1..parts).filter_map(|part| sample.get(sample.len() * part / parts).map(|line| line.trim_end().to_owned()));
    let job = job.reducers(parts as u32).args(firsts);
    let mut workers = MapReduce::workers(config)?;
    for (line, ()) in workers.run(Tasks::files(["/data"]), &job)? {
        println!("{line}");
    }
    println!("{} lines are sorted", workers.summary().records_out);
    Ok(())
}
