//! The lines with a text in them, of all files of `/data`, by file and place. The first argument is the text; the others are nodes.

use places::Channel;
use places_mapreduce::{Config, Emit, Job, Line, MapReduce, Tasks, args, mapper};

#[mapper]
fn find(line: Line<'_>, out: &mut Emit<(String, u64), String>) -> places::Result {
    let text = line.text()?;
    if text.contains(&args()[0]) {
        out.emit(&(line.path.to_owned(), line.offset), text.to_owned());
    }
    Ok(())
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let mut arguments = std::env::args().skip(1);
    let text = arguments.next().ok_or("what text?")?;
    let mut workers = MapReduce::workers(arguments.fold(Config::default(), Config::on))?;
    let job = Job::new(find).reducers(1).args([text]);
    for ((path, offset), line) in workers.run(Tasks::files(["/data"]), &job)? {
        println!("{path}:{offset}: {line}");
    }
    Ok(())
}
