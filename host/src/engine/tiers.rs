//! The host's room for places, made when it is needed.
//!
//! A pool costs time to set up, 3 µs for each place it can hold, for every stack has a guard page of its own. Most programs have a
//! few places and start to be quick. So the first pool is small, and the first place that finds it full makes the second, with the
//! rest of the room.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::Engine;

use super::{EngineConfig, EngineError, Linker, Ticker};

/// The places that the first pool holds.
const FIRST: u32 = 1024;

/// One engine with its pool.
pub(crate) struct Tier {
    pub(crate) engine: Engine,
    pub(crate) linker: Arc<Linker>,
    slots: Arc<Semaphore>,
    ticker: Option<Ticker>,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    First,
    Second,
}

/// Both engines; the second one may not be there yet.
pub(crate) struct Tiers {
    config: EngineConfig,
    first: Tier,
    second: OnceLock<Tier>,
    /// Held while the second one is made.
    making: Mutex<()>,
}

/// Room for one place, until dropped.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) rank: Rank,
    _permit: OwnedSemaphorePermit,
}

/// Why there is no room.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoRoom {
    #[error("every slot is taken")]
    Full,
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Tier {
    fn new(config: EngineConfig, places: u32) -> Result<Self, EngineError> {
        let failed = |source| EngineError { places, source };
        let engine = super::new(config, places)?;
        let linker = Arc::new(Linker::new(&engine).map_err(failed)?);
        let slots = Arc::new(Semaphore::new(places as usize));
        let start = || Ticker::start(&engine, &slots, places as usize);
        let ticker = config.preempt.then(start).transpose().map_err(|error| failed(error.into()))?;
        Ok(Self { engine, linker, slots, ticker })
    }

    fn room(&self, rank: Rank) -> Option<Room> {
        let permit = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        self.ticker.iter().for_each(Ticker::wake);
        Some(Room { rank, _permit: permit })
    }
}

impl Tiers {
    pub(crate) fn new(config: EngineConfig) -> Result<Self, EngineError> {
        let first = Tier::new(config, config.max_places.min(FIRST))?;
        Ok(Self { config, first, second: OnceLock::new(), making: Mutex::new(()) })
    }

    /// Takes room for one place.
    pub(crate) fn take(&self) -> Result<Room, NoRoom> {
        if let Some(room) = self.first.room(Rank::First) {
            return Ok(room);
        }
        if self.config.max_places <= FIRST {
            return Err(NoRoom::Full);
        }
        self.second()?.room(Rank::Second).ok_or(NoRoom::Full)
    }

    pub(crate) fn first(&self) -> &Tier {
        &self.first
    }

    /// The second tier, made if it is not there.
    pub(crate) fn second(&self) -> Result<&Tier, EngineError> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tier) = self.second.get() {
            return Ok(tier);
        }
        let tier = Tier::new(self.config, self.config.max_places - FIRST)?;
        Ok(self.second.get_or_init(|| tier))
    }

    /// How many places there are now.
    pub(crate) fn taken(&self) -> usize {
        let free = self.first.slots.available_permits();
        let more = match self.second.get() {
            Some(second) => second.slots.available_permits(),
            None => (self.config.max_places as usize).saturating_sub(FIRST as usize),
        };
        self.config.max_places as usize - free - more
    }
}
