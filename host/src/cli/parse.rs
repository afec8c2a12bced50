//! Values on the command line: sizes, durations, directories, variables, JSON.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use placehost::net::address::{Address, DEFAULT_PORT};
use placehost::{Dir, NodeId, Objects, PlaceId};

/// Bytes: `65536`, `64KiB`, `64MiB`, `1G`. Without a `B` the units are the binary ones, as everywhere in Unix; `KB`, `MB` and
/// `GB` are powers of ten.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = number_and_unit(text)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err(format!("`{unit}` is no unit of size; write it like `64MiB` or `1GiB`")),
    };
    number.checked_mul(factor).ok_or_else(|| "that is more than 64 bits can count".into())
}

/// A length of time: `500ms`, `2s`, `1m`, `1h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = number_and_unit(text)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "" => return Err("it needs a unit, like `500ms`, `2s` or `1m`".into()),
        _ => return Err(format!("`{unit}` is no unit of time; write it like `500ms`, `2s` or `1m`")),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(|| "that is longer than 64 bits can count".into())
}

/// A length of time for which a node may be silent. Below the shortest one a busy machine would seem lost; a longer one than the
/// longest is nobody's patience.
pub(crate) fn silence(text: &str) -> Result<Duration, String> {
    const SHORTEST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(24 * 3600);
    let time = duration(text)?;
    if (SHORTEST..=LONGEST).contains(&time) { Ok(time) } else { Err("it must be from `100ms` to `24h`".into()) }
}

fn number_and_unit(text: &str) -> Result<(u64, &str), String> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    match digits.parse() {
        Ok(number) => Ok((number, unit.trim_start())),
        Err(_) if digits.is_empty() => Err("it must begin with a whole number".into()),
        Err(_) => Err("that is more than 64 bits can count".into()),
    }
}

/// A directory to grant: `HOST`, `HOST::GUEST`, and `:ro` behind either.
pub(crate) fn dir(text: &str) -> Result<Dir, String> {
    let (paths, read_only) = text.strip_suffix(":ro").map_or((text, false), |paths| (paths, true));
    let (host, guest) = paths.split_once("::").unwrap_or((paths, paths));
    match (host, guest) {
        ("", _) => Err("it names no directory of this machine before the `::`".into()),
        (_, "") => Err("it names no directory in the place behind the `::`".into()),
        _ => Ok(Dir { host: PathBuf::from(host), guest: guest.to_owned(), read_only }),
    }
}

/// Objects to grant: `URL`, and `:ro` behind it.
pub(crate) fn objects(text: &str) -> Result<Objects, String> {
    let parsed = Objects::parse(text).unwrap_or_else(|| text.parse().map(|url| Objects::new(url, false)));
    parsed.map_err(|error| error.to_string())
}

/// Where a place is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// On a node that listens there.
    Node(Address),
    /// On a node that is launched there.
    Ssh(Machine),
}

/// A machine to launch a node on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Who to be there.
    pub(crate) user: Option<String>,
    /// Its name or address, as ssh takes it.
    pub(crate) host: String,
    /// The UDP port of the node.
    pub(crate) port: Option<u16>,
}

/// `HOST[:PORT]`, or `ssh://[USER@]HOST[:PORT]`.
pub(crate) fn target(text: &str) -> Result<Target, String> {
    match text.strip_prefix("ssh://") {
        Some(machine) => machine_of(machine).map(Target::Ssh),
        None if text.contains("://") => Err("a node is `host`, `host:port` or `ssh://[user@]host[:port]`".into()),
        None => address(text).map(Target::Node),
    }
}

/// `HOST[:PORT]`.
pub(crate) fn address(text: &str) -> Result<Address, String> {
    text.parse().map_err(|error: placehost::net::address::AddressError| error.to_string())
}

/// Where to listen: `IP:PORT`, or `IP` for the usual port.
pub(crate) fn listen(text: &str) -> Result<SocketAddr, String> {
    let ip = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let address = ip.map_or_else(|_| text.parse(), |ip| Ok((ip, DEFAULT_PORT).into()));
    address.map_err(|_| "it is no address of this machine; write it like `10.0.0.1:6340` or `[::]:6340`".into())
}

fn machine_of(text: &str) -> Result<Machine, String> {
    let (user, rest) = text.rsplit_once('@').map_or((None, text), |(user, rest)| (Some(user.to_owned()), rest));
    if user.as_ref().is_some_and(|user| user.is_empty() || user.starts_with('-') || user.chars().any(char::is_whitespace)) {
        return Err("it names no user before the `@`".into());
    }
    let parsed = address(rest)?;
    // An address without a port is that of the usual one; here it is any.
    let has_port = rest.strip_prefix('[').map_or_else(|| rest.matches(':').count() == 1, |rest| rest.contains("]:"));
    Ok(Machine { user, host: parsed.host().to_owned(), port: has_port.then(|| parsed.port()) })
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(address) => address.fmt(f),
            Self::Ssh(Machine { host, .. }) => f.write_str(host),
        }
    }
}

/// A place, as `placehost ps` shows it: `6e1f0a2b.1`. Of its node that is only the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShortId {
    node: u32,
    seq: u64,
}

impl ShortId {
    /// The place's whole id, if it is of this node.
    pub(crate) fn of(self, node: NodeId) -> Option<PlaceId> {
        (node.0 >> 96 == self.node.into()).then_some(PlaceId { node, seq: self.seq })
    }
}

impl fmt::Display for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}.{}", self.node, self.seq)
    }
}

/// A place, as `placehost ps` shows it.
pub(crate) fn place(text: &str) -> Result<ShortId, String> {
    let parsed = text.split_once('.').and_then(|(node, seq)| {
        let hex = node.len() == 8 && node.chars().all(|c| c.is_ascii_hexdigit());
        let digits = seq.chars().all(|c| c.is_ascii_digit());
        (hex && digits).then_some(ShortId { node: u32::from_str_radix(node, 16).ok()?, seq: seq.parse().ok()? })
    });
    parsed.ok_or_else(|| "a place is written as `placehost ps` shows it, like `6e1f0a2b.1`".into())
}

/// An environment variable to grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    /// Its name.
    pub(crate) name: String,
    /// Absent where ours is passed on.
    pub(crate) value: Option<String>,
}

/// `NAME=VALUE`, or `NAME` for what it is here.
pub(crate) fn variable(text: &str) -> Result<Variable, String> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value.to_owned())));
    match name {
        "" => Err("the variable has no name".into()),
        _ => Ok(Variable { name: name.to_owned(), value }),
    }
}

/// What serde_json found wrong. What it calls line 1 is the only line that most people wrote, so it is left out.
pub(crate) fn json_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line 1 column ") {
        Some((what, column)) => format!("{what} at column {column}"),
        None => text,
    }
}

/// The beginning of a text, for an error to show.
pub(crate) fn shorten(text: &str) -> String {
    /// What fits on a line beside the rest.
    const CHARS: usize = 80;
    match text.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65_536),
            ("64KiB", 65_536),
            ("64k", 65_536),
            ("64 MiB", 64 << 20),
            ("1G", 1 << 30),
            ("1gib", 1 << 30),
            ("2MB", 2_000_000),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5G", "1T", "18446744073709551616", "99999999999999999G", "1 G x"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, millis) in [("500ms", 500), ("2s", 2_000), ("1m", 60_000), ("1 h", 3_600_000), ("0s", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "5", "1d", "-1s", "1.5s", "18446744073709551615h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn directories() {
        let dir = |text| dir(text).map(|dir| (dir.host.display().to_string(), dir.guest, dir.read_only));
        let is = |host: &str, guest: &str, read_only| Ok((host.to_owned(), guest.to_owned(), read_only));
        assert_eq!(dir("data"), is("data", "data", false));
        assert_eq!(dir("/var/data::/data"), is("/var/data", "/data", false));
        assert_eq!(dir("/var/data::/data:ro"), is("/var/data", "/data", true));
        assert_eq!(dir("data:ro"), is("data", "data", true));
        for text in ["", "::", "::/data", "data::", "data:::ro", ":ro"] {
            assert!(dir(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_to_listen_at() {
        for (text, shown) in [("::", "[::]:6340"), ("127.0.0.1:0", "127.0.0.1:0"), ("10.0.0.1", "10.0.0.1:6340"), ("[::1]:7", "[::1]:7")] {
            assert_eq!(listen(text).map(|address| address.to_string()), Ok(shown.into()), "{text}");
        }
        for text in ["", "host2", "host2:1", ":6340", "6340"] {
            assert!(listen(text).is_err(), "{text}");
        }
    }

    #[test]
    fn targets() {
        let ssh =
            |user: Option<&str>, host: &str, port| Ok(Target::Ssh(Machine { user: user.map(str::to_owned), host: host.to_owned(), port }));
        assert_eq!(target("host2"), Ok(Target::Node("host2:6340".parse().unwrap())));
        assert_eq!(target("[::1]:7000"), Ok(Target::Node("[::1]:7000".parse().unwrap())));
        assert_eq!(target("ssh://host2"), ssh(None, "host2", None));
        assert_eq!(target("ssh://me@host2:7000"), ssh(Some("me"), "host2", Some(7000)));
        assert_eq!(target("ssh://[::1]:7000"), ssh(None, "::1", Some(7000)));
        assert_eq!(target("ssh://::1"), ssh(None, "::1", None));
        for text in ["", "ssh://", "ssh://@host2", "ssh://-oProxyCommand=x@host2", "ssh://-x", "http://host2", "host2:0", "me@host2"] {
            assert!(target(text).is_err(), "{text}");
        }
    }

    #[test]
    fn places_are_read_as_they_are_shown() {
        let id = PlaceId { node: NodeId(0x0e1f_0a2b_u128 << 96 | 7), seq: 12 };
        assert_eq!(place(&id.to_string()).unwrap().of(id.node), Some(id));
        assert_eq!(place(&id.to_string()).unwrap().of(NodeId(7)), None);
        assert_eq!(place("0e1f0a2b.12").unwrap().to_string(), "0e1f0a2b.12");
        for text in ["", "12", "0e1f0a2b", "0e1f0a2b.", "e1f0a2b.1", "0e1f0a2b.-1", "0e1f0a2b.+1", "0e1f0a2b.99999999999999999999"] {
            assert!(place(text).is_err(), "{text}");
        }
    }

    #[test]
    fn variables() {
        let is = |name: &str, value: Option<&str>| Ok(Variable { name: name.into(), value: value.map(str::to_owned) });
        assert_eq!(variable("HOME"), is("HOME", None));
        assert_eq!(variable("A=b=c"), is("A", Some("b=c")));
        assert_eq!(variable("A="), is("A", Some("")));
        assert!(variable("").is_err());
        assert!(variable("=x").is_err());
    }

    #[test]
    fn json_errors_name_the_column() {
        let error = |text| json_error(&serde_json::from_str::<serde_json::Value>(text).unwrap_err());
        assert_eq!(error("World"), "expected value at column 1");
        assert_eq!(error("[1,\n}"), "expected value at line 2 column 1");
    }
}
