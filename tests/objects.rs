//! Object stores: on this machine's disk, and on a server of S3 that runs for the tests.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::{Run, end, run};
use crate::lab::{Lab, signal, until};
use crate::s3::{S3, credentials};

/// A claim of the guest with a URL, which it is granted.
fn claim(name: &str, url: &str, options: &[&str]) -> Run {
    run("objects", name, &[&["--objects", url], options, &["--", url]].concat())
}

fn folder() -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("there is room");
    let url = format!("file://{}", folder.path().display());
    (folder, url)
}

/// The claims that hold of every store.
const CLAIMS: [&str; 5] = [
    "objects-are-written-read-listed-and-removed",
    "large-objects-are-written-in-parts-and-read-in-ranges",
    "many-objects-are-listed-page-by-page",
    "an-object-that-is-not-finished-is-never-there",
    "a-child-gets-no-more-of-a-store-than-its-parent-has",
];

#[test]
fn objects_lie_on_this_machine() {
    for name in CLAIMS {
        let (folder, url) = folder();
        claim(name, &url, &["--memory", "128MiB"]).prints("");
        if name == "an-object-that-is-not-finished-is-never-there" {
            let names: Vec<_> =
                fs::read_dir(folder.path()).expect("it is there").map(|entry| entry.expect("it can be read").file_name()).collect();
            assert_eq!(names, ["old"]);
        }
    }
}

#[test]
fn objects_lie_in_a_bucket() {
    let Some(s3) = S3::start() else { return };
    for (number, name) in CLAIMS.iter().enumerate() {
        let url = format!("s3://bucket/{number}");
        credentials(claim(name, &url, &["--memory", "128MiB"]), &s3.address).prints("");
    }
    assert_eq!(s3.uploads(), 0);
    assert!(s3.ask("GET", "/bucket?list-type=2&prefix=0/").contains("<Key>0/dir/sub/d</Key>"));
    // All of a bucket may be granted, and a part of it used.
    credentials(run("objects", "prints-what-it-may", &["--objects", "s3://bucket:ro", "--", "s3://bucket/0"]), &s3.address).prints("l-\n");
    // What is not there is not found, whatever it is.
    let ended = credentials(claim("reads", "s3://nowhere", &[]), &s3.address).fails(1, &["there is no object `s3://nowhere/a`"]);
    assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
}

#[test]
fn who_is_killed_leaves_no_upload() {
    let (folder, url) = folder();
    let upload = |run: Run| {
        let mut child = run.start_interactive();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("it is a pipe")).read_line(&mut line).expect("it can be read");
        assert_eq!(line, "there\n", "{:?}", end(child));
        child
    };
    let child = upload(claim("uploads-and-waits", &url, &[]));
    signal(&child, "-INT");
    assert_eq!(end(child).code, Some(130));
    assert_eq!(fs::read_dir(folder.path()).map(Iterator::count).ok(), Some(0));
    let Some(s3) = S3::start() else { return };
    let child = upload(credentials(claim("uploads-and-waits", "s3://bucket/x", &[]), &s3.address));
    assert_eq!(s3.uploads(), 1);
    signal(&child, "-INT");
    assert_eq!(end(child).code, Some(130));
    assert_eq!(s3.uploads(), 0);
}

#[test]
fn a_store_that_does_not_answer_is_unreachable_in_the_end() {
    let mute = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = mute.local_addr().expect("it has an address").to_string();
    let began = Instant::now();
    let reads = |options: &[&str]| credentials(claim("reads", "s3://bucket/x", options), &address);
    reads(&[]).env("AWS_TIMEOUT", "1s").env("AWS_MAX_RETRIES", "2").fails(1, &["the store has not served `s3://bucket/x/a`"]);
    assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
    // Who waits for it can be killed, and has its deadline.
    reads(&["--deadline", "1s"]).fails(124, &["its deadline"]);
    let mut child = reads(&[]).start_interactive();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("it is a pipe")).read_line(&mut line).expect("it can be read");
    let began = Instant::now();
    signal(&child, "-INT");
    assert_eq!(end(child).code, Some(130));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    drop(mute);
    // Nobody listens any more.
    reads(&[]).fails(1, &["the store has not served `s3://bucket/x/a`"]);
}

#[test]
fn a_request_that_fails_for_a_moment_is_sent_again() {
    let busy = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = busy.local_addr().expect("it has an address").to_string();
    let child = credentials(claim("reads", "s3://bucket/x", &[]), &address).start();
    let mut answers = vec!["HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"1\"\r\nLast-Modified: Tue, 24 Nov 2026 12:00:00 GMT\r\n"];
    answers.extend(["HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n"; 2]);
    while let Some(answer) = answers.pop() {
        let (mut stream, _) = busy.accept().expect("somebody asks");
        let mut lines = BufReader::new(stream.try_clone().expect("it is a socket")).lines();
        assert!(lines.by_ref().map_while(Result::ok).any(|line| line.is_empty()));
        stream.write_all(format!("{answer}Connection: close\r\n\r\n").as_bytes()).expect("it reads");
    }
    let ended = end(child);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn nothing_is_reached_that_was_not_granted() {
    let (one, url) = folder();
    let (_other, elsewhere) = folder();
    let may = |granted: &[&str], of: &str| run("objects", "prints-what-it-may", &[granted, &["--", of]].concat());
    may(&[], &url).prints("nothing\n");
    may(&["--objects", &elsewhere], &url).prints("nothing\n");
    may(&["--objects", &url], &url).prints("lw\n");
    may(&["--objects", &format!("{url}:ro")], &url).prints("l-\n");
    may(&["--objects", &format!("{url}:ro"), "--objects", &url], &url).prints("lw\n");
    may(&["--objects", "gs://bucket"], &url).fails(2, &["--objects", "it is neither `s3://BUCKET/PREFIX` nor `file:///DIRECTORY`"]);
    may(&["--objects", "file:///nowhere"], &url).fails(125, &["cannot use the directory `/nowhere` of --objects"]);
    run("objects", "what-a-writer-keeps-counts", &["--memory", "4MiB", "--objects", &url, "--", &url]).prints("");
    assert_eq!(fs::read_dir(one.path()).map(Iterator::count).ok(), Some(0));
}

#[test]
fn a_node_grants_its_own_objects_and_those_alone() {
    let lab = Lab::new();
    let ((_one, url), (_other, elsewhere)) = (folder(), folder());
    let node = lab.node(&["--objects", &format!("{url}:ro"), "--objects", "s3://bucket"]);
    let may = |granted: &[&str], of: &str| lab.run("objects", "prints-what-it-may", &node.address, &[granted, &["--", of]].concat());
    may(&[], &url).prints("nothing\n");
    may(&["--objects", &url], &url).prints("l-\n");
    may(&["--objects", "s3://bucket/x"], "s3://bucket").prints("nothing\n");
    let refused = format!("that node does not grant the objects of `{elsewhere}`");
    may(&["--objects", &elsewhere], &url).fails(125, &["did not start `", &refused, "hint: "]);
    until(|| lab.places(&node).is_empty());
}
