//! Values on the command line: sizes, durations, directories, variables, JSON.

use std::path::PathBuf;
use std::time::Duration;

use placehost::Dir;

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
