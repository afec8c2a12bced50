//! The thread that makes running places yield: it advances the engine's epoch at every tick.
//!
//! A host without places needs no ticks, and a node is often one: the thread sleeps until there is a place again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};

use tokio::sync::Semaphore;
use wasmtime::Engine;

use super::TICK;

/// Ticks while there are places, as long as it exists.
#[derive(Debug)]
pub(crate) struct Ticker {
    thread: Thread,
    over: Arc<AtomicBool>,
}

impl Ticker {
    /// Ticks while fewer than `all` of the slots are free.
    pub(crate) fn start(engine: &Engine, slots: &Arc<Semaphore>, all: usize) -> std::io::Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let (end, slots, engine) = (Arc::clone(&over), Arc::clone(slots), engine.weak());
        let ticking = thread::Builder::new().name("placehost-tick".into()).spawn(move || {
            while !end.load(Ordering::Acquire) {
                if slots.available_permits() == all {
                    thread::park();
                    continue;
                }
                thread::sleep(TICK);
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
            }
        })?;
        Ok(Self { thread: ticking.thread().clone(), over })
    }

    /// A slot has been taken. To be said after it was, so that the thread either sees it or is woken.
    pub(crate) fn wake(&self) {
        self.thread.unpark();
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
