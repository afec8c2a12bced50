//! What the host keeps for one place: the data of its store.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::output::Stream;
use super::stats::Stats;
use super::{Life, Owner, Scratch};
use crate::config::{Grants, PlaceConfig, SCRATCH};
use crate::engine::Module;
use crate::host::Shared;

/// Handles a place may have at once: channels, blobs, places, files, sockets.
pub(crate) const MAX_HANDLES: usize = 1 << 20;

/// The data of a place's store.
pub(crate) struct State {
    pub(crate) table: ResourceTable,
    pub(crate) host: Arc<Shared>,
    pub(crate) life: Arc<Life>,
    /// Itself, as who owns the places that it starts.
    pub(crate) owner: Arc<Owner>,
    pub(crate) stats: Arc<Stats>,
    /// When it was started.
    pub(crate) since: Instant,
    pub(crate) module: Module,
    pub(crate) config: PlaceConfig,
    pub(crate) scratch: Option<Arc<Scratch>>,
    /// Why it said it would trap.
    pub(crate) panic: Option<String>,
    pub(crate) memory: Memory,
    /// Where the search of the next `sync` begins.
    turn: usize,
    wasi: WasiCtx,
}

impl State {
    pub(super) fn new(
        host: Arc<Shared>,
        (life, owner, stats): (Arc<Life>, Arc<Owner>, Arc<Stats>),
        module: Module,
        config: PlaceConfig,
        scratch: Option<Arc<Scratch>>,
    ) -> wasmtime::Result<Self> {
        let wasi = wasi(&life, &config, scratch.as_deref())?;
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        let memory = Memory { limit: config.limits.memory, denied: None, size: 0, grown: 0, stats: Arc::clone(&stats) };
        Ok(Self { table, host, life, owner, stats, since: Instant::now(), module, config, scratch, panic: None, memory, turn: 0, wasi })
    }

    /// A number that moves on with every call.
    pub(crate) fn next_turn(&mut self) -> usize {
        self.turn = self.turn.wrapping_add(1);
        self.turn
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

fn wasi(life: &Life, config: &PlaceConfig, scratch: Option<&Scratch>) -> wasmtime::Result<WasiCtx> {
    let mut wasi = WasiCtxBuilder::new();
    wasi.arg(&life.start).args(&config.args);
    wasi.stdout(Stream(config.stdout.clone())).stderr(Stream(config.stderr.clone()));
    let Grants { dirs, scratch: _, env, network, nodes: _ } = &config.grants;
    wasi.envs(env);
    for dir in dirs {
        let permissions = if dir.read_only { FsPerms::ReadOnly } else { FsPerms::ReadWrite };
        wasi.preopened_dir(&dir.host, &dir.guest, permissions)?;
    }
    if let Some(scratch) = scratch {
        wasi.preopened_dir(scratch.path(), SCRATCH, FsPerms::ReadWrite)?;
    }
    if *network {
        wasi.inherit_network().allow_tcp(true).allow_udp(true).allow_ip_name_lookup(true);
    }
    Ok(wasi.build())
}

/// Holds the place's memory to its limit.
pub(crate) struct Memory {
    limit: u64,
    /// The size it was denied last; if it then traps, that was why.
    pub(crate) denied: Option<u64>,
    /// Of all its memories together, and by how much they grew last.
    size: usize,
    grown: usize,
    stats: Arc<Stats>,
}

impl Memory {
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    fn resize(&mut self, size: usize) {
        self.size = size;
        self.stats.set_memory(size as u64);
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let fits = desired as u64 <= self.limit;
        self.denied = (!fits).then_some(desired as u64);
        self.grown = if fits { desired.saturating_sub(current) } else { 0 };
        self.resize(self.size + self.grown);
        Ok(fits)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        let grown = std::mem::take(&mut self.grown);
        self.resize(self.size - grown);
        Ok(())
    }

    fn table_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }
}

/// The error by which a place's call of `exit` unwinds it.
#[derive(Debug)]
pub(crate) struct ExitCall(pub(crate) u8);

impl fmt::Display for ExitCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exited with code {}", self.0)
    }
}

impl std::error::Error for ExitCall {}
