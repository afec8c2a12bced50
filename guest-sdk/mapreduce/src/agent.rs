//! The place that a worker's slots hang on: it starts them, relays between them and the coordinator, and has what its map tasks put out.
//!
//! It never computes, so whoever asks it for something is answered at once.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::Path;

use places::{Channel, Error, Happened, Level, Module, Options, Packet, Place, Selector, Value, log, spawn};

use crate::files;
use crate::objects;
use crate::output::Target;
use crate::run::Run;
use crate::slot::{self, mapreduce_slot};
use crate::sources::piece;
use crate::wire::{
    self, Caller, Find, FromAgent, FromSlot, Given, Inlet, Kind, Page, Piece, Raw, Reason, Said, Spec, ToAgent, ToSlot, Try, Want,
};

/// From this size on an answer has no further block.
const ANSWER: usize = 512 << 10;
/// An answer has no more pieces than this: each is a handle.
const PIECES: usize = 256;

/// Runs the slots of one worker. Started by the coordinator; no program has a use for it.
#[places::start]
pub(crate) fn mapreduce_agent(ch: Channel<ToAgent, FromAgent>) -> places::Result {
    let ToAgent::Begin { worker, slots, memory } = ch.get()? else { return Err("an agent is told to begin first".into()) };
    let (inlet, read) = Channel::pair::<(), Caller>()?;
    ch.put(FromAgent::Ready { inlet: inlet.clone(), scratch: places::scratch().is_ok() })?;
    let mut selector = Selector::new();
    selector.add(Key::Coordinator, ch)?;
    selector.add(Key::Inlet, read)?;
    let slots = (0..2 * slots).map(|_| None).collect();
    let inlets = [(worker, inlet)].into();
    let agent = Agent { worker, memory, selector, slots, job: None, inlets, outputs: BTreeMap::new(), near: BTreeMap::new(), callers: 0 };
    agent.run()
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Coordinator,
    Inlet,
    Slot(u32),
    Caller(u64),
}

struct Agent {
    worker: u32,
    memory: Option<u64>,
    selector: Selector<Key>,
    slots: Vec<Option<Slot>>,
    job: Option<Spec>,
    inlets: BTreeMap<u32, Inlet>,
    /// By map task and attempt.
    outputs: BTreeMap<(u32, u32), Vec<Run<Page>>>,
    /// Whether a caller is a slot of this agent.
    near: BTreeMap<u64, bool>,
    callers: u64,
}

struct Slot {
    place: Place<FromSlot, ToSlot>,
    /// What it does, and what it has before it.
    tries: VecDeque<Try>,
    /// Where it was when it panicked.
    offset: Option<u64>,
}

impl Agent {
    fn run(mut self) -> places::Result {
        loop {
            for (key, happened) in self.selector.wait(64)? {
                match (key, happened) {
                    (Key::Coordinator, Happened::Message(mut message)) => self.told(message.read()?)?,
                    // The coordinator is gone, and the job with it.
                    (Key::Coordinator, _) => return Ok(()),
                    (Key::Inlet, Happened::Message(mut message)) => self.called(message.read()?)?,
                    (Key::Inlet, _) => {}
                    (Key::Slot(slot), Happened::Message(message)) => self.said(slot, message)?,
                    (Key::Slot(slot), _) => self.ended(slot)?,
                    (Key::Caller(caller), Happened::Message(mut message)) => {
                        let want = message.read()?;
                        let given = self.give(caller, &want);
                        self.selector.put(&Key::Caller(caller), Value(given))?;
                    }
                    (Key::Caller(caller), _) => {
                        self.near.remove(&caller);
                        self.selector.remove(&Key::Caller(caller));
                    }
                }
            }
        }
    }

    fn tell(&mut self, message: FromAgent) -> Result<(), Error> {
        self.selector.put(&Key::Coordinator, Value(message))
    }

    fn told(&mut self, message: ToAgent) -> places::Result {
        match message {
            ToAgent::Begin { .. } => return Err("an agent begins once".into()),
            ToAgent::Find(find) => self.tell(FromAgent::Files { list: find.list, found: found(&find) })?,
            ToAgent::Job(spec) => {
                self.job = Some(spec.clone());
                self.tell_slots(|_| ToSlot::Job(spec.clone()))?;
            }
            ToAgent::Inlet { worker, inlet } => {
                self.inlets.insert(worker, inlet.clone());
                self.tell_slots(|_| ToSlot::Inlet { worker, inlet: inlet.clone() })?;
            }
            ToAgent::Lost { worker } => {
                self.inlets.remove(&worker);
                self.tell_slots(|_| ToSlot::Lost { worker })?;
            }
            ToAgent::Map { slot, task, attempt, input } => {
                self.task(slot, Try { kind: Kind::Map, task, attempt }, ToSlot::Map { task, attempt, input })?;
            }
            ToAgent::Reduce { slot, task, attempt, maps, out } => {
                self.task(slot, Try { kind: Kind::Reduce, task, attempt }, ToSlot::Reduce { task, attempt, maps, out })?;
            }
            ToAgent::Keep { slot, task, attempt } => {
                // One that has ended says so itself.
                if self.slots[slot as usize].is_some() {
                    self.selector.put(&Key::Slot(slot), Value(ToSlot::Keep { task, attempt }))?;
                }
            }
            ToAgent::Outputs { slot, task, outputs } => {
                if self.slots[slot as usize].is_some() {
                    self.selector.put(&Key::Slot(slot), Value(ToSlot::Outputs { task, outputs }))?;
                }
            }
            ToAgent::Kill { slot } => {
                if let Some(slot) = &self.slots[slot as usize] {
                    slot.place.kill();
                }
            }
            ToAgent::Over { job, remove, sweep } => self.over(job, &remove, sweep)?,
        }
        Ok(())
    }

    fn tell_slots(&mut self, message: impl Fn(u32) -> ToSlot) -> Result<(), Error> {
        for slot in 0..self.slots.len() as u32 {
            if self.slots[slot as usize].is_some() {
                self.selector.put(&Key::Slot(slot), Value(message(slot)))?;
            }
        }
        Ok(())
    }

    /// Gives a task to a slot, which is started if it is not there.
    fn task(&mut self, slot: u32, at: Try, task: ToSlot) -> Result<(), Error> {
        if self.slots[slot as usize].is_none()
            && let Err(error) = self.start(slot)
        {
            let text = format!("could not be started: {error}");
            return self.say_ended(slot, vec![at], Reason { text, backtrace: String::new() }, None);
        }
        if let Some(slot) = &mut self.slots[slot as usize] {
            slot.tries.push_back(at);
        }
        self.selector.put(&Key::Slot(slot), Value(task))
    }

    fn start(&mut self, slot: u32) -> Result<(), Error> {
        let mut options = Options::new();
        if let Some(memory) = self.memory {
            options = options.memory(memory);
        }
        let place: Place<FromSlot, ToSlot> = spawn(Module::This, mapreduce_slot::NAME, options)?.typed();
        self.selector.add(Key::Slot(slot), place.channel().clone())?;
        self.slots[slot as usize] = Some(Slot { place, tries: VecDeque::new(), offset: None });
        let job = self.job.iter().map(|spec| ToSlot::Job(spec.clone()));
        let inlets = self.inlets.iter().map(|(worker, inlet)| ToSlot::Inlet { worker: *worker, inlet: inlet.clone() });
        let first: Vec<_> = [ToSlot::Begin { worker: self.worker, slot }].into_iter().chain(inlets).chain(job).collect();
        first.into_iter().try_for_each(|message| self.selector.put(&Key::Slot(slot), Value(message)))
    }

    fn said(&mut self, slot: u32, mut message: Packet) -> places::Result {
        match message.read()? {
            FromSlot::Mapped { job, task, attempt, stats, runs } => {
                self.answered(slot);
                if self.job.as_ref().is_some_and(|spec| spec.job == job) {
                    let parts = self.job.as_ref().map_or(0, |spec| spec.parts as usize);
                    let mut bytes = vec![0; parts];
                    for run in &runs {
                        for (sum, blocks) in bytes.iter_mut().zip(&run.parts) {
                            *sum += blocks.iter().map(|block| u64::from(block.len)).sum::<u64>();
                        }
                    }
                    self.outputs.insert((task, attempt), runs);
                    self.tell(FromAgent::Mapped { job, slot, task, attempt, stats, bytes })?;
                }
            }
            FromSlot::Said { job, said } => {
                // One that has written its results itself waits for what becomes of them.
                let keeps = self.job.as_ref().is_some_and(|spec| spec.output.is_some());
                if matches!(said, Said::Failed { .. } | Said::Kept { .. }) || (matches!(said, Said::Reduced { .. }) && !keeps) {
                    self.answered(slot);
                }
                self.tell(FromAgent::Said { slot, job, said })?;
            }
            FromSlot::Panics { offset } => {
                if let Some(slot) = &mut self.slots[slot as usize] {
                    slot.offset = Some(offset);
                }
            }
        }
        Ok(())
    }

    fn answered(&mut self, slot: u32) {
        if let Some(slot) = &mut self.slots[slot as usize] {
            slot.tries.pop_front();
        }
    }

    /// A slot says no more: it has ended.
    fn ended(&mut self, slot: u32) -> Result<(), Error> {
        self.selector.remove(&Key::Slot(slot));
        let Some(Slot { place, tries, offset }) = self.slots[slot as usize].take() else { return Ok(()) };
        self.say_ended(slot, tries.into(), place.wait().into(), offset)
    }

    fn say_ended(&mut self, slot: u32, tries: Vec<Try>, reason: Reason, offset: Option<u64>) -> Result<(), Error> {
        let job = self.job.as_ref().map_or(0, |spec| spec.job);
        self.tell(FromAgent::Ended { job, slot, tries, reason, offset })
    }

    fn called(&mut self, caller: Caller) -> Result<(), Error> {
        self.callers += 1;
        self.near.insert(self.callers, caller.near);
        self.selector.add(Key::Caller(self.callers), caller.line)
    }

    fn give(&self, caller: u64, want: &Want) -> Given {
        let near = self.near.get(&caller).copied().unwrap_or_default();
        let here = self.job.as_ref().is_some_and(|spec| spec.job == want.job);
        let pieces = self.outputs.get(&(want.map, want.attempt)).filter(|_| here).and_then(|runs| pieces(runs, want, near));
        let (pieces, next) = pieces.map_or((None, None), |(pieces, next)| (Some(pieces), next));
        Given { map: want.map, attempt: want.attempt, pieces, next }
    }

    /// Ends what still works, and lets go of what was kept, and of parts of the output.
    fn over(&mut self, job: u64, parts: &[u32], sweep: bool) -> Result<(), Error> {
        for (number, slot) in (0..).zip(&mut self.slots) {
            if let Some(busy) = slot.take_if(|slot| !slot.tries.is_empty()) {
                self.selector.remove(&Key::Slot(number));
                busy.place.kill();
            }
        }
        let spec = self.job.take();
        if let Some(output) = spec.and_then(|spec| spec.output)
            && (sweep || !parts.is_empty())
        {
            match Target::open(&output) {
                Ok(target) => {
                    parts.iter().for_each(|part| removed(&output, *part, target.remove(*part)));
                    if sweep {
                        target.sweep();
                    }
                }
                Err(error) => log(Level::Warn, format_args!("parts of a job that failed are left: {error}")),
            }
        }
        self.outputs.clear();
        // A slot that still reads has ended by now, or has nothing more to read.
        if let Ok(dir) = places::scratch() {
            remove(dir, &slot::files(self.worker, job));
        }
        self.tell(FromAgent::Over { job })
    }
}

fn removed(output: &str, part: u32, result: Result<(), String>) {
    if let Err(error) = result {
        log(Level::Warn, format_args!("part {part} of a job that failed is left in `{output}`: {error}"));
    }
}

/// What there is to read, if that is asked; and that this worker may read it and write the output.
fn found(find: &Find) -> Result<Vec<wire::Found>, String> {
    let found = match find.list {
        true => files::find(&find.patterns, find.split)?,
        false => {
            find.patterns.iter().filter(|pattern| objects::is_url(pattern)).try_for_each(|pattern| objects::check(pattern))?;
            Vec::new()
        }
    };
    if let Some(output) = &find.output {
        let target = Target::open(output)?;
        target.check_writable()?;
        if find.list {
            target.check_empty()?;
        }
    }
    Ok(found)
}

/// Removes the files whose names begin so. What cannot be removed goes with the directory.
fn remove(dir: &Path, begin: &str) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(begin)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Pieces with the numbers of their runs.
type Numbered = Vec<(u32, Piece)>;

/// A part of a map task's output, and where to go on. Who is near gets all of it, as it lies here; others a copy of some blocks.
fn pieces(runs: &[Run<Page>], want: &Want, near: bool) -> Option<(Numbered, Option<u32>)> {
    let blocks = (0..)
        .zip(runs)
        .flat_map(|(number, run)| run.parts.get(want.part as usize).into_iter().flatten().map(move |block| (number, run, *block)));
    let (mut pieces, mut bytes) = (Vec::new(), 0);
    for (at, (number, run, block)) in (0..).zip(blocks).skip(want.from as usize) {
        if bytes >= ANSWER || pieces.len() >= PIECES {
            return Some((pieces, Some(at)));
        }
        let piece = piece(&run.pages, block).ok()?;
        if near {
            pieces.push((number, piece));
        } else {
            let copy = copy(piece).ok()?;
            bytes += copy.len();
            pieces.push((number, Piece::Bytes(Raw(copy))));
        }
    }
    Some((pieces, None))
}

fn copy(piece: Piece) -> Result<Vec<u8>, String> {
    use crate::merge::Source;
    crate::sources::Pieces::new([piece]).next().map(Option::unwrap_or_default)
}
