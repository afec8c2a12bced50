//! The thread that makes running places yield: it advances the engine's epoch at every tick.

use std::sync::Arc;
use std::thread;

use wasmtime::Engine;

use super::TICK;

/// Ticks as long as it exists.
#[derive(Debug)]
pub(crate) struct Ticker {
    /// Held for its drop: the thread stops when it cannot upgrade its weak reference.
    _alive: Arc<()>,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let alive = Arc::new(());
        let (watch, engine) = (Arc::downgrade(&alive), engine.weak());
        thread::Builder::new().name("placehost-tick".into()).spawn(move || {
            while watch.strong_count() > 0 {
                thread::sleep(TICK);
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
            }
        })?;
        Ok(Self { _alive: alive })
    }
}
