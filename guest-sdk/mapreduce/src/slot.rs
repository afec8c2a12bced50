//! The place that runs tasks, one at a time; it is kept for many tasks and many jobs.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic;
use std::rc::Rc;
use std::time::Instant;

use places::{Bytes, Channel};

use crate::emit::Parts;
use crate::fetch::Fetch;
use crate::function::Put;
use crate::input;
use crate::merge::Groups;
use crate::output::Target;
use crate::registry::Functions;
use crate::sources;
use crate::store::Store;
use crate::wire::{FromSlot, Inlet, Input, Kind, Said, Spec, Stats, ToSlot, Try};

/// The arguments of the job whose function runs: see [`Job::args`](crate::Job::args).
pub fn args() -> Rc<[String]> {
    ARGS.with_borrow(Rc::clone)
}

thread_local! {
    static ARGS: RefCell<Rc<[String]>> = RefCell::new(Rc::new([]));
    /// Where the task is in its input, and who is told that if it panics.
    static POSITION: Cell<Option<u64>> = const { Cell::new(None) };
    static AGENT: RefCell<Option<Channel<ToSlot, FromSlot>>> = const { RefCell::new(None) };
}

/// Where the task of this place is in its input.
pub(crate) struct Position;

impl Position {
    #[inline]
    pub(crate) fn set(offset: u64) {
        POSITION.set(Some(offset));
    }
}

/// Runs tasks. Started by an agent; no program has a use for it.
#[places::start]
pub(crate) fn mapreduce_slot(ch: Channel<ToSlot, FromSlot>) -> places::Result {
    let ToSlot::Begin { worker, slot } = ch.get()? else { return Err("a slot is told who it is first".into()) };
    AGENT.set(Some(ch.clone()));
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if let Some(offset) = POSITION.get() {
            AGENT.with_borrow(|agent| agent.as_ref().map(|agent| agent.put(FromSlot::Panics { offset })));
        }
        before(info);
    }));
    let mut slot = Slot { agent: ch, worker, slot, job: None, inlets: BTreeMap::new(), room: Rc::default(), files: 0 };
    // Its agent ends it, or has ended.
    while let Ok(message) = slot.agent.get() {
        slot.told(message)?;
    }
    Ok(())
}

pub(crate) struct Slot {
    pub(crate) agent: Channel<ToSlot, FromSlot>,
    pub(crate) worker: u32,
    slot: u32,
    job: Option<Job>,
    pub(crate) inlets: BTreeMap<u32, Inlet>,
    /// What may still be kept in the host's memory for this job.
    room: Rc<Cell<u64>>,
    /// Names files.
    files: u64,
}

struct Job {
    spec: Spec,
    functions: Result<Functions, String>,
}

impl Slot {
    fn told(&mut self, message: ToSlot) -> Result<(), places::Error> {
        match message {
            ToSlot::Begin { .. } => {}
            ToSlot::Job(spec) => {
                self.room.set(spec.buffer);
                ARGS.set(spec.args.clone().into());
                self.job = Some(Job { functions: Functions::of(&spec), spec });
            }
            ToSlot::Inlet { worker, inlet } => drop(self.inlets.insert(worker, inlet)),
            ToSlot::Lost { worker } => drop(self.inlets.remove(&worker)),
            // Of a reduce task that is over.
            ToSlot::Outputs { .. } | ToSlot::Keep { .. } => {}
            ToSlot::Map { task, attempt, input } => {
                let at = Try { kind: Kind::Map, task, attempt };
                self.task(at, |slot, spec, functions| slot.map(spec, functions, at, input))?;
            }
            ToSlot::Reduce { task, attempt, maps, out } => {
                let at = Try { kind: Kind::Reduce, task, attempt };
                self.task(at, |slot, spec, functions| slot.reduce(spec, functions, at, maps, out))?;
            }
        }
        Ok(())
    }

    /// Does a task, and says what came of it.
    fn task(&mut self, at: Try, work: impl FnOnce(&mut Self, &Spec, Functions) -> Result<FromSlot, String>) -> Result<(), places::Error> {
        let Some(Job { spec, functions }) = self.job.take() else { return Err(places::Error::Invalid("a task without a job".into())) };
        POSITION.set(None);
        let said = functions.clone().and_then(|functions| work(self, &spec, functions));
        let said = said.unwrap_or_else(|error| {
            let offset = POSITION.get().filter(|_| at.kind == Kind::Map);
            FromSlot::Said { job: spec.job, said: Said::Failed { at, error, offset } }
        });
        POSITION.set(None);
        self.job = Some(Job { spec, functions });
        self.agent.put(said)
    }

    fn store(&mut self, spec: &Spec) -> Store {
        self.files += 1;
        let path = |dir: &String| format!("{dir}/{}{}-{}", files(self.worker, spec.job), self.slot, self.files);
        Store::new(Rc::clone(&self.room), spec.scratch.as_ref().map(path))
    }

    fn map(&mut self, spec: &Spec, functions: Functions, at: Try, input: Input) -> Result<FromSlot, String> {
        let began = Instant::now();
        let bytes_in = match &input {
            Input::Value(value) => value.0.len() as u64,
            Input::Split { len, .. } => *len,
        };
        let parts = Parts {
            parts: spec.parts,
            part: functions.partitioner.map(|partitioner| partitioner.part()),
            buffer: spec.buffer as usize,
            store: self.store(spec),
            runs: Vec::new(),
            written: 0,
        };
        let mut records = input::open(input)?;
        let combiner = functions.combiner.map(|combiner| combiner.as_any());
        let (done, records_in) = functions.mapper.map(&mut *records, combiner, parts)?;
        let stats = Stats {
            records_in,
            records_out: done.records,
            bytes_in,
            bytes_out: done.bytes,
            spilled: done.spilled,
            millis: began.elapsed().as_millis() as u64,
        };
        Ok(FromSlot::Mapped { job: spec.job, task: at.task, attempt: at.attempt, stats, runs: done.runs })
    }

    fn reduce(
        &mut self,
        spec: &Spec,
        functions: Functions,
        at: Try,
        maps: u32,
        out: Option<Channel<Bytes, Bytes>>,
    ) -> Result<FromSlot, String> {
        let began = Instant::now();
        let mut store = self.store(spec);
        let fetched = Fetch::new(self, spec, at.task, maps).run(&mut store)?;
        let said = Said::Fetched { task: at.task, attempt: at.attempt };
        self.agent.put(FromSlot::Said { job: spec.job, said }).map_err(|error| error.to_string())?;
        let groups = Groups::new(sources::merge(fetched.sources, spec.buffer, &mut store)?);
        let mut own = None;
        let put: Put = match (out, &spec.output) {
            (Some(out), _) => Box::new(move |bytes: &[u8]| out.put(bytes).map_err(|error| format!("nobody takes the results: {error}"))),
            (None, Some(output)) => {
                let target = Target::open(output)?;
                let sink = Rc::new(RefCell::new(target.part(at.task, at.attempt)?));
                own = Some((target, Rc::clone(&sink)));
                Box::new(move |bytes: &[u8]| sink.borrow_mut().write(bytes))
            }
            (None, None) => return Err("a reduce task was not told where its results go".into()),
        };
        let (done, records_in) = match functions.reducer {
            Some(reducer) => reducer.reduce(groups, spec.lines, put)?,
            None => functions.mapper.pass(groups, spec.lines, put)?,
        };
        let stats = Stats {
            records_in,
            records_out: done.records,
            bytes_in: fetched.bytes,
            bytes_out: done.bytes,
            spilled: store.spilled(),
            millis: began.elapsed().as_millis() as u64,
        };
        let said = FromSlot::Said { job: spec.job, said: Said::Reduced { task: at.task, attempt: at.attempt, stats } };
        let Some((target, sink)) = own else { return Ok(said) };
        self.agent.put(said).map_err(|error| error.to_string())?;
        self.wait_to_keep(at).map_err(|error| error.to_string())?;
        let sink = Rc::into_inner(sink).ok_or("a reduce task still writes")?.into_inner();
        let name = target.keep(at.task, sink)?.unwrap_or_default();
        Ok(FromSlot::Said { job: spec.job, said: Said::Kept { task: at.task, attempt: at.attempt, name } })
    }

    /// Waits until what a reduce task has written shall get its name. Where that of another copy does, this place is ended.
    fn wait_to_keep(&mut self, at: Try) -> Result<(), places::Error> {
        loop {
            match self.agent.get()? {
                ToSlot::Keep { task, attempt } if (task, attempt) == (at.task, at.attempt) => return Ok(()),
                message => self.told(message)?,
            }
        }
    }
}

/// What the names of a job's files begin with.
pub(crate) fn files(worker: u32, job: u64) -> String {
    format!("mapreduce-{worker}-{job}-")
}
