//! MapReduce where a task takes very long, or an agent dies while its node lives; and the display on a terminal.

use std::fmt::Display;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Run, end, guest, placehost};
use crate::lab::{Lab, Node};

/// A folder that nodes share, with lines in `in` and room for `out`, and a job over it.
struct Job {
    lab: Lab,
    nodes: Vec<Node>,
    folder: TempDir,
}

impl Job {
    /// On two nodes.
    fn new(lines: &[&str]) -> Self {
        Self::on(2, lines)
    }

    fn on(nodes: usize, lines: &[impl Display]) -> Self {
        let (lab, folder) = (Lab::new(), tempfile::tempdir().expect("there is room"));
        for name in ["in", "out"] {
            fs::create_dir(folder.path().join(name)).expect("there is room");
        }
        for (number, line) in lines.iter().enumerate() {
            fs::write(folder.path().join(format!("in/{number:02}")), format!("{line}\n")).expect("there is room");
        }
        let dir = folder.path().display().to_string();
        let nodes = (0..nodes).map(|_| lab.node(&["--dir", &dir, "--scratch", "/tmp"])).collect();
        Self { lab, nodes, folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn start(&self, args: &[&str], of_program: &[&str]) -> Events {
        self.start_program("mapreduce", args, of_program)
    }

    fn start_program(&self, name: &str, args: &[&str], of_program: &[&str]) -> Events {
        let (module, dir) = (guest(name), self.folder.path().display().to_string());
        let workers: Vec<_> = self.nodes.iter().map(|node| &*node.address).collect();
        let workers = workers.join(",");
        let (input, output) = (self.path("in/*"), self.path("out"));
        let first = ["mapreduce", module.to_str().expect("its path is text"), "--input", &input, "--output", &output];
        let more = ["--dir", &dir, "--workers", &workers, "--timeout", "1s", "--json", "-v"];
        let mut child = self.lab.placehost(&[&first[..], &more, args, &["--"], of_program].concat()).start();
        let stdout = BufReader::new(child.stdout.take().expect("it is a pipe")).lines();
        Events { child, stdout }
    }

    /// The lines of the output, in order.
    fn output(&self, parts: usize) -> Vec<String> {
        let text = self.parts(parts).concat();
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// What is in the parts of the output; nothing else may be there.
    fn parts(&self, parts: usize) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(self.path("out")).expect("it is there").map(|entry| entry.expect("it can be read").path()).collect();
        names.sort();
        let expected: Vec<_> = (0..parts).map(|part| self.folder.path().join(format!("out/part-{part:05}"))).collect();
        assert_eq!(names, expected);
        names.iter().map(|path| fs::read_to_string(path).expect("it is text")).collect()
    }
}

struct Events {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Events {
    /// Waits until the job says this, and returns it.
    fn until(&mut self, kind: &str) -> Value {
        let events = self.stdout.by_ref().map(|line| serde_json::from_str::<Value>(&line.expect("it can be read")).expect("it is JSON"));
        let found = events.into_iter().find_map(|mut event| event.get_mut(kind).map(Value::take));
        found.unwrap_or_else(|| panic!("the job does not say `{kind}`"))
    }

    /// Waits for its end; what it has done.
    fn done(mut self) -> Value {
        let done = self.until("done");
        let ended = end(self.child);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        done
    }
}

const LINES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "a", "b"];
const COUNTS: [&str; 6] = ["a\t2", "b\t2", "c\t1", "d\t1", "e\t1", "f\t1"];

#[test]
fn a_straggler_gets_a_copy_elsewhere_and_its_output_is_not_doubled() {
    for (what, kind, at) in
        [("map d", "map", "job"), ("map d", "map", "workers"), ("reduce d", "reduce", "job"), ("reduce d", "reduce", "workers")]
    {
        let job = Job::new(&LINES);
        let slept = job.path("slept");
        let began = Instant::now();
        let args = ["--mapper", "slow", "--reducer", "slow_sum", "--reducers", "4", "--output-at", at];
        let mut events = job.start(&args, &[&slept, what]);
        let straggler = events.until("straggler");
        assert_eq!(straggler["kind"], kind);
        assert_ne!(straggler["worker"], straggler["copy-on"]);
        let done = events.done();
        assert_eq!((&done["speculated"], &done["records-out"]), (&1.into(), &6.into()), "{what} {at}");
        assert_eq!(job.output(4), COUNTS, "{what} {at}");
        // It would sleep for ten minutes.
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    }
}

/// Runs a job on three nodes to its end, and kills some, each after so many events. How many events there were, how many workers the job
/// has missed, and the parts of its output.
fn run_and_kill(lines: &[String], at: &str, kills: &[(usize, usize)], about: &str) -> (usize, usize, Vec<String>) {
    let job = Job::on(3, lines);
    let mut events = job.start_program("word_count", &["--split", "256B", "--reducers", "5", "--output-at", at], &[]);
    let (mut seen, mut lost) = (0, 0);
    for line in events.stdout.by_ref() {
        lost += usize::from(line.expect("it can be read").starts_with(r#"{"lost":"#));
        kills.iter().filter(|(_, when)| *when == seen).for_each(|(node, _)| job.nodes[*node].signal("-KILL"));
        seen += 1;
    }
    let ended = end(events.child);
    assert_eq!(ended.code, Some(0), "{about}: {}", ended.stderr);
    (seen, lost, job.parts(5))
}

/// Numbers that a seed gives (SplitMix64).
fn random(seed: &mut u64) -> usize {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed >> 33) as usize
}

/// Each time others: `SEED` names those of a run that failed.
#[test]
fn whichever_nodes_are_killed_whenever_the_output_is_the_same_byte_for_byte() {
    let word = |number: u32| format!("word{}", number.wrapping_mul(2_654_435_761) % 499);
    let lines: Vec<_> = (0..24).map(|file| (0..150).map(|at| word(file * 150 + at)).collect::<Vec<_>>().join(" \n")).collect();
    let (events, _, expected) = run_and_kill(&lines, "job", &[], "nobody is killed");
    assert!(expected.iter().all(|part| part.len() > 500), "{expected:?}");
    let mut seed = match std::env::var("SEED") {
        Ok(seed) => seed.parse().expect("`SEED` is a number"),
        Err(_) => RandomState::new().build_hasher().finish() >> 16,
    };
    let mut all_lost = 0;
    for _ in 0..6 {
        let about = format!("SEED={seed}");
        let first = random(&mut seed) % 3;
        // Of three one is left.
        let second = (first + 1 + random(&mut seed) % 2) % 3;
        let mut kills = vec![(first, random(&mut seed) % events), (second, random(&mut seed) % events)];
        kills.truncate(1 + random(&mut seed) % 2);
        let at = ["job", "workers"][random(&mut seed) % 2];
        let about = format!("{about}: {kills:?} of {events} events, written by {at}");
        let (_, lost, parts) = run_and_kill(&lines, at, &kills, &about);
        assert!(parts == expected, "{about}");
        all_lost += lost;
    }
    // Whoever is killed at the very end may not be missed.
    assert!(all_lost > 0, "no job has missed anybody");
}

/// Kills an agent on a node, and nothing else.
fn kill_agent(job: &Job, node: usize) {
    let places = job.lab.places(&job.nodes[node]);
    let agent = places.iter().find(|place| place.to_string().contains("mapreduce-agent")).expect("it is there");
    let id = agent["id"].as_str().expect("it has an id");
    job.lab.placehost(&["kill", id, "--at", &job.nodes[node].address]).fails(0, &[]);
}

#[test]
fn an_agent_that_dies_while_its_node_lives_is_started_anew() {
    let job = Job::new(&["a", "b", "waits", "c", "waits", "waits", "waits"]);
    let gate = job.path("gate");
    let mut events = job.start(&["--mapper", "gated", "--reducer", "of_each", "--output-at", "workers"], &[&gate]);
    events.until("task-began");
    kill_agent(&job, 1);
    let restarted = events.until("restarted");
    assert_eq!((&restarted["worker"], &restarted["new"]), (&1.into(), &2.into()), "{restarted}");
    kill_agent(&job, 1);
    assert_eq!(events.until("restarted")["new"], 3);
    fs::write(&gate, "").expect("there is room");
    let done = events.done();
    assert_eq!((&done["lost"], &done["workers"], &done["records-out"]), (&0.into(), &2.into(), &4.into()));
    assert_eq!(job.output(4), ["a\t1", "b\t1", "c\t1", "waits\t4"]);
    // As often as a task may fail, and not more.
    let job = Job::new(&["waits", "waits", "waits", "waits", "waits"]);
    let gate = job.path("gate");
    let mut events = job.start(&["--mapper", "gated", "--reducer", "of_each", "--attempts", "2"], &[&gate]);
    events.until("task-began");
    kill_agent(&job, 1);
    events.until("restarted");
    kill_agent(&job, 1);
    assert_eq!(events.until("lost")["worker"], 2);
    fs::write(&gate, "").expect("there is room");
    assert_eq!(events.done()["lost"], 1);
    assert_eq!(job.output(4), ["waits\t5"]);
}

/// Runs a command on a terminal of its own, whose output is its standard output.
fn on_a_terminal(run: Run) -> Run {
    run.by("bash", &["-c", "exec script -qefc \"stty rows 40 cols 120; $(printf '%q ' \"$@\")\" /dev/null", "bash"])
}

#[test]
fn on_a_terminal_a_bar_shows_how_far_a_job_is_and_is_gone_at_its_end() {
    let folder = tempfile::tempdir().expect("there is room");
    fs::write(folder.path().join("a"), "one\ntwo\n").expect("there is room");
    let module = guest("mapreduce_says");
    let module = module.to_str().expect("its path is text");
    let job = |part| on_a_terminal(placehost(["mapreduce", module, "--input", "a", "--mapper", part]).dir(folder.path()));
    let ended = job("all").end();
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    let shown = ended.stdout.replace("\r\n", "\n");
    // The bar, by its message, is drawn over and over in one line, which is cleared in the end.
    assert!(shown.contains("█░░░░░░ maps 5/10, reduces 0/2, shuffled 1.50 KiB, 1.5 s left, 2 workers"), "{shown:?}");
    let left: Vec<_> = shown.split('\n').map(|line| line.rsplit("\u{1b}[2K").next().unwrap_or(line)).collect();
    assert!(!left.iter().any(|line| line.contains("reduces 0/2") || line.contains('░')), "the bar is left: {left:?}");
    for line in ["10 map tasks over 2.00 KiB and 2 reduce tasks\n", "a place prints\n", "it is tried again\n", "\nslowest    1.5 s "] {
        assert!(shown.contains(line), "`{line}` is not in {shown:?}");
    }
    let after = shown.rsplit_once("Done in 2.3 s").expect("there is a summary").1;
    assert!(!after.contains("maps "), "{after:?}");
}
