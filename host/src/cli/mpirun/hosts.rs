//! Where ranks run: what `--hosts`, `--hostfile` and `-n` say together.

use std::fs;
use std::path::Path;

use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::parse::{self, Target};

/// As many ranks as a job may have. A larger number is a port where the ranks were forgotten.
pub(super) const MOST: u32 = 4096;

/// A host, and how many ranks it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slots {
    /// Absent for this machine.
    pub(super) node: Option<Target>,
    pub(super) ranks: u32,
}

/// One of `--hosts`: `HOST`, `HOST:RANKS`, `HOST:PORT:RANKS`; a host may be `.`, or `ssh://[USER@]HOST`.
pub(super) fn slots(text: &str) -> Result<Slots, String> {
    let (host, ranks) = match text.rsplit_once(':') {
        // A colon in brackets is of an IPv6 address, and one before slashes of `ssh://`.
        Some((host, ranks)) if !ranks.contains([']', '/']) => (host, ranks),
        _ => (text, "1"),
    };
    let ranks: u32 = ranks.parse().map_err(|_| format!("`{ranks}` is no number of ranks; write it like `host2:4` or `host2:6340:4`"))?;
    if ranks > MOST {
        return Err(format!("{ranks} ranks are too many; to name a port, write `{text}:RANKS`"));
    }
    at(host, ranks)
}

fn at(host: &str, ranks: u32) -> Result<Slots, String> {
    if ranks == 0 {
        return Err("it must take a rank at least".into());
    }
    if host == "." {
        return Ok(Slots { node: None, ranks });
    }
    Ok(Slots { node: Some(parse::target(host)?), ranks })
}

/// The lines of a host file, as Open MPI has them: a host and `slots=RANKS`. What follows a `#` is a remark.
fn lines(text: &str) -> Result<Vec<Slots>, String> {
    let mut hosts = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(host) = words.next() else { continue };
        let mut ranks = 1;
        for word in words {
            let of_slots = word.strip_prefix("slots=").and_then(|count| count.parse().ok()).filter(|count| *count <= MOST);
            ranks = of_slots.ok_or_else(|| format!("line {number}: `{word}` is not `slots=` and a number up to {MOST}"))?;
        }
        hosts.push(at(host, ranks).map_err(|why| format!("line {number}: {why}"))?);
    }
    Ok(hosts)
}

/// Which hosts run how many ranks: the first ones are filled first. What is said of one host in several places counts as one, so that its
/// ranks are known to share a node.
///
/// # Errors
/// The file cannot be read or understood, or the hosts do not take so many ranks.
pub(super) fn plan(hosts: &[Slots], file: Option<&Path>, ranks: Option<u32>) -> Result<Vec<Slots>, CliError> {
    let hosts = match file {
        None => hosts.to_vec(),
        Some(path) => {
            let cannot = |why: &str| CliError::new(ExitCode::CANNOT, format!("{why} the host file `{}`", path.display()));
            let text = fs::read_to_string(path).map_err(|error| cannot("cannot read").because(&error))?;
            let hosts = lines(&text).map_err(|why| cannot("cannot understand").cause(why).hint("a line is like `host2:6340 slots=4`"))?;
            if hosts.is_empty() {
                return Err(cannot("there is no host in"));
            }
            hosts
        }
    };
    if hosts.is_empty() {
        return Ok(vec![Slots { node: None, ranks: ranks.unwrap_or(1) }]);
    }
    let room: u32 = hosts.iter().map(|slots| slots.ranks).sum();
    let mut left = ranks.unwrap_or(room);
    if left > room {
        return Err(CliError::new(ExitCode::USAGE, format!("{left} ranks are asked for, and the hosts take {room}"))
            .hint("`HOST:RANKS` lets one take more"));
    }
    let mut plan = Vec::new();
    for Slots { node, ranks } in together(hosts) {
        let ranks = ranks.min(left);
        left -= ranks;
        if ranks > 0 {
            plan.push(Slots { node, ranks });
        }
    }
    Ok(plan)
}

/// Each host once, where it is first.
fn together(hosts: Vec<Slots>) -> Vec<Slots> {
    let mut all: Vec<Slots> = Vec::new();
    for Slots { node, ranks } in hosts {
        match all.iter_mut().find(|one| one.node == node) {
            Some(one) => one.ranks += ranks,
            None => all.push(Slots { node, ranks }),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(address: &str, ranks: u32) -> Slots {
        Slots { node: (address != ".").then(|| parse::target(address).unwrap()), ranks }
    }

    #[test]
    fn hosts_have_ranks_and_perhaps_ports() {
        let text = |slots: Slots| (slots.node.map_or_else(|| ".".into(), |node| node.to_string()), slots.ranks);
        for (given, address, ranks) in
            [(".:3", ".", 3), ("a", "a:6340", 1), ("a:2", "a:6340", 2), ("a:7000:2", "a:7000", 2), ("[::1]:7000:2", "[::1]:7000", 2)]
        {
            assert_eq!(text(slots(given).unwrap()), (address.to_owned(), ranks), "{given}");
        }
        assert!(slots("a:6340").unwrap_err().contains("`a:6340:RANKS`"));
        let ssh = |text| match slots(text).unwrap() {
            Slots { node: Some(Target::Ssh(machine)), ranks } => (machine.user, machine.host, machine.port, ranks),
            other => panic!("{other:?}"),
        };
        assert_eq!(ssh("ssh://a"), (None, "a".into(), None, 1));
        assert_eq!(ssh("ssh://me@a:2"), (Some("me".into()), "a".into(), None, 2));
        assert_eq!(ssh("ssh://[::1]:7000:2"), (None, "::1".into(), Some(7000), 2));
        for bad in ["a:0", "a:x", "a:-1", "", "ssh://", "ssh://a:0", "http://a"] {
            slots(bad).unwrap_err();
        }
    }

    #[test]
    fn a_host_file_is_read_as_open_mpi_reads_it() {
        assert_eq!(lines("# ours\na slots=2\n\n. # here\nb:7000 slots=3\n").unwrap(), [is("a:6340", 2), is(".", 1), is("b:7000", 3)]);
        assert!(lines("a\nb slots=x").unwrap_err().starts_with("line 2: "));
    }

    #[test]
    fn the_first_hosts_are_filled_first() {
        let hosts = [is("a", 2), is("b", 4)];
        assert_eq!(plan(&hosts, None, None).unwrap(), hosts);
        assert_eq!(plan(&hosts, None, Some(3)).unwrap(), [is("a", 2), is("b", 1)]);
        assert_eq!(plan(&hosts, None, Some(1)).unwrap(), [is("a", 1)]);
        assert_eq!(plan(&[], None, Some(5)).unwrap(), [is(".", 5)]);
        let twice = [is("a", 1), is("b", 1), is("a", 1)];
        assert_eq!(plan(&twice, None, None).unwrap(), [is("a", 2), is("b", 1)]);
        assert!(plan(&hosts, None, Some(7)).unwrap_err().message().contains("take 6"));
    }
}
