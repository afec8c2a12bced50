//! The log on stderr: what the library and the places have to say.

use std::fmt;
use std::io;

use clap::ValueEnum;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{self as log, FmtContext};
use tracing_subscriber::registry::LookupSpan;

use super::terminal::{CYAN, RED, YELLOW};

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Sets the log going. Without `-v` it has warnings and errors.
pub(crate) fn start(verbose: u8, format: Format) {
    let level = match verbose {
        0 => Level::WARN,
        1 => Level::INFO,
        2 => Level::DEBUG,
        _ => Level::TRACE,
    };
    let colour = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let log = log::Subscriber::builder().with_max_level(level).with_writer(io::stderr).with_ansi(colour);
    match format {
        Format::Text => log.event_format(Lines { time: verbose > 0 }).init(),
        Format::Json => log.json().flatten_event(true).init(),
    }
}

/// Lines like placehost's own: `warning: place main (6e1f0a2b.1): it is late`.
struct Lines {
    /// Whoever asks for more than warnings wants to know when.
    time: bool,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>, N: for<'a> FormatFields<'a> + 'static> FormatEvent<S, N> for Lines {
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if self.time {
            SystemTime.format_time(&mut writer)?;
            writer.write_char(' ')?;
        }
        let (style, level) = match *event.metadata().level() {
            Level::ERROR => (RED, "error"),
            Level::WARN => (YELLOW, "warning"),
            Level::INFO => (CYAN, "info"),
            Level::DEBUG => (CYAN, "debug"),
            Level::TRACE => (CYAN, "trace"),
        };
        match writer.has_ansi_escapes() {
            true => write!(writer, "{style}{level}:{style:#} ")?,
            false => write!(writer, "{level}: ")?,
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        writeln!(writer, "{fields}")
    }
}

/// The fields of an event, with those apart that say which place it is about.
#[derive(Default)]
struct Fields {
    place: String,
    start: String,
    /// The node that the place is on, and when it was there, where that is another.
    node: String,
    at: String,
    message: String,
    others: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "place" => self.place = format!("{value:?}"),
            "start" => self.start = format!("{value:?}"),
            "node" => self.node = format!("{value:?}"),
            "at" => self.at = format!("{value:?}"),
            "message" => self.message = format!("{value:?}"),
            other => self.others.push_str(&format!(" {other}={value:?}")),
        }
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, start, node, at, message, others } = self;
        match (place.is_empty(), node.is_empty()) {
            (true, _) => {}
            (false, true) => write!(f, "place `{start}` ({place}): ")?,
            (false, false) => write!(f, "place `{start}` ({place}) on `{node}` at {at}: ")?,
        }
        write!(f, "{message}{others}")
    }
}
