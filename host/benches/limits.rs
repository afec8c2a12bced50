//! What this machine allows, measured so that `scripts/bench.sh` can print ratios: the same work without WebAssembly.
//!
//! Each line is `name value unit`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use placehost::{Bounds, Channel};
use tokio::runtime::Builder;

fn main() {
    mailbox_round_trip("limit.mailbox.ping.1_thread", 1, 200_000);
    mailbox_round_trip("limit.mailbox.ping.2_threads", 2, 200_000);
    thread_spawn(2_000);
    for size in [64, 64 << 10, 1 << 20] {
        copies(size);
    }
    start_of_a_process(200);
}

/// Two tasks of tokio and one channel: what a round trip costs without places.
fn mailbox_round_trip(name: &str, threads: usize, n: usize) {
    let runtime = Builder::new_multi_thread().worker_threads(threads).build().expect("a runtime");
    let time = runtime.block_on(async move {
        let (one, other) = Channel::pair(Bounds::default());
        tokio::spawn(async move {
            while let Ok(message) = other.get().await
                && other.put(message).await.is_ok()
            {}
        });
        let ping = tokio::spawn(async move {
            let start = Instant::now();
            for _ in 0..n {
                one.put(vec![7; 64]).await.expect("the echo lives");
                black_box(one.get().await.expect("the echo lives"));
            }
            start.elapsed()
        });
        ping.await.expect("the ping ends")
    });
    report(name, time.as_secs_f64() * 1e6 / n as f64, "us");
}

/// A thread of the operating system that answers one message and ends.
fn thread_spawn(n: u32) {
    let start = Instant::now();
    for _ in 0..n {
        let (put, get) = mpsc::channel();
        let (answer, answered) = mpsc::channel();
        let thread = thread::spawn(move || get.recv().map(|message: [u8; 16]| answer.send(message)));
        put.send([0; 16]).expect("the thread lives");
        black_box(answered.recv().expect("it answers"));
        drop(thread.join());
    }
    report("limit.thread.first_reply_exit", (start.elapsed() / n).as_secs_f64() * 1e6, "us");
}

/// A message crosses two memories: it is copied out of the one and into the other.
fn copies(size: usize) {
    let (from, mut between, mut to) = (vec![7u8; size], vec![0u8; size], vec![0u8; size]);
    let start = Instant::now();
    let mut bytes = 0;
    while start.elapsed() < Duration::from_millis(200) {
        for _ in 0..16 {
            between.copy_from_slice(black_box(&from));
            to.copy_from_slice(black_box(&between));
            black_box(&mut to);
            bytes += size;
        }
    }
    report(&format!("limit.two_copies.{size}B"), bytes as f64 / start.elapsed().as_secs_f64() / 1e6, "MB/s");
}

/// What the operating system takes to run a program that does nothing.
fn start_of_a_process(n: u32) {
    let start = Instant::now();
    for _ in 0..n {
        drop(std::process::Command::new("true").status());
    }
    report("limit.process.start", (start.elapsed() / n).as_secs_f64() * 1e3, "ms");
}

fn report(name: &str, value: f64, unit: &str) {
    println!("{name} {value:.3} {unit}");
}
