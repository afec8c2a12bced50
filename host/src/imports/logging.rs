//! `logging`: a place's lines in the host's log.

use crate::bindings::places::core::logging::{Host, Level};
use crate::place::State;

impl Host for State {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let (place, start) = (self.life.id(), self.life.start());
        // The level is part of what tracing knows of a line at compile time.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(target: "place", %place, start, "{message}")
            };
        }
        match level {
            Level::Trace => line!(trace),
            Level::Debug => line!(debug),
            Level::Info => line!(info),
            Level::Warn => line!(warn),
            Level::Error => line!(error),
        }
        Ok(())
    }
}
