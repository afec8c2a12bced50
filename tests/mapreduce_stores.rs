//! MapReduce over object stores: what is read there and written, by whom, and what is said where that cannot be.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::{Run, end, guest, placehost, run};
use crate::lab::Lab;
use crate::mapreduce::{GZIP, ZSTD};
use crate::s3::{S3, credentials};

/// Lines in three files, some of which lie across splits, and how often each is there.
fn text() -> ([(&'static str, String); 3], Vec<String>) {
    let mut counts = std::collections::BTreeMap::new();
    let files = [("a.txt", 1u32), ("b.txt", 2), ("c.txt", 3)].map(|(name, seed)| {
        let lines: Vec<_> = (0..5000u32).map(|n| format!("word{}", (n * seed).wrapping_mul(2_654_435_761) % 97)).collect();
        lines.iter().for_each(|line| *counts.entry(line.clone()).or_insert(0) += 1);
        (name, lines.join("\n") + "\n")
    });
    (files, counts.into_iter().map(|(word, count)| format!("{word}\t{count}")).collect())
}

/// A bucket with them, under `in/`, and beside them what no pattern of the tests names.
fn bucket() -> Option<(S3, Vec<String>)> {
    let s3 = S3::start()?;
    let (files, expected) = text();
    files.iter().for_each(|(name, text)| s3.put(&format!("/bucket/in/{name}"), text.as_bytes()));
    for other in ["in/_hidden.txt", "in/deep/d.txt", "in/e.csv", "in2/a.txt"] {
        s3.put(&format!("/bucket/{other}"), b"other\n");
    }
    Some((s3, expected))
}

/// The lines of all parts under a prefix, in order.
fn output(s3: &S3, prefix: &str) -> Vec<String> {
    let parts = s3.keys(prefix).into_iter().map(|key| s3.get(&format!("/bucket/{key}")));
    let mut lines: Vec<_> = parts.flat_map(|part| part.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines.sort();
    lines
}

fn count(more: &[&str]) -> Vec<String> {
    let module = guest("mapreduce");
    let first = ["mapreduce", module.to_str().expect("its path is text"), "--mapper", "lines", "--reducer", "of_each"];
    let split = if more.contains(&"--split") { &[][..] } else { &["--split", "10KiB"] };
    [&first[..], split, more].concat().into_iter().map(str::to_owned).collect()
}

fn job(s3: &S3, more: &[&str]) -> Run {
    credentials(placehost(count(more)), &s3.address)
}

#[test]
fn objects_are_a_jobs_input_and_output() {
    let Some((s3, expected)) = bucket() else { return };
    for (number, input, more) in [
        (0, "s3://bucket/in/*.txt", &["--reducers", "3"][..]),
        (1, "s3://bucket/i[n]/[a-c].txt", &["--output-at", "job"]),
        (2, "s3://bucket/in/*.txt", &["--output-at", "workers", "--reducers", "5", "--slots", "1"]),
    ] {
        let to = format!("s3://bucket/out{number}/");
        let ended = job(&s3, &[&["--input", input, "--output", &to], more].concat()).fails(0, &["Done in "]);
        // Objects of 50 kB in splits of 10 KiB.
        assert!(ended.stderr.contains(" map tasks over ") && !ended.stderr.starts_with("3 map"), "{}", ended.stderr);
        assert!(output(&s3, &format!("out{number}/")) == expected, "{input}");
    }
    assert_eq!((s3.keys("out0/").len(), s3.keys("out1/").len(), s3.keys("out2/").len()), (3, 2, 5));
    assert_eq!(s3.keys("out0/")[0], "out0/part-00000");
    // One that has results is refused, whoever writes.
    for at in ["job", "workers"] {
        let again = ["--input", "s3://bucket/in/*.txt", "--output", "s3://bucket/out0", "--output-at", at];
        job(&s3, &again).fails(125, &["the output `s3://bucket/out0` has results already: `part-0000", "name another prefix"]);
    }
    // An object, and a prefix: what lies directly under it.
    let printed = job(&s3, &["--input", "s3://bucket/in/e.csv", "--input", "s3://bucket/in2"]).fails(0, &[]);
    printed.stdout_is("other\t2\n");
    assert_eq!(s3.uploads(), 0);
}

#[test]
fn packed_objects_and_directories_as_stores_are_read() {
    let folder = tempfile::tempdir().expect("there is room");
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("in")).expect("there is room");
    fs::write(path("in/a.gz"), GZIP).and_then(|()| fs::write(path("in/b.zst"), ZSTD)).expect("there is room");
    fs::write(path("in/empty"), "").expect("there is room");
    let url = |name: &str| format!("file://{}/{name}", folder.path().display());
    // Small ones are looked into by who reads them, those that are larger than a split beforehand.
    for (split, out) in [("1MiB", "small"), ("16B", "large")] {
        let (input, to) = (url("in/*"), url(out));
        placehost(count(&["--input", &input, "--output", &to, "--split", split, "--reducers", "1"])).fails(0, &["2 map tasks over "]);
        let names: Vec<_> = fs::read_dir(path(out)).expect("it is there").map(|entry| entry.expect("it can be read").file_name()).collect();
        assert_eq!(names, ["part-00000"]);
        let found = fs::read_to_string(path(out).join("part-00000")).expect("it is text");
        assert_eq!(found, "four\t2\none\t2\nthree\t1\ntwo\t2\n");
    }
    let missing = url("nowhere/*");
    placehost(count(&["--input", &missing])).fails(125, &["cannot read the input `file://", "No such file or directory"]);
    placehost(count(&["--input", "s3://b*/x"])).fails(2, &["`s3://b*/x` of --input names no objects"]);
}

#[test]
fn a_driver_reads_and_writes_objects_as_well() {
    let Some((s3, expected)) = bucket() else { return };
    for (to, at) in [("s3://bucket/out1", &[][..]), ("s3://bucket/out2", &["job"])] {
        let args = [&["--objects", "s3://bucket", "--", "s3://bucket/in/*.txt", to], at].concat();
        let printed = format!("[\"{to}/part-00000\", \"{to}/part-00001\"]\n");
        credentials(run("mapreduce", "from-to", &args), &s3.address).prints(&printed);
        assert!(output(&s3, &to["s3://bucket/".len()..]) == expected);
    }
    // What it was not granted it is told of, with the option that does.
    let args = ["--objects", "s3://bucket/in:ro", "--", "s3://bucket/in/*.txt", "s3://bucket/in/out"];
    let parts = ["cannot write the output `s3://bucket/in/out`", "granted to be read only", "`--objects s3://bucket/in/out`"];
    credentials(run("mapreduce", "from-to", &args), &s3.address).fails(1, &parts);
}

#[test]
fn workers_on_other_nodes_read_and_write_what_their_nodes_grant() {
    let Some((s3, expected)) = bucket() else { return };
    let lab = Lab::new();
    let node = |granted: &[&str]| {
        let run = lab.placehost(&[&["node", "--listen", "127.0.0.1:0", "--scratch", "/tmp"], granted].concat());
        crate::lab::Node::start(credentials(run, &s3.address))
    };
    let (all, reads, none) =
        (node(&["--objects", "s3://bucket"]), node(&["--objects", "s3://bucket/in:ro"]), node(&["--objects", "s3://other"]));
    let job = |workers: &[&crate::lab::Node], more: &[&str]| {
        let workers = workers.iter().map(|node| &*node.address).collect::<Vec<_>>().join(",");
        let all = count(&[&["--input", "s3://bucket/in/*.txt", "--workers", &workers], more].concat());
        lab.placehost(&all.iter().map(String::as_str).collect::<Vec<_>>())
    };
    // Who runs it needs no credentials where the workers have them.
    job(&[&all, &all], &["--output", "s3://bucket/far"]).fails(0, &["on 2 workers"]);
    assert!(output(&s3, "far/") == expected);
    let denied = |mode: &str| format!("grants it with `--objects {mode}`, on the worker `");
    job(&[&all, &none], &[]).fails(125, &["cannot read the input `s3://bucket/in`", "not granted", &denied("s3://bucket/in:ro")]);
    let out = ["--output", "s3://bucket/in/out"];
    job(&[&all, &reads], &out).fails(125, &["cannot write the output `s3://bucket/in/out`", &denied("s3://bucket/in/out")]);
    assert_eq!(s3.keys("in/out"), Vec::<String>::new());
    // Then the place of the job may.
    credentials(job(&[&all, &reads], &[&out[..], &["--output-at", "job"]].concat()), &s3.address).fails(0, &[]);
    assert!(output(&s3, "in/out/") == expected);
}

#[test]
fn what_a_store_has_not_or_refuses_is_said_with_what_was_wanted() {
    let Some((s3, _)) = bucket() else { return };
    let out = ["--output", "s3://bucket/x"];
    let with = |input: &str, more: &[&str]| job(&s3, &[&["--input", input], more].concat());
    with("s3://bucket/nothing/*", &out).fails(125, &["no object matches the input `s3://bucket/nothing/*`, on the worker `"]);
    with("s3://bucket/nothing.txt", &out).fails(125, &["no object matches the input `s3://bucket/nothing.txt`"]);
    with("s3://nowhere/in/*", &out).fails(125, &["cannot read the input `s3://nowhere/in/*`: there is no bucket of `s3://nowhere/in`"]);
    with("s3://bucket/in", &["--output", "s3://nowhere/x"]).fails(125, &["cannot read the output `s3://nowhere/x`: there is no bucket of"]);
    // A function that fails has its job fail, and what others had written of it is gone.
    s3.put("/bucket/bad/a.txt", b"good\nfails\n");
    let parts = ["map task 0, attempt 1, on worker `", "of `s3://bucket/bad/a.txt @ 0 + 11`, at byte 5: it was told to"];
    with("s3://bucket/bad/*", &[&out[..], &["--attempts", "1"]].concat()).fails(1, &parts);
    assert_eq!((s3.keys("x"), s3.uploads()), (Vec::new(), 0));

    let refuses = server(|_| "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n".into());
    let wrong = credentials(placehost(count(&["--input", "s3://bucket/in/*"])), &refuses);
    wrong.fails(125, &["cannot read the input `s3://bucket/in/*`: the store refuses `s3://bucket/in`", "on the worker `"]);
}

/// Answers each request, whose first line it is told.
fn server(answer: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address").to_string();
    // It ends with the process of the tests.
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut lines = BufReader::new(stream.try_clone().expect("it is a socket")).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            lines.any(|line| line.is_empty());
            // Whoever asked may be gone.
            let _ = stream.write_all(format!("{}Connection: close\r\n\r\n", answer(&first)).as_bytes());
        }
    });
    address
}

#[test]
fn an_object_that_vanishes_fails_its_task_with_where_it_was() {
    let file: TempDir = tempfile::tempdir().expect("there is room");
    fs::write(file.path().join("a.txt"), "waits\nmore\n").expect("there is room");
    fs::write(file.path().join("b.txt"), "one\ntwo\n").expect("there is room");
    let (gate, url) = (file.path().join("gate"), format!("file://{}", file.path().display()));
    let module = guest("mapreduce");
    let gate_text = gate.to_str().expect("its path is text");
    let dir = file.path().to_str().expect("its path is text");
    let input = format!("{url}/*.txt");
    // One slot: the second object is read when the first one is done.
    let args = ["mapreduce", module.to_str().expect("its path is text"), "--mapper", "gated", "--reducer", "of_each", "--slots", "1"];
    let more = ["--input", &input, "--dir", dir, "--attempts", "2", "--json", "-v", "--", gate_text];
    let mut child = placehost([&args[..], &more].concat()).start();
    let mut events = BufReader::new(child.stdout.take().expect("it is a pipe")).lines().map_while(Result::ok);
    assert!(events.any(|line| line.contains("task-began")));
    fs::remove_file(file.path().join("b.txt")).expect("it is there");
    fs::write(&gate, "").expect("there is room");
    events.for_each(drop);
    let ended = end(child);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let wanted = format!("of `{url}/b.txt @ 0 + 8`, at byte 0: cannot read `{url}/b.txt`: there is no object `{url}/b.txt`");
    assert!(ended.stderr.contains(&wanted) && ended.stderr.contains("map task 1, attempt 2, on worker `"), "{}", ended.stderr);
}

#[test]
fn a_store_that_does_not_answer_ends_a_job_in_the_end() {
    let mute = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = mute.local_addr().expect("it has an address").to_string();
    let began = Instant::now();
    let run =
        credentials(placehost(count(&["--input", "s3://bucket/in/*"])), &address).env("AWS_TIMEOUT", "1s").env("AWS_MAX_RETRIES", "1");
    run.fails(125, &["cannot read the input `s3://bucket/in/*`: the store has not served `s3://bucket/in`"]);
    assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
}
