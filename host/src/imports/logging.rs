//! `logging`: a place's lines in the host's log, and in those of who started it.

use placehost_proto::frame::LogLevel;

use crate::bindings::places::core::logging::{Host, Level};
use crate::log;
use crate::place::State;

impl Host for State {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Trace => LogLevel::Trace,
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        let (place, start) = (self.life.id(), self.life.start());
        log::here(level, place, start, &message);
        if let Some(log) = &self.config.log {
            log.0.forward(log::line(level, place, start, &self.host.name, &message));
        }
        Ok(())
    }
}
