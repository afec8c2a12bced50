//! What a node holds of its machine: memory, open files, threads.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::lab::Node;

/// As the kernel counts it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Memory of its own, in KiB.
    pub(crate) memory: u64,
    /// The most that it had at once since the last was forgotten, with files that it has mapped, in KiB.
    pub(crate) peak: u64,
    files: usize,
    threads: u64,
}

/// What memory may grow by that is not lost: the allocator keeps some of what was there at once, in KiB.
const KEPT: u64 = 32 << 10;
/// What is lost is given back within this.
const PATIENCE: Duration = Duration::from_secs(20);
/// Threads that wait for work on files for a while before they end.
const SPARE: u64 = 8;

impl Held {
    pub(crate) fn by(node: &Node) -> Self {
        let process = format!("/proc/{}", node.pid());
        let status = fs::read_to_string(format!("{process}/status")).expect("it runs");
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel says it");
            line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("it is a number")
        };
        let files = fs::read_dir(format!("{process}/fd")).expect("it is ours").count();
        Self { memory: number("RssAnon"), peak: number("VmHWM"), files, threads: number("Threads") }
    }

    /// From now on counts the peak anew.
    pub(crate) fn forget_peak(&self, node: &Node) {
        fs::write(format!("/proc/{}/clear_refs", node.pid()), "5").expect("it is ours");
    }

    /// Waits until the node holds no more than this, from before.
    #[track_caller]
    pub(crate) fn is_all(&self, node: &Node) {
        let began = Instant::now();
        loop {
            let now = Self::by(node);
            if now.memory <= self.memory + KEPT && now.files <= self.files && now.threads <= self.threads + SPARE {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "it held {self:?}, and holds {now:?}");
            thread::park_timeout(Duration::from_millis(20));
        }
    }
}
