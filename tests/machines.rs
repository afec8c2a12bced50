//! Machines: network namespaces, and the lines between them.
//!
//! The first machine is in the middle: each other one has a line to it, a pair of virtual devices, and reaches the rest only by it,
//! if it forwards. All of it lies inside namespaces of its own, so nothing of the real machine's network changes.
//!
//! `nsenter` enters them, and not `ip netns exec` or `ip -n`: those make a mount namespace too, and on a busy machine the kernel may
//! take most of a minute to take one away again, during which the process does not end.

use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::harness::Run;

/// Some machines. They end with the test.
pub(crate) struct Machines {
    names: Vec<String>,
}

/// Tells the machines of this process apart.
static COUNT: AtomicU32 = AtomicU32::new(0);
/// What the names of all namespaces begin with that these tests make; the process's id follows.
const PREFIX: &str = "placehost-test-";

impl Machines {
    /// So many machines; none, which is said, where this one forbids it.
    pub(crate) fn new(count: usize) -> Option<Self> {
        sweep();
        let test = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut machines = Self { names: Vec::new() };
        match machines.make(test, count) {
            Ok(()) => Some(machines),
            Err(why) => skip(&format!("no network namespaces: {why}")),
        }
    }

    fn make(&mut self, test: u32, count: usize) -> Result<(), String> {
        for machine in 0..count {
            let name = format!("{PREFIX}{}-{test}-{machine}", std::process::id());
            ip(&["netns", "add", &name])?;
            self.names.push(name);
            self.ip(machine, &["link", "set", "lo", "up"])?;
        }
        for machine in 1..count {
            let (near, far) = (format!("to{machine}"), &self.names[machine]);
            self.ip(0, &["link", "add", &near, "type", "veth", "peer", "name", "to0", "netns", far])?;
            self.ip(0, &["address", "add", &format!("10.0.{machine}.1/24"), "dev", &near])?;
            self.ip(machine, &["address", "add", &format!("10.0.{machine}.2/24"), "dev", "to0"])?;
            self.ip(0, &["link", "set", &near, "up"])?;
            self.ip(machine, &["link", "set", "to0", "up"])?;
            self.ip(machine, &["route", "add", "default", "via", &format!("10.0.{machine}.1")])?;
        }
        self.forward(false)
    }

    /// Has a command run on a machine.
    pub(crate) fn on(&self, machine: usize, run: Run) -> Run {
        run.by("nsenter", &[&self.net(machine)])
    }

    /// Where all others reach a machine; the first has an address on each line.
    pub(crate) fn address(&self, machine: usize) -> String {
        if machine == 0 { "10.0.1.1".into() } else { format!("10.0.{machine}.2") }
    }

    /// Lets the others reach each other by the first, or not: then what they send each other vanishes there.
    pub(crate) fn forward(&self, yes: bool) -> Result<(), String> {
        let set = format!("echo {} > /proc/sys/net/ipv4/ip_forward", u8::from(yes));
        self.enter(0, &["sh", "-c", &set])
    }

    /// Takes a machine off, as if it had lost its power: nobody is told.
    pub(crate) fn cut(&self, machine: usize) {
        self.ip(machine, &["link", "set", "to0", "down"]).expect("there is a line");
    }

    /// From now on what one machine sends to the other is lost, and nobody is told; what comes back is not.
    pub(crate) fn lose(&self, from: usize, to: usize) {
        let (line, next) = if from == 0 { (format!("to{to}"), format!("10.0.{to}.2")) } else { ("to0".into(), format!("10.0.{from}.1")) };
        // To a device that is nobody's.
        let nobody = "02:00:00:00:00:01";
        self.ip(from, &["neighbour", "replace", &next, "lladdr", nobody, "dev", &line, "nud", "permanent"]).expect("there is a line");
    }

    /// Makes the lines bad: of both directions the kernel loses and delays what it sends. Whether it can is said.
    pub(crate) fn worsen(&self, machine: usize, how: &[&str]) -> Option<()> {
        for (at, line) in [(0, format!("to{machine}")), (machine, "to0".into())] {
            if let Err(why) = self.enter(at, &[&["tc", "qdisc", "add", "dev", &line, "root", "netem"], how].concat()) {
                return skip(&format!("no netem: {why}"));
            }
        }
        Some(())
    }

    fn ip(&self, machine: usize, args: &[&str]) -> Result<(), String> {
        self.enter(machine, &[&["ip"], args].concat())
    }

    fn enter(&self, machine: usize, command: &[&str]) -> Result<(), String> {
        run("nsenter", &[&[&*self.net(machine)], command].concat())
    }

    fn net(&self, machine: usize) -> String {
        format!("--net=/run/netns/{}", self.names[machine])
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for name in &self.names {
            // What still runs there keeps it without its name, until it ends.
            let _ = ip(&["netns", "delete", name]);
        }
    }
}

/// Says why a test does not take place: past the test runner, which shows what a test prints only if that fails.
pub(crate) fn skip<T>(why: &str) -> Option<T> {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // If nobody hears it, there is nobody else to tell.
    let _ = writeln!(io::stderr(), "skipped: {test}: {why}");
    None
}

/// Removes what a test process has left that was killed.
fn sweep() {
    let Ok(listed) = Command::new("ip").args(["netns", "list"]).output() else { return };
    for name in String::from_utf8_lossy(&listed.stdout).lines().filter_map(|line| line.split_whitespace().next()) {
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Another test may be faster.
            let _ = ip(&["netns", "delete", name]);
        }
    }
}

fn ip(args: &[&str]) -> Result<(), String> {
    run("ip", args)
}

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(args).output().map_err(|error| format!("`{program}`: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("`{program} {}`: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim())),
    }
}
