//! `placehost mapreduce`: what it tells a job and grants it, what it shows of it, and how it ends. The job here only plays its part.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Ended, Run, end, guest, placehost};
use crate::lab::{Lab, Node, signal};
use crate::sshd::Sshd;

/// `placehost mapreduce` of the guest in a folder with two files in `data`.
struct Job(TempDir);

impl Job {
    fn new() -> Self {
        let job = Self::empty();
        for name in ["a.txt", "b.txt"] {
            fs::write(job.0.path().join("data").join(name), "text").expect("there is room");
        }
        job
    }

    /// With nothing in `data`.
    fn empty() -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        fs::create_dir(folder.path().join("data")).expect("there is room");
        Self(folder)
    }

    fn arguments(args: &[&str]) -> Vec<String> {
        let module = guest("mapreduce_says");
        let module = module.to_str().expect("its path is text");
        [&["mapreduce", module], args].concat().into_iter().map(str::to_owned).collect()
    }

    fn run(&self, args: &[&str]) -> Run {
        placehost(Self::arguments(args)).dir(self.0.path())
    }

    /// Plays a part.
    fn plays(&self, part: &str, args: &[&str]) -> Run {
        self.run(&[&["--input", "data/*.txt", "--mapper", part], args].concat())
    }

    /// The path of something in the folder.
    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }
}

const SUMMARY: &str = "\
Done in 2.3 s: 10 map tasks and 2 reduce tasks on 2 workers, 1 worker lost, 1 retry
in         1,234 records, 2.00 KiB
shuffled   10 records, 1.50 KiB
out        1 record, 5 B
spilled    0 B
slowest    1.5 s    map task 3 on worker `host2`: /data/a.txt
";

#[test]
fn a_job_is_told_what_the_options_say() {
    let job = Job::new();
    let (input, output) = (job.path("data/*.txt"), job.path("out"));
    job.run(&["--input", "data/*.txt"]).prints(&format!(
        "Order {{ workers: [Worker {{ address: None }}], slots: None, inputs: [{input:?}], split: None, output: None, args: [], mapper: \
         None, combiner: None, partitioner: None, reducer: None, outputer: None, reducers: None, memory: None, \
         attempts: 4, speculation: true, verbosity: 0 }}\n"
    ));
    let file = job.path("data/a.txt");
    job.run(&["--input", "data/a.txt"])
        .fails(0, &[])
        .stdout
        .contains(&format!("inputs: [{file:?}]"))
        .then_some(())
        .expect("it is the file");
    let all = ["--input", "data/*.txt", "--input", "data", "--output", "out", "--slots", "3", "--reducers", "5", "--split", "1MiB"];
    let more = ["--memory", "128MiB", "--attempts", "2", "--no-speculation", "--reducer", "sums", "--workers", ".", "-v", "--", "x", "--y"];
    let folder = job.path("data");
    let ended = job.run(&[&all[..], &more[..]].concat()).fails(0, &[SUMMARY]);
    ended.stdout_is(&format!(
        "Order {{ workers: [Worker {{ address: None }}], slots: Some(3), inputs: [{input:?}, {folder:?}], split: Some(1048576), output: \
         Some({output:?}), args: [\"x\", \"--y\"], mapper: None, combiner: None, partitioner: None, reducer: Some(\"sums\"), outputer: None, \
         reducers: Some(5), memory: Some(134217728), attempts: 2, speculation: false, verbosity: 1 }}\n"
    ));
}

#[test]
fn what_is_named_is_granted() {
    let job = Job::new();
    let ended = job.plays("reads", &["--input", "data", "--output", "out/deep"]).fails(0, &[SUMMARY]);
    ended.stdout_is("[\"a.txt\", \"b.txt\"]\n[\"a.txt\", \"b.txt\"]\n");
    assert_eq!(fs::read_to_string(job.path("out/deep/part-00000")).ok().as_deref(), Some("written"));
    // A path of the places' own, as the nodes know it.
    let dir = format!("{}::/data:ro", job.path("data"));
    let args = ["--dir", &dir, "--input", "/data/*", "--mapper", "reads", "--output", "out"];
    job.run(&args).fails(0, &[]).stdout_is("[\"a.txt\", \"b.txt\"]\n");
    job.run(&["--input", "nowhere/*"]).fails(125, &["cannot read the input `nowhere/*`", "No such file or directory", "hint: "]);
    job.run(&["--input", "data", "--output", "data/a.txt"]).fails(125, &["cannot write into the output `data/a.txt`"]);
    job.run(&["--input", "s3:///x"]).fails(2, &["`s3:///x` of --input names no objects: it names no bucket"]);
    job.run(&["--output", "out"]).fails(2, &["--input"]);
}

#[test]
fn a_job_is_shown_by_lines_where_there_is_no_terminal() {
    let job = Job::new();
    let planned = "10 map tasks over 2.00 KiB and 2 reduce tasks\n";
    let shown = "\
maps 5/10, reduces 0/2, shuffled 1.50 KiB, 1.5 s left, 2 workers, 1 retry
maps 10/10, reduces 1/2, shuffled 1.50 KiB, 1.5 s left, 2 workers, 1 retry
warning: map task 3, attempt 1, on worker `host2`, of `/data/a.txt @ 0 + 9`, at byte 7: no number; it is tried again
warning: worker `host1` is lost: it does not answer; 2 map tasks that had ended run again
";
    let ended = job.plays("all", &[]).end();
    assert_eq!((ended.code, &*ended.stdout), (Some(0), "a place prints\n"), "{}", ended.stderr);
    assert_eq!(ended.stderr, format!("{planned}{shown}{SUMMARY}"));
    let ended = job.plays("all", &["-v"]).fails(0, &["map task 3, attempt 1, on worker 1 began: /data/a.txt\n", planned, SUMMARY]);
    assert!(ended.stderr.contains("worker `host2` joined, for 2 tasks at a time\n"), "{}", ended.stderr);
}

#[test]
fn a_program_is_told_in_json() {
    let job = Job::new();
    let Ended { stdout, stderr, code } = job.plays("all", &["--json"]).end();
    assert_eq!((code, &*stderr), (Some(0), "a place prints\n"));
    let events: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    let kinds: Vec<_> = events.iter().map(|event| event.as_object().and_then(|event| event.keys().next()).expect("it has a key")).collect();
    let progress = ["progress"; 4];
    assert_eq!(kinds, [&["joined", "planned", "task-began"], &progress[..], &["task-failed", "lost", "done"]].concat());
    assert_eq!(events[9]["done"]["records-in"], 1234);
}

#[test]
fn a_job_that_fails_says_what_of() {
    let job = Job::new();
    let parts = [
        "error: the job failed: map task 3 failed 4 times",
        "attempt 4, on worker `host2`, of `/data/a.txt @ 0 + 9`, at byte 7: no number",
        "frame two",
    ];
    job.plays("fails", &[]).fails(1, &parts);
    let ended = job.plays("fails", &["--json"]).fails(1, &parts);
    assert!(ended.stdout.lines().last().is_some_and(|line| line.starts_with("{\"failed\":")), "{}", ended.stdout);
    job.plays("early", &[]).fails(125, &["error: the job failed: there is no input"]);
    job.plays("panics", &[]).fails(134, &["place `mapreduce-job` trapped", "as it was told"]);
    job.plays("nothing", &[]).fails(1, &["there is no part `nothing`"]);
    let other = guest("hello_world");
    let other = other.to_str().expect("its path is text");
    placehost(["mapreduce", other, "--input", "/etc/passwd"]).fails(125, &["is no MapReduce program", "hint: "]);
}

#[test]
fn a_signal_lets_a_job_end_itself() {
    let job = Job::new();
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let mut child = job.plays("waits", &["--json"]).start();
        let mut stdout = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it can be read");
        signal(&child, name);
        let rest: Vec<_> = stdout.lines().map_while(Result::ok).collect();
        assert_eq!(rest, ["{\"failed\":{\"error\":\"interrupted\",\"task\":null}}"]);
        let ended = end(child);
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert_eq!(ended.stderr, "there\nit has cleaned up\n");
    }
    // One that does not is killed, at once where that is wanted.
    let mut child = job.plays("hangs", &[]).start();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("it is a pipe")).read_line(&mut line).expect("it can be read");
    signal(&child, "-INT");
    signal(&child, "-INT");
    assert_eq!(end(child).code, Some(130));
}

#[test]
fn workers_are_reached_by_who_is_in_their_cluster() {
    let lab = Lab::without_cluster();
    let job = Job::new();
    let args = Job::arguments(&["--input", "data", "--workers", "host2,host3:7000"]);
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    lab.placehost(&args).dir(job.0.path()).fails(125, &["this machine is in no cluster"]);
    let lab = Lab::new();
    let ended = lab.placehost(&args).dir(job.0.path()).fails(0, &[]);
    let workers = "workers: [Worker { address: Some(\"host2:6340\") }, Worker { address: Some(\"host3:7000\") }]";
    assert!(ended.stdout.contains(workers), "{}", ended.stdout);
    job.run(&["--input", "data", "--workers", "a b"]).fails(2, &["--workers"]);
}

/// Text in several files, and how often each word is in it, as lines.
fn text(job: &Job) -> Vec<String> {
    let mut counts = std::collections::BTreeMap::new();
    for file in 0..4 {
        let words: Vec<_> = (0..20_000).map(|number: u32| format!("word{}", number.wrapping_mul(2_654_435_761) % 997 + file)).collect();
        words.iter().for_each(|word| *counts.entry(word.clone()).or_insert(0) += 1);
        let lines: String = words.chunks(7).map(|line| line.join(" ") + "\n").collect();
        fs::write(job.path(&format!("data/{file}.txt")), lines).expect("there is room");
    }
    counts.into_iter().map(|(word, count)| format!("{word}\t{count}")).collect()
}

/// The lines of all files of an output, in order.
fn output(job: &Job, folder: &str) -> Vec<String> {
    let files = fs::read_dir(job.path(folder)).expect("it is there").map(|entry| entry.expect("it can be read").path());
    let mut lines: Vec<_> =
        files.flat_map(|path| fs::read_to_string(path).expect("it is text").lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines.sort();
    lines
}

/// The job's output, started on two nodes with events as JSON. What it says is read line by line.
struct Far {
    lab: Lab,
    nodes: [Node; 2],
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Far {
    fn start(job: &Job, name: &str, args: &[&str]) -> Self {
        let lab = Lab::new();
        let dir = format!("{0}::{0}:ro", job.path("data"));
        let nodes = [(); 2].map(|()| lab.node(&["--dir", &dir, "--scratch", "/tmp"]));
        let (module, workers) = (guest(name), format!("{},{}", nodes[0].address, nodes[1].address));
        let module = module.to_str().expect("its path is text");
        let first = ["mapreduce", module, "--input", "data/*.txt", "--workers", &workers, "--timeout", "1s", "--json", "-v"];
        let mut child = lab.placehost(&[&first[..], args].concat()).dir(job.0.path()).start();
        let stdout = BufReader::new(child.stdout.take().expect("it is a pipe")).lines();
        Self { lab, nodes, child, stdout }
    }

    /// Waits until the job says this, and returns it; the last event it can be.
    fn until(&mut self, kind: &str) -> Value {
        let events = self.stdout.by_ref().map(|line| serde_json::from_str::<Value>(&line.expect("it can be read")).expect("it is JSON"));
        let found = events.into_iter().find_map(|mut event| event.get_mut(kind).map(Value::take));
        found.unwrap_or_else(|| panic!("the job does not say `{kind}`"))
    }
}

#[test]
fn a_node_that_is_killed_costs_a_job_nothing_but_time() {
    let job = Job::empty();
    let expected = text(&job);
    let mut far = Far::start(&job, "word_count", &["--split", "16KiB", "--output", "out"]);
    far.until("task-ended");
    far.nodes[1].signal("-KILL");
    let done = far.until("done");
    let ended = end(far.child);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!((&done["lost"], &done["records-out"]), (&1.into(), &expected.len().into()));
    assert_eq!(output(&job, "out"), expected);
    far.lab.has_places(&far.nodes[0], 0);
}

#[test]
fn a_signal_ends_a_job_on_all_nodes() {
    let job = Job::empty();
    text(&job);
    let mut far = Far::start(&job, "word_count", &["--split", "4KiB", "--output", "out"]);
    far.until("task-ended");
    signal(&far.child, "-INT");
    far.until("failed");
    assert_eq!(end(far.child).code, Some(130));
    far.nodes.iter().for_each(|node| far.lab.has_places(node, 0));
    assert_eq!(output(&job, "out"), Vec::<String>::new());
}

#[test]
fn a_task_that_fails_is_named_with_its_worker_its_input_and_the_place_in_it() {
    let job = Job::empty();
    fs::write(job.path("data/a.txt"), "one\ntwo\nfails\nthree\n").expect("there is room");
    let module = guest("mapreduce");
    let module = module.to_str().expect("its path is text");
    let args = ["mapreduce", module, "--input", "data/*.txt", "--mapper", "lines", "--reducer", "of_each", "--attempts", "2"];
    let ended = placehost(args).dir(job.0.path()).end();
    assert_eq!(ended.code, Some(1));
    let input = job.path("data/a.txt");
    for part in [
        "map task 0, attempt 1, on worker `",
        "; it is tried again",
        "map task 0, attempt 2, on worker `",
        &input,
        ", at byte 8: ",
        "it was told to",
    ] {
        assert!(ended.stderr.contains(part), "`{part}` is not in: {}", ended.stderr);
    }
}

#[test]
fn words_are_counted_without_a_driver() {
    let job = Job::empty();
    let expected = text(&job);
    let module = guest("word_count");
    let module = module.to_str().expect("its path is text");
    let count = ["mapreduce", module, "--input", "data/*.txt", "--split", "64KiB"];
    let here = |args: &[&str]| placehost([&count[..], args].concat()).dir(job.0.path());
    let ended = here(&["--output", "out", "--reducers", "3"]).fails(0, &[" map tasks over ", "Done in ", "spilled ", "slowest "]);
    assert_eq!((ended.stdout.as_str(), output(&job, "out")), ("", expected.clone()));
    assert_eq!(fs::read_dir(job.path("out")).map(Iterator::count).ok(), Some(3));
    here(&["--output", "out"]).fails(125, &["error: the job failed: "]);
    let printed = here(&[]).fails(0, &["Done in "]);
    let mut lines: Vec<_> = printed.stdout.lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, expected);
    here(&["--mapper", "nothing"]).fails(125, &["error: the job failed: ", "nothing"]);

    let lab = Lab::new();
    let dir = format!("{0}::{0}:ro", job.path("data"));
    let (a, b) = (lab.node(&["--dir", &dir, "--scratch", "/tmp"]), lab.node(&["--dir", &dir, "--scratch", "/tmp"]));
    let workers = format!("{},{}", a.address, b.address);
    let far = |args: &[&str]| lab.placehost(&[&count[..], &["--workers", &workers], args].concat()).dir(job.0.path());
    let ended = far(&["--output", "far", "--json"]).fails(0, &[]);
    let last = ended.stdout.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok()).expect("it is JSON");
    assert_eq!((&last["done"]["workers"], &last["done"]["records-out"]), (&2.into(), &expected.len().into()));
    assert_eq!(output(&job, "far"), expected);
    lab.has_places(&a, 0);
    lab.has_places(&b, 0);
}

#[test]
fn ssh_launches_workers_for_a_job() {
    let Some(sshd) = Sshd::new() else { return };
    let (job, lab) = (Job::empty(), Lab::without_cluster());
    let expected = text(&job);
    let module = guest("word_count");
    let module = module.to_str().expect("its path is text");
    let count = |workers: &str, output: &str, ssh: &str, more: &[&str]| {
        let args = ["mapreduce", module, "--input", "data/*.txt", "--split", "64KiB", "--output", output, "--workers", workers];
        lab.placehost(&[&args[..], more].concat()).dir(job.0.path()).env("PLACEHOST_SSH", ssh)
    };
    count(".,ssh://host2", "both", &sshd.ssh, &[]).fails(0, &["2 workers"]);
    assert_eq!(output(&job, "both"), expected);
    count("ssh://host2", "there", &sshd.ssh, &[]).fails(0, &["1 worker"]);
    assert_eq!(output(&job, "there"), expected);
    fs::create_dir(job.path("by it")).expect("there is room");
    let granted = format!("{0}::{0}", job.path("by it"));
    count("ssh://host2", &job.path("by it"), &sshd.ssh, &["--output-at", "workers", "--dir", &granted]).fails(0, &["1 worker"]);
    assert_eq!(output(&job, "by it"), expected);
    count("ssh://host2", "none", "/nowhere/ssh", &[]).fails(125, &["error: cannot run `/nowhere/ssh` to reach `host2`"]);
    sshd.nothing_is_left();
}
