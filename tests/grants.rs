//! A place reaches nothing but what it was granted. The claims are made by the guests; here are the grants, and the world outside.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use crate::harness::{end, run};

claims! { "grants":
    nothing_is_there_unless_it_is_granted,
}

claims! { "sockets":
    a_socket_and_a_channel_are_waited_for_together with ["--net"],
    a_connection_comes_before_a_message with ["--net"],
}

/// A folder with a file, and two links that lead out of it.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("there is room");
    fs::write(folder.path().join("file"), "text").expect("there is room");
    symlink("/etc", folder.path().join("out")).expect("links can be made");
    symlink("/etc/passwd", folder.path().join("link")).expect("links can be made");
    folder
}

/// `--dir` for a folder.
fn dir(folder: &TempDir, guest: &str) -> String {
    format!("{}::{guest}", folder.path().display())
}

#[test]
fn a_place_sees_what_it_was_granted_and_no_more() {
    let outside = |name: &str| run("grants", "prints-what-it-sees", &[]).env("SECRET", name);
    outside("x").prints("args: prints-what-it-sees\nenv: \n/: entity not found\n/data: entity not found\nnetwork: false\n");
    let folder = tempfile::tempdir().expect("there is room");
    fs::write(folder.path().join("file"), "text").expect("there is room");
    let dir = dir(&folder, "/data:ro");
    let options = ["--env", "A=1", "--env", "PASSED", "--net", "--dir", &dir, "--", "--depth", "3"];
    run("grants", "prints_what_it_sees", &options)
        .env("PASSED", "on")
        .env("SECRET", "x")
        .prints("args: prints-what-it-sees --depth 3\nenv: A=1 PASSED=on\n/: entity not found\n/data: file\nnetwork: true\n");
}

#[test]
fn a_child_has_what_its_parent_has_or_less() {
    let folder = tempfile::tempdir().expect("there is room");
    fs::write(folder.path().join("file"), "text").expect("there is room");
    let dir = dir(&folder, "/data");
    run("grants", "prints-what-its-children-see", &["--env", "A=1", "--env", "B=2", "--net", "--dir", &dir, "--", "mine"]).prints(
        "\
args: looks-around
env: A=1 B=2
/: entity not found
/data: file
network: true

args: looks-around x y z
env: A=1
/: entity not found
/data: file
network: false

args: looks-around
env: 
/: entity not found
/data: entity not found
network: false

",
    );
}

#[test]
fn what_was_narrowed_cannot_be_widened() {
    let (one, other) = (folder(), folder());
    let (one, other) = (dir(&one, "/data"), dir(&other, "/more"));
    let options = ["--dir", &one, "--dir", &other, "--env", "A=1", "--net"];
    run("grants", "what-was-narrowed-cannot-be-widened", &options).prints("");
}

#[test]
fn a_read_only_directory_is_not_changed() {
    let folder = folder();
    run("grants", "a-read-only-directory-is-not-changed", &["--dir", &dir(&folder, "/data:ro")]).prints("");
    assert_eq!(fs::read_to_string(folder.path().join("file")).ok().as_deref(), Some("text"));
    assert_eq!(fs::read_dir(folder.path()).map(Iterator::count).ok(), Some(3));
}

#[test]
fn a_directory_is_all_that_is_seen_of_the_machine() {
    let folder = folder();
    run("grants", "a-directory-is-all-that-is-seen-of-the-machine", &["--dir", &dir(&folder, "/data")]).prints("");
    assert_eq!(fs::read_to_string(folder.path().join("sub/renamed")).ok().as_deref(), Some("written"));
}

#[test]
fn the_network_is_closed_unless_it_is_granted() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address").to_string();
    run("grants", "the-network-is-closed-unless-it-is-granted", &["--", &address]).prints("");
    listener.set_nonblocking(true).expect("it is a socket");
    assert!(listener.accept().is_err(), "somebody connected");
}

#[test]
fn the_network_is_there_where_it_is_granted() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address").to_string();
    run("grants", "the-network-is-there-where-it-is-granted", &["--net", "--", &address]).prints("");
    let mut heard = String::new();
    let (mut stream, _) = listener.accept().expect("the place has connected");
    stream.read_to_string(&mut heard).expect("the place has closed");
    assert_eq!(heard, "hello");
}

#[test]
fn a_stranger_is_served_while_a_place_talks() {
    let mut command = run("sockets", "a-stranger-is-served-while-a-place-talks", &["--net"]).start();
    let mut port = String::new();
    let mut stdout = BufReader::new(command.stdout.take().expect("it is a pipe"));
    stdout.read_line(&mut port).expect("the place prints its port");
    let mut stream = TcpStream::connect(("127.0.0.1", port.trim().parse().expect("it is a port"))).expect("the place listens");
    stream.write_all(b"anybody there").expect("the place reads");
    let mut heard = String::new();
    stream.read_to_string(&mut heard).expect("the place answers and closes");
    assert_eq!(heard, "ANYBODY THERE");
    let ended = end(command);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}
