//! Starting a place, and running it to its end.
//!
//! The place's task owns everything: the store with the instance, and a [`Finish`] that is dropped after it. So however the task
//! ends, returning or dropped, first all the place held goes, then its children are ended, then its end is told.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tokio::sync::oneshot;
use wasmtime::component::{InstancePre, Resource};
use wasmtime::{Store, Trap, UpdateDeadline, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::registry::{Entry, Name};
use super::scratch::{Scratch, ScratchError};
use super::stats::Stats;
use super::{Ender, ExitCall, ExitReason, Life, MAX_HANDLES, Owner, Place, State};
use crate::channel::{Account, Channel, OverBudget};
use crate::config::{PlaceConfig, SCRATCH};
use crate::engine::{Module, NoRoom, Room, Start, kebab};
use crate::host::Shared;
use crate::id::PlaceId;

/// Why a place was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The module has no start function of that name.
    #[error("the module has no start function `{start}`")]
    NoStart {
        /// As it was asked for, with `-` for `_`.
        start: String,
        /// Those it has.
        has: Vec<String>,
    },
    /// The module exports that name, but not as a start function.
    #[error("`{start}` is no start function: {why}")]
    BadStart {
        /// As it was asked for, with `-` for `_`.
        start: String,
        /// What its type should be.
        why: String,
    },
    /// All the places that the host has room for are in use.
    #[error("this host runs at most {max} places at once")]
    TooManyPlaces {
        /// How many it has room for.
        max: u32,
    },
    /// The memory limit is beyond what the host can give one place.
    #[error("a place can have at most {max} bytes of memory here")]
    Memory {
        /// In bytes.
        max: u64,
    },
    /// A fuel limit on a host that does not count it.
    #[error("this host does not count fuel")]
    NoFuel,
    /// A deadline on a host that cannot interrupt a place that computes.
    #[error("a deadline needs preemption")]
    NoPreemption,
    /// The host is shutting down, or the place that asked is being killed.
    #[error("the spawner is ending")]
    Ending,
    /// Not even its channel fits its memory limit.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
    /// A directory that was granted cannot be opened, or the system has no thread left.
    #[error("cannot set the place up")]
    Setup(#[source] wasmtime::Error),
    /// It has no scratch directory, and was granted one.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// Another living place has that name.
    #[error("the name `{name}` is taken by place {by}")]
    NameTaken {
        /// As it was asked for.
        name: String,
        /// Who has it.
        by: PlaceId,
    },
    /// It cannot be a name.
    #[error("`{}` is no name: it has 1 to 255 bytes, none of them of control characters", name.escape_debug())]
    BadName {
        /// As it was asked for.
        name: String,
    },
    /// The node that it was to run on is lost.
    #[error("the node is lost")]
    NodeLost,
    /// The node that it was to run on does not allow it; the text says why.
    #[error("{0}")]
    Refused(String),
    /// The module is larger than the node that it was to run on takes.
    #[error("the module has {size} bytes; the node takes {max}")]
    TooLargeModule {
        /// In bytes.
        size: u64,
        /// In bytes.
        max: u64,
    },
    /// The node that it was to run on found no such module or start function; the text says what there is instead.
    #[error("{0}")]
    NotFound(String),
    /// The name is taken on the node that it was to run on.
    #[error("{0}")]
    Exists(String),
    /// The node that it was to run on cannot use the module; the text says why.
    #[error("{0}")]
    BadModule(String),
    /// A limit of the node that it was to run on is reached; the text says which.
    #[error("{0}")]
    Limit(String),
}

/// What is to be started, and for whom.
pub(crate) struct Request {
    pub(crate) module: Module,
    pub(crate) start: String,
    pub(crate) config: PlaceConfig,
    /// Who ends it by ending.
    pub(crate) owner: Arc<Owner>,
    /// By which others find it.
    pub(crate) name: Option<String>,
    /// The number in its id, where one was spared for it.
    pub(crate) seq: Option<u64>,
    /// Its channel, where that was made before it: the parent's end and its own.
    pub(crate) channel: Option<(Channel, Channel)>,
}

/// Starts a place; it runs as soon as a thread is free.
pub(crate) fn spawn(host: &Arc<Shared>, request: Request) -> Result<(Place, Channel), SpawnError> {
    let Request { module, start: name, config, owner, name: known_as, seq, channel } = request;
    check_limits(host, &config)?;
    let room = host.tiers.take().map_err(|error| match error {
        NoRoom::Full => SpawnError::TooManyPlaces { max: host.max_places },
        NoRoom::Engine(error) => SpawnError::Setup(error.into()),
    })?;
    let runnable = module.runnable(&host.tiers, room.rank).map_err(SpawnError::Setup)?;
    let start = runnable.start(&name).ok_or_else(|| no_start(&module, &name))?;
    let pre = runnable.pre.clone();

    let id = PlaceId { node: host.node, seq: seq.unwrap_or_else(|| host.next_seq()) };
    let own = Owner::new(Account::new(config.limits.memory));
    let life = Arc::new(Life::new(id, kebab(&name), Ender::Here(Arc::clone(&own))));
    let (bounds, since) = (config.bounds, Instant::now());
    let (ours, theirs) = channel.map_or_else(|| Channel::pair_on(bounds, &own.account), Ok)?;
    let stats = Arc::new(Stats::default());
    let name = known_as.map(|name| Name::new(name, &ours)).transpose()?;
    let parts = (Arc::clone(&life), Arc::clone(&own), Arc::clone(&stats));
    let entry = Entry { life: Arc::clone(&life), owner: own, stats, module: module.clone(), since, bounds, inflow: theirs.inflow(), name };
    let scratch = scratch(host, &config, id)?;
    let state = State::new(Arc::clone(host), parts, module, config, scratch.clone()).map_err(SpawnError::Setup)?;

    host.registry.add(entry)?;
    // From here on dropping this undoes everything.
    let finish =
        Finish { host: Arc::clone(host), life: Arc::clone(&life), owner: Arc::clone(&owner), room: Some(room), scratch, reason: None };
    if !owner.family.adopt(&life) {
        return Err(SpawnError::Ending);
    }
    // One value with `finish` in the last place: it is dropped last even if the task never gets to run.
    let parts = (run(pre, state, start, theirs), finish);
    let task = async move {
        let (run, mut finish) = parts;
        finish.reason = Some(run.await);
    };
    let stop = launch(host, task)?;
    life.set_stop(stop);
    Ok((Place(life), ours))
}

/// Its scratch directory, where it was granted one.
fn scratch(host: &Shared, config: &PlaceConfig, id: PlaceId) -> Result<Option<Arc<Scratch>>, ScratchError> {
    if !config.grants.scratch {
        return Ok(None);
    }
    if config.grants.dirs.iter().any(|dir| dir.guest == SCRATCH) {
        return Err(ScratchError::Twice);
    }
    match &config.shared {
        Some(shared) => Ok(Some(Arc::clone(shared))),
        None => host.scratches.make(id.seq).map(|scratch| Some(Arc::new(scratch))),
    }
}

fn no_start(module: &Module, name: &str) -> SpawnError {
    match module.not_a_start(name) {
        Some(why) => SpawnError::BadStart { start: kebab(name), why: why.to_owned() },
        None => SpawnError::NoStart { start: kebab(name), has: module.starts().map(str::to_owned).collect() },
    }
}

fn check_limits(host: &Shared, config: &PlaceConfig) -> Result<(), SpawnError> {
    let limits = &config.limits;
    if limits.memory > host.largest_memory {
        return Err(SpawnError::Memory { max: host.largest_memory });
    }
    if limits.fuel.is_some() && !host.fuel {
        return Err(SpawnError::NoFuel);
    }
    if limits.deadline.is_some() && !host.preempt {
        return Err(SpawnError::NoPreemption);
    }
    Ok(())
}

/// Sets the task going and returns what stops it. Places that are not preempted have a thread each, which the operating system
/// preempts.
fn launch(host: &Shared, task: impl Future<Output = ()> + Send + 'static) -> Result<Box<dyn FnOnce() + Send>, SpawnError> {
    if host.preempt {
        let task = host.runtime.spawn(task);
        return Ok(Box::new(move || task.abort()));
    }
    let (stop, stopped) = oneshot::channel::<()>();
    let runtime = host.runtime.clone();
    let run = move || {
        runtime.block_on(async {
            tokio::select! { () = task => {}, Ok(()) = stopped => {} }
        });
    };
    std::thread::Builder::new().name("place".into()).spawn(run).map_err(|error| SpawnError::Setup(error.into()))?;
    // A place that has ended hears nothing any more.
    Ok(Box::new(move || stop.send(()).unwrap_or_default()))
}

/// Runs a place to its end; when it returns, all the place held is gone.
async fn run(pre: InstancePre<State>, state: State, start: Start, channel: Channel) -> ExitReason {
    let deadline = state.config.limits.deadline;
    let stats = Arc::clone(&state.stats);
    let mut store = Store::new(pre.engine(), state);
    let call = stats.watch(call(&pre, &mut store, start, channel));
    let result = match deadline {
        None => call.await,
        Some(time) => match tokio::time::timeout(time, call).await {
            Ok(result) => result,
            Err(_) => return ExitReason::Limit(format!("its deadline of {time:?}").into()),
        },
    };
    match result {
        Ok(None) => ExitReason::Returned,
        Ok(Some(error)) => ExitReason::Failed(error.into()),
        Err(error) => why(&error, store.data_mut()),
    }
}

/// Instantiates the module and calls its start function, which may return an error's text.
async fn call(pre: &InstancePre<State>, store: &mut Store<State>, start: Start, channel: Channel) -> wasmtime::Result<Option<String>> {
    store.limiter(|state| &mut state.memory);
    store.set_max_component_handles(MAX_HANDLES);
    let (preempt, fuel) = (store.data().host.preempt, store.data().host.fuel);
    if preempt {
        store.set_epoch_deadline(1);
        // Yielding by way of tokio's scheduler puts the place behind everybody who is ready.
        store.epoch_deadline_callback(|store| {
            store.data().stats.gives_way();
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
    }
    if fuel {
        store.set_fuel(store.data().config.limits.fuel.unwrap_or(u64::MAX))?;
    }
    let instance = pre.instantiate_async(&mut *store).await?;
    let end: Resource<Channel> = store.data_mut().table.push(channel)?;
    if start.fallible {
        let function = instance.get_typed_func::<(Resource<Channel>,), (Result<(), String>,)>(&mut *store, start.index)?;
        let (result,) = function.call_async(&mut *store, (end,)).await?;
        return Ok(result.err());
    }
    let function = instance.get_typed_func::<(Resource<Channel>,), ()>(&mut *store, start.index)?;
    function.call_async(&mut *store, (end,)).await?;
    Ok(None)
}

/// The exit reason behind the error that unwound a place.
fn why(error: &wasmtime::Error, state: &mut State) -> ExitReason {
    if let Some(&ExitCall(code)) = error.downcast_ref() {
        return ExitReason::Exited(code);
    }
    if let Some(&I32Exit(code)) = error.downcast_ref() {
        // A code that does not fit must not look like success.
        return ExitReason::Exited(u8::try_from(code).unwrap_or(1));
    }
    if error.downcast_ref() == Some(&Trap::OutOfFuel) {
        let fuel = state.config.limits.fuel.unwrap_or(u64::MAX);
        return ExitReason::Limit(format!("its {fuel} units of fuel").into());
    }
    if let (Some(wanted), None) = (state.memory.denied, &state.panic) {
        let limit = state.memory.limit();
        return ExitReason::Limit(format!("its {limit} bytes of memory: it asked for {wanted}").into());
    }
    if out_of_maps(error) && state.panic.is_none() {
        return ExitReason::Limit("the machine's memory maps: raise vm.max_map_count, or have fewer places".into());
    }
    let message = state.panic.take().unwrap_or_else(|| error.root_cause().to_string());
    let backtrace = error.downcast_ref::<WasmBacktrace>().map_or_else(String::new, frames);
    ExitReason::Trapped { message: message.into(), backtrace: backtrace.into() }
}

/// Whether the system refused a mapping. It has memory, or it would have ended the process; what it has not is room in its table.
fn out_of_maps(error: &wasmtime::Error) -> bool {
    let code = match (error.downcast_ref::<std::io::Error>(), error.downcast_ref::<Errno>()) {
        (Some(error), _) => error.raw_os_error(),
        (None, code) => code.map(|code| code.raw_os_error()),
    };
    code == Some(Errno::NOMEM.raw_os_error())
}

/// One frame a line: the function, and the file and line where the module says so. The frames of the panic machinery come first
/// and say nothing, so they are left out.
fn frames(backtrace: &WasmBacktrace) -> String {
    let name = |frame: &wasmtime::FrameInfo| match frame.func_name() {
        Some(name) => format!("{:#}", rustc_demangle::demangle(name)),
        None => format!("function {}", frame.func_index()),
    };
    let named: Vec<_> = backtrace.frames().iter().map(|frame| (name(frame), frame)).collect();
    let machinery = |name: &str| PANIC_MACHINERY.iter().any(|part| name.contains(part));
    let first = named.iter().rposition(|(name, _)| machinery(name)).map_or(0, |last| last + 1);
    let line = |(name, frame): &(String, &wasmtime::FrameInfo)| {
        let symbol = frame.symbols().first();
        match symbol.and_then(|symbol| Some((symbol.file()?, symbol.line()?))) {
            Some((file, line)) => format!("{name} at {file}:{line}"),
            None => name.clone(),
        }
    };
    named[first..].iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Parts of the names of the functions between a panic in Rust and the trap.
const PANIC_MACHINERY: [&str; 6] =
    ["panic_with_hook", "begin_panic_handler", "rust_panic", "core::panicking::", "core::result::unwrap_failed", "core::option::"];

/// Tells the end of a place, after everything it held is gone.
struct Finish {
    host: Arc<Shared>,
    life: Arc<Life>,
    owner: Arc<Owner>,
    room: Option<Room>,
    scratch: Option<Arc<Scratch>>,
    /// Absent if its task was dropped: it was stopped.
    reason: Option<ExitReason>,
}

impl Drop for Finish {
    fn drop(&mut self) {
        let Self { host, life, owner, room, scratch, reason } = self;
        let Ender::Here(own) = &life.ender else { return };
        own.end();
        owner.family.forget(life.id);
        drop(room.take());
        host.registry.remove(life.id);
        own.account.settle(owner.heir());
        let reason = reason.take().or_else(|| own.family.reason()).unwrap_or(ExitReason::Killed);
        if !owner.is_told() && !reason.is_success() && reason != ExitReason::Killed {
            report(life, &reason);
        }
        let last = Last { life: Arc::clone(life), scratch: scratch.take(), reason: Some(reason) };
        match &last.scratch {
            None => drop(last),
            // It may hold much, and this thread is not to wait for the disk. Where nothing is run any more, it is dropped all the same.
            Some(_) => drop(host.runtime.spawn_blocking(|| drop(last))),
        }
    }
}

/// Removes the scratch directory, unless others share it that have not ended, and then tells the end.
struct Last {
    life: Arc<Life>,
    scratch: Option<Arc<Scratch>>,
    reason: Option<ExitReason>,
}

impl Drop for Last {
    fn drop(&mut self) {
        drop(self.scratch.take());
        if let Some(reason) = self.reason.take() {
            self.life.tell(reason);
        }
    }
}

/// A line in the log for a place that went wrong: its parent may never ask. What the embedder started it is told itself.
fn report(life: &Life, reason: &ExitReason) {
    let backtrace = match reason {
        ExitReason::Trapped { backtrace, .. } => &**backtrace,
        _ => "",
    };
    let indented = backtrace.lines().map(|line| format!("\n    {line}")).collect::<String>();
    tracing::warn!(place = %life.id, start = life.start, "{reason}{indented}");
}

/// The longest deadline that means anything; a longer one would overflow the clock.
pub(crate) const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
