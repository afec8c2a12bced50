//! A server of S3 that runs for a test: `moto`, a Python package that scripts/setup-tests.sh installs into target/s3-server. Without it those
//! tests are skipped, with the reason.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::harness::{Run, repository};
use crate::machines::skip;

/// A server of S3 with a bucket. It ends with the test.
pub(crate) struct S3 {
    server: Child,
    pub(crate) address: String,
}

impl S3 {
    /// None, which is said, where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let program = repository("target/s3-server/bin/moto_server");
        if !program.exists() {
            return skip("there is no target/s3-server: scripts/setup-tests.sh installs it, with python3");
        }
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", "0"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut server = command.spawn().expect("it can be run");
        let mut lines = BufReader::new(server.stderr.take().expect("it is a pipe")).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| Some(line.split_once("http://")?.1.trim().to_owned()));
        // Each request is a line, which somebody has to read.
        std::thread::spawn(move || lines.for_each(drop));
        let s3 = Self { server, address: address.expect("it says where it listens") };
        assert!(s3.ask("PUT", "/bucket").starts_with("HTTP/1.1 200"));
        Some(s3)
    }

    /// Sends a request of its own, and returns the answer.
    pub(crate) fn ask(&self, method: &str, path: &str) -> String {
        self.send(method, path, b"")
    }

    /// Writes an object.
    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        let answer = self.send("PUT", path, bytes);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// What is in an object, as text.
    pub(crate) fn get(&self, path: &str) -> String {
        let answer = self.ask("GET", path);
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        body.to_owned()
    }

    /// The keys in the bucket that begin so.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        let listing = self.ask("GET", &format!("/bucket?list-type=2&prefix={prefix}"));
        listing.split("<Key>").skip(1).filter_map(|rest| Some(rest.split_once("</Key>")?.0.to_owned())).collect()
    }

    fn send(&self, method: &str, path: &str, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let (host, len) = (&self.address, bytes.len());
        // Objects are nothing for strangers; who it is that asks is not looked at.
        let who = "Authorization: AWS id:unsigned\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n\r\n";
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len}\r\n{who}");
        stream.write_all(&[head.as_bytes(), bytes].concat()).expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// How many uploads have begun that are neither finished nor given up.
    pub(crate) fn uploads(&self) -> usize {
        self.ask("GET", "/bucket?uploads").matches("<UploadId>").count()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        // It may have ended meanwhile.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Gives the command the credentials for a server.
pub(crate) fn credentials(run: Run, address: &str) -> Run {
    let all = [("ACCESS_KEY_ID", "id"), ("SECRET_ACCESS_KEY", "secret"), ("REGION", "us-east-1"), ("ALLOW_HTTP", "true")];
    let run = all.into_iter().fold(run, |run, (name, value)| run.env(&format!("AWS_{name}"), value));
    run.env("AWS_ENDPOINT", &format!("http://{address}"))
}
