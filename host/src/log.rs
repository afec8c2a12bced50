//! Lines that places log: into this host's log, and on to the node of who started them.
//!
//! A line goes from a place's node to its creator's, there into that one's log, and on if the creator's lines go on. Nobody ever waits
//! for it: whoever passes lines on has a bound, and loses what is beyond that.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use placehost_proto::frame::{LogLevel, LogLine};

use crate::id::PlaceId;
use crate::net::trust::clock::Moment;

/// The longest text of a line that is passed on, in bytes.
const LONGEST: usize = 16 << 10;
/// The longest name in one.
const LONGEST_NAME: usize = 255;

/// Passes lines on.
pub(crate) trait Forward: Send + Sync + 'static {
    /// Takes a line. Must not wait.
    fn forward(&self, line: LogLine);
}

/// Where the lines of a place go, beside this host's log. Clones are the same.
#[derive(Clone)]
pub(crate) struct LogTo(pub(crate) Arc<dyn Forward>);

impl fmt::Debug for LogTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogTo")
    }
}

/// The level is part of what tracing knows of a line at compile time.
macro_rules! at_level {
    ($level:expr, $($line:tt)+) => {
        match $level {
            LogLevel::Trace => tracing::trace!(target: "place", $($line)+),
            LogLevel::Debug => tracing::debug!(target: "place", $($line)+),
            LogLevel::Info => tracing::info!(target: "place", $($line)+),
            LogLevel::Warn => tracing::warn!(target: "place", $($line)+),
            LogLevel::Error => tracing::error!(target: "place", $($line)+),
        }
    };
}

/// A line of a place of this host.
pub(crate) fn here(level: LogLevel, place: PlaceId, start: &str, message: &str) {
    at_level!(level, %place, start, "{message}");
}

/// A line that came from another node.
pub(crate) fn there(line: &LogLine) {
    let LogLine { level, place, start, node, time, message } = line;
    // Names are other people's words: they must not look like a line of their own.
    let (start, node, at) = (start.escape_debug().to_string(), node.escape_debug().to_string(), rfc3339(*time));
    at_level!(level, %place, start, node, at, "{message}");
}

/// A line as it is passed on.
pub(crate) fn line(level: LogLevel, place: PlaceId, start: &str, node: &str, message: &str) -> LogLine {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    LogLine {
        level,
        place,
        start: shorten(start, LONGEST_NAME),
        node: shorten(node, LONGEST_NAME),
        time: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        message: shorten(message, LONGEST),
    }
}

fn shorten(text: &str, longest: usize) -> String {
    match text.len() {
        length if length <= longest => text.into(),
        _ => format!("{}…", &text[..text.floor_char_boundary(longest)]),
    }
}

/// Milliseconds since 1970, for people and programs.
fn rfc3339(millis: u64) -> String {
    let second = Moment(i64::try_from(millis / 1000).unwrap_or(i64::MAX)).rfc3339();
    format!("{}.{:03}Z", second.trim_end_matches('Z'), millis % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::NodeId;

    #[test]
    fn a_line_has_its_time_and_an_end() {
        assert_eq!(rfc3339(1_764_000_000_007), "2025-11-24T16:00:00.007Z");
        assert!(rfc3339(u64::MAX).ends_with("Z"));
        let place = PlaceId { node: NodeId(7), seq: 1 };
        let long = "é".repeat(LONGEST);
        let line = line(LogLevel::Info, place, "main", "host1", &long);
        assert!(line.message.len() <= LONGEST + 3 && line.message.ends_with("é…"));
        assert!(line.time > 1_764_000_000_007);
    }
}
