//! MapReduce: jobs at their edges, jobs whose functions fail, and jobs whose workers are lost, whose results may not depend on it.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Run, end, guest, run};
use crate::lab::{Lab, Node, signal, until};

const TEXT: &str = "the quick brown fox\njumps over the lazy dog\n\nThe end of the fox\n";
const COUNTS: &str = "The 1\nbrown 1\ndog 1\nend 1\nfox 2\njumps 1\nlazy 1\nof 1\nover 1\nquick 1\nthe 3\n4 lines, 11 different words\n";
const PAGES: &str = "page 1: 0.004277\npage 8: 0.004209\npage 4: 0.004021\npage 29: 0.003790\npage 57: 0.003692\nall together: 1.000000\n";

/// A folder with files for `/data`.
struct Data(TempDir);

impl Data {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let dir = tempfile::tempdir().expect("there is room");
        files.iter().for_each(|(name, text)| fs::write(dir.path().join(name), text).expect("there is room"));
        Self(dir)
    }

    fn text() -> Self {
        let (first, second) = TEXT.split_at(TEXT.find("jumps").expect("it is there"));
        Self::new(&[("a.txt", first.as_bytes()), ("b.txt", second.as_bytes())])
    }

    fn at(&self, path: &str) -> String {
        format!("{}::{path}", self.0.path().display())
    }
}

/// What each example prints, with what arguments before the nodes.
fn examples() -> [(&'static str, &'static [&'static str], String); 7] {
    let word = |word: &str, files: &str| format!("{word}: {files}\n");
    let (a, b) = ("/data/a.txt", "/data/b.txt");
    let index = [("brown", a), ("dog", b), ("end", b), ("fox", "/data/a.txt /data/b.txt"), ("jumps", b), ("lazy", b), ("of", b)];
    let index = index.into_iter().chain([("over", b), ("quick", a), ("the", "/data/a.txt /data/b.txt")]);
    let lines = "1 - \n1 - The end of the fox\n1 - jumps over the lazy dog\n1 - the quick brown fox\n4 - TOTAL\n";
    [
        ("line_count", &["/data/a.txt", "/data/b.txt"], lines.into()),
        ("word_count", &[], COUNTS.into()),
        ("inverted_index", &[], index.map(|(text, files)| word(text, files)).collect()),
        ("distributed_grep", &["fox"], "/data/a.txt:0: the quick brown fox\n/data/b.txt:25: The end of the fox\n".into()),
        ("terasort", &["20000"], "20000 records are sorted, none of them missing: true\n".into()),
        ("sort", &[], "\nThe end of the fox\njumps over the lazy dog\nthe quick brown fox\n4 lines are sorted\n".into()),
        ("pagerank", &[], PAGES.into()),
    ]
}

/// The lines `one`, `two`, then `two`, `three`, of two members, as `gzip` makes them.
pub(crate) const GZIP: [u8; 57] = [
    31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 203, 207, 75, 229, 42, 41, 207, 231, 2, 0, 230, 11, 186, 18, 8, 0, 0, 0, 31, 139, 8, 0, 0, 0, 0, 0, 0,
    3, 43, 41, 207, 231, 42, 201, 40, 74, 77, 5, 0, 124, 46, 81, 177, 9, 0, 0, 0,
];
/// The lines `one`, `four`, then `four`, of two frames, as `zstd` makes them.
pub(crate) const ZSTD: [u8; 40] = [
    40, 181, 47, 253, 4, 88, 73, 0, 0, 111, 110, 101, 10, 102, 111, 117, 114, 10, 25, 35, 208, 199, 40, 181, 47, 253, 4, 88, 41, 0, 0, 102,
    111, 117, 114, 10, 163, 35, 250, 54,
];

#[test]
fn mapreduce_examples_print_what_they_should() {
    let data = Data::text();
    for (name, args, expected) in examples() {
        run(name, "main", &[&["--dir", &data.at("/data"), "--"], args].concat()).prints(&expected);
    }
}

/// Three nodes that see the same files.
fn nodes(lab: &Lab, data: &Data) -> [Node; 3] {
    [(); 3].map(|()| lab.node(&["--dir", &data.at("/data"), "--timeout", "1s", "--grace", "0s"]))
}

/// `placehost run NAME START -- ARGS NODES`, by a machine of the cluster.
fn far(lab: &Lab, data: &Data, name: &str, start: &str, options: &[&str], args: &[&str], nodes: &[Node]) -> Run {
    let module = guest(name);
    let module = module.to_str().expect("its path is text");
    let dir = data.at("/data");
    let first = ["run", module, start, "--allow-nodes", "--timeout", "1s", "--dir", &dir];
    let addresses: Vec<_> = nodes.iter().map(|node| &*node.address).collect();
    lab.placehost(&[&first[..], options, &["--"], args, &addresses].concat())
}

#[test]
fn mapreduce_examples_print_the_same_on_three_nodes_of_which_one_is_killed() {
    let (lab, data) = (Lab::new(), Data::text());
    for ((name, args, expected), seed) in examples().into_iter().zip(1u64..) {
        let nodes = nodes(&lab, &data);
        far(&lab, &data, name, "main", &[], args, &nodes).prints(&expected);
        let child = far(&lab, &data, name, "main", &[], args, &nodes).start();
        // Somewhere between its beginning and its end.
        thread::sleep(Duration::from_millis(seed * 7919 % 40));
        nodes[1].signal("-KILL");
        let ended = end(child);
        assert_eq!((ended.code, &*ended.stdout), (Some(0), &*expected), "{name}: {}", ended.stderr);
    }
}

#[test]
fn results_do_not_depend_on_which_worker_is_lost_when() {
    let (lab, data) = (Lab::new(), Data::text());
    let loses = |when: &str| {
        let nodes = nodes(&lab, &data);
        let addresses: Vec<_> = nodes.iter().map(|node| &*node.address).collect();
        let args = [&addresses[..], &[when]].concat();
        let ended = far(&lab, &data, "mapreduce", "loses", &[], &args, &[]).end();
        assert_eq!(ended.code, Some(0), "{when}: {}", ended.stderr);
        ended.stdout
    };
    let expected = loses("999");
    assert!(expected.starts_with("5000 keys, ") && expected.ends_with("; workers: 3\n"), "{expected}");
    for when in ["0", "13", "29", "47", "58", "60", "62"] {
        assert_eq!(loses(when), expected.replace("workers: 3", "workers: 2"), "lost at {when}");
    }
}

#[test]
fn jobs_of_all_sizes_are_right() {
    run("mapreduce", "sizes", &[]).prints("all of them are right\n");
}

#[test]
fn many_keys_large_groups_and_skew_need_little_memory() {
    let above = tempfile::tempdir().expect("there is room");
    let expected = "1000000 keys of 2000000 records, spilled: true\n1 keys of 10000000 records, spilled: true\n\
        800001 keys of which one has nearly all, spilled: true\n";
    run("mapreduce", "large", &["--scratch", &above.path().display().to_string()]).prints(expected);
}

#[test]
fn what_has_no_room_in_memory_is_on_disk_and_gone_afterwards() {
    let above = tempfile::tempdir().expect("there is room");
    run("mapreduce", "spills", &["--scratch", &above.path().display().to_string()]).prints("50000 keys, spilled: true, left: 0\n");
    assert_eq!(fs::read_dir(above.path()).map(Iterator::count).ok(), Some(0));
    let ended = run("mapreduce", "overflows", &[]).fails(0, &[]);
    let parts = ["map task 0 (value 0), attempt 1 on worker 0", "no room", "`--scratch DIR`"];
    parts.iter().for_each(|part| assert!(ended.stdout.contains(part), "{}", ended.stdout));
}

#[test]
fn a_function_that_fails_fails_its_job_with_where_it_was() {
    let says = |text: &str| {
        let data = Data::new(&[("a.txt", b"x\n"), ("b.txt", text.as_bytes())]);
        run("mapreduce", "fails", &["--dir", &data.at("/data")]).end().stdout
    };
    let at = "map 1 of /data/b.txt @ 0 + ";
    assert_eq!(says("good\nfails\n"), format!("{at}11, at Some(5), after 3: it was told to\na backtrace: false\n0\n"));
    let panics = says("good\ngood\npanics");
    let (begin, end) = (format!("{at}16, at Some(10), after 3: trapped: panicked at "), ": it was told to\na backtrace: true\n0\n");
    assert!(panics.starts_with(&begin) && panics.ends_with(end), "{panics}");
    assert_eq!(says("good\n"), "2 lines\n0\n");
    let none = Data::new(&[]);
    let ended = run("mapreduce", "fails", &["--dir", &none.at("/data")]).end();
    assert!(ended.stdout.starts_with("no file matches the input `/data/*.txt`, on the worker `"), "{}", ended.stdout);
}

#[test]
fn a_task_that_fails_now_and_then_is_tried_again() {
    let above = tempfile::tempdir().expect("there is room");
    let ended = run("mapreduce", "stumbles", &["--scratch", &above.path().display().to_string()]).end();
    assert_eq!(ended.stdout, "[(0, 105), (1, 111), (2, 117), (3, 123), (4, 129), (5, 95), (6, 100)], again: true\n");
    assert!(ended.stderr.contains("it stumbles over 3; it is tried again"), "{}", ended.stderr);
}

#[test]
fn words_stand_between_all_kinds_of_white_space() {
    let mut text = String::new();
    let mut expected = Vec::new();
    // Of all lengths, for a place looks at many bytes together.
    for (number, space) in ["\t", " ", "\x0c", "\r", " \r\t", "\n"].iter().cycle().take(80).enumerate() {
        let word = format!("{number:02}\x0bä{}", "x".repeat(number));
        text += &format!("{word}{space}");
        expected.push(format!("{word} 1\n"));
    }
    let data = Data::new(&[("a", text.as_bytes())]);
    let expected = format!("{}14 lines, 80 different words\n", expected.concat());
    run("word_count", "main", &["--dir", &data.at("/data")]).prints(&expected);
}

#[test]
fn a_sort_over_all_parts_and_from_disk_is_in_order() {
    let mut lines: Vec<_> = (0..40_000u32).map(|number| format!("{:08x} of {number}", number.wrapping_mul(2_654_435_761))).collect();
    let text = lines.join("\n");
    let (data, out, above) = (Data::new(&[("a", text.as_bytes()), ("b", b"00000000\n")]), tempfile::tempdir(), tempfile::tempdir());
    let (out, above) = (out.expect("there is room"), above.expect("there is room"));
    let dir = format!("{}::/out", out.path().display());
    let options = ["--dir", &data.at("/data"), "--dir", &dir, "--scratch", &above.path().display().to_string(), "--memory", "16MiB"];
    run("sort", "main", &[&options[..], &["--", "to=/out", "memory=4"]].concat()).prints("40001 lines are sorted\n");
    lines.extend(["00000000".to_owned()]);
    lines.sort();
    let found = files(out.path());
    assert!(found.len() == 2 && found.iter().all(|(_, text)| text.len() > 100_000), "both parts have their share");
    assert!(found.into_iter().map(|(_, text)| text).collect::<String>() == lines.join("\n") + "\n");
}

#[test]
fn packed_files_are_read() {
    let data = Data::new(&[("a", &GZIP), ("b", &ZSTD), ("c", b"")]);
    let expected = "four 2\none 2\nthree 1\ntwo 2\n7 lines, 4 different words\n";
    run("word_count", "main", &["--dir", &data.at("/data")]).prints(expected);
    let cut = Data::new(&[("a", &GZIP[..40])]);
    let ended = run("word_count", "main", &["--dir", &cut.at("/data")]).end();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("cannot read `/data/a`"), "{}", ended.stderr);
}

/// The files of a folder with what is in them.
fn files(dir: &Path) -> Vec<(String, String)> {
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.expect("it can be read");
        (entry.file_name().into_string().expect("it is text"), fs::read_to_string(entry.path()).expect("it can be read"))
    };
    let mut files: Vec<_> = fs::read_dir(dir).expect("it is there").map(read).collect();
    files.sort();
    files
}

#[test]
fn a_job_without_a_driver_says_what_happens() {
    let (data, out) = (Data::text(), tempfile::tempdir().expect("there is room"));
    let order = r#"{"inputs": ["/data/[ab].txt"], "output": "/out/counts", "reducers": 2, "split": 10, "verbosity": 1}"#;
    let job = || {
        let out = format!("{}::/out", out.path().display());
        let mut child = run("word_count", "mapreduce-job", &["--dir", &data.at("/data"), "--dir", &out]).start_interactive();
        // To close it would be to end the job.
        let mut stdin = child.stdin.take().expect("it is a pipe");
        writeln!(stdin, "{order}").expect("it reads");
        let ended = end(child);
        drop(stdin);
        ended
    };
    let ended = job();
    let events: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    let of = |name: &str| events.iter().filter_map(|event| event.get(name)).collect::<Vec<_>>();
    assert_eq!(of("planned")[0]["maps"], 7, "{}", ended.stdout);
    assert_eq!((of("joined").len(), of("task-began").len(), of("task-ended").len()), (1, 9, 9));
    let done = &events.last().expect("there are some")["done"];
    assert_eq!((&done["records-in"], &done["records-out"], &done["bytes-in"]), (&4.into(), &11.into(), &TEXT.len().into()));
    let written = files(&out.path().join("counts"));
    assert_eq!(written.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["part-00000", "part-00001"]);
    let mut counts: Vec<String> = written.iter().flat_map(|(_, text)| text.lines().map(|line| line.replace('\t', " "))).collect();
    counts.sort();
    assert_eq!(counts, COUNTS.lines().take(11).collect::<Vec<_>>());
    // Results are not overwritten, and what fails leaves nothing.
    let again = job().stdout;
    assert!(again.contains("has results already: `part-0000"), "{again}");
    assert_eq!(files(&out.path().join("counts")), written);
}

#[test]
fn the_end_of_whoever_runs_a_job_ends_it_everywhere() {
    let (lab, data) = (Lab::new(), Data::text());
    let above = tempfile::tempdir().expect("there is room");
    let node = lab.node(&["--dir", &data.at("/data"), "--timeout", "1s", "--scratch", &above.path().display().to_string()]);
    let own = tempfile::tempdir().expect("there is room");
    for how in ["-KILL", "-INT"] {
        let options = ["--scratch", own.path().to_str().expect("its path is text")];
        let child = far(&lab, &data, "mapreduce", "forever", &options, &[&node.address], &[]).start();
        // The agent and both of its map slots.
        until(|| lab.places(&node).len() >= 3);
        signal(&child, how);
        end(child);
        lab.has_places(&node, 0);
        until(|| fs::read_dir(above.path()).is_ok_and(|mut left| left.next().is_none()));
    }
}
