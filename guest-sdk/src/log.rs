//! Lines for the log of the node.

use std::fmt;

use crate::bindings::logging;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For following every step.
    Trace,
    /// For finding a fault.
    Debug,
    /// For who runs it.
    Info,
    /// Something is not as it should be.
    Warn,
    /// Something failed.
    Error,
}

/// Writes a line to the log of the node, which adds the time and the place. A node shows warnings and errors; with `-v` more. With
/// [`Options::log_to_parent`](crate::Options::log_to_parent), or where the command says so, it goes to the creator's node as well.
pub fn log(level: Level, message: impl fmt::Display) {
    let level = match level {
        Level::Trace => logging::Level::Trace,
        Level::Debug => logging::Level::Debug,
        Level::Info => logging::Level::Info,
        Level::Warn => logging::Level::Warn,
        Level::Error => logging::Level::Error,
    };
    logging::log(level, &message.to_string());
}

/// Writes a formatted line to the log of the node: `log!(Info, "{n} done")`. The first argument is a variant of [`Level`].
#[macro_export]
macro_rules! log {
    ($level:ident, $($message:tt)+) => {
        $crate::log($crate::Level::$level, ::core::format_args!($($message)+))
    };
}
