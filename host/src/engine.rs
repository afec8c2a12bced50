//! The WebAssembly engine, sized for this machine and shared by all places of a host.
//!
//! Instances come from a pool, with copy-on-write images of their memory. How much address space each reserves follows from how
//! many there may be: with 4 GiB, code needs no bounds checks (they cost 3 to 60 %), and up to [`ROOMY`] places can have that;
//! beyond, [`DENSE_MEMORY`] each.

mod cache;
mod linker;
mod modules;
mod ticker;
mod tiers;

use std::time::Duration;

use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

pub(crate) use cache::Cache;
pub use cache::CacheError;
pub(crate) use linker::Linker;
pub use modules::{Import, Inspection, Kind, LoadError, MAX_MODULE, Module, Source, StartFunction};
pub(crate) use modules::{Modules, Origin, Start, kebab};
pub(crate) use ticker::Ticker;
pub(crate) use tiers::{NoRoom, Rank, Room, Tiers};

use crate::machine;

/// How often a running place must yield. The tick is what one place can delay another by.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// Up to this many places have 4 GiB of address space each: 48 TiB of the 85 that Linux leaves in one piece.
pub const ROOMY: u32 = 12_288;
/// The most memory a place can have where there are more than [`ROOMY`].
pub const DENSE_MEMORY: u64 = 64 << 20;
const FOUR_GIB: u64 = 4 << 30;

/// A fiber's stack: room for [`WASM_STACK`] and, above it, for what the host does in a call. Only touched pages cost memory.
const STACK: usize = 768 << 10;
/// What a guest may recurse into.
const WASM_STACK: usize = 512 << 10;
/// How much of a slot is cleared by hand rather than given back to the system, when a place ends. Giving back costs a system
/// call and page faults afterwards; clearing much costs more. 64 KiB was the best of 0, 64 KiB and 1 MiB.
const KEEP: usize = 64 << 10;

/// What a component may consist of; a pool slot is sized for it. A component from `wasm-component-ld` has one memory, up to three
/// tables and four core instances.
const CORE_INSTANCES: u32 = 8;
const TABLES: u32 = 4;
const MEMORIES: u32 = 2;

/// What kind of engine is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineConfig {
    pub(crate) max_places: u32,
    /// Whether a place must yield at every tick.
    pub(crate) preempt: bool,
    pub(crate) fuel: bool,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
#[error("cannot reserve the address space for {places} places")]
pub struct EngineError {
    places: u32,
    source: wasmtime::Error,
}

/// The memory that a place can have at most, where there are up to `places`.
pub fn largest_memory(places: u32) -> u64 {
    if places <= ROOMY { FOUR_GIB } else { DENSE_MEMORY }
}

/// An engine with a pool for `places` places.
fn new(config: EngineConfig, places: u32) -> Result<Engine, EngineError> {
    let failed = |source| EngineError { places, source };
    let mut wasm = Config::new();
    wasm.concurrency_support(false);
    wasm.epoch_interruption(config.preempt);
    wasm.consume_fuel(config.fuel);
    wasm.async_stack_size(STACK);
    wasm.max_wasm_stack(WASM_STACK);
    wasm.memory_reservation(largest_memory(config.max_places));
    // What a constant offset may reach past an address without a check of its own.
    wasm.memory_guard_size(if config.max_places <= ROOMY { 32 << 20 } else { 64 << 10 });
    wasm.guard_before_linear_memory(false);
    wasm.memory_may_move(false);
    wasm.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(places, config.max_places)));
    Engine::new(&wasm).map_err(failed)
}

fn pool(places: u32, max_places: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(places)
        .total_core_instances(places.saturating_mul(CORE_INSTANCES))
        .total_memories(places)
        .total_tables(places.saturating_mul(2))
        .total_stacks(places)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_memory_size(usize::try_from(largest_memory(max_places)).unwrap_or(usize::MAX))
        .max_unused_warm_slots(places.min(1024))
        .linear_memory_keep_resident(KEEP)
        .table_keep_resident(KEEP)
        .async_stack_keep_resident(KEEP);
    pool
}

/// How many places this machine has room for.
pub(crate) fn room_for_places() -> u32 {
    machine::Limits::read().places()
}
