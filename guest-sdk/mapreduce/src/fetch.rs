//! How a reduce task gets its input: its part of the output of each map task, from the agents that have them, as map tasks end.

use std::collections::{BTreeMap, VecDeque};

use places::{Channel, Error, Happened, Selector, Value};

use crate::slot::Slot;
use crate::sources::{Pieces, piece, size};
use crate::store::Store;
use crate::wire::{Caller, FromSlot, Given, Output, Page, Piece, Said, Spec, ToSlot, Want};

/// How many requests an agent has before it at a time; each is answered with half a mebibyte at most, or one block.
const AHEAD: usize = 4;

/// What was fetched.
pub(crate) struct Fetched {
    /// In the order of the map tasks.
    pub(crate) sources: Vec<Pieces>,
    pub(crate) bytes: u64,
}

pub(crate) struct Fetch<'a> {
    slot: &'a mut Slot,
    job: u64,
    part: u32,
    maps: u32,
    selector: Selector<Key>,
    /// What is there, by map task: pieces with their runs.
    there: BTreeMap<u32, Vec<(u32, Piece)>>,
    /// What has been asked for, or is about to be.
    under_way: BTreeMap<u32, UnderWay>,
    lines: BTreeMap<u32, Line>,
    /// Bytes that are held in this place's memory, and how many may be.
    held: u64,
    most: u64,
    bytes: u64,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Agent,
    Line(u32),
}

struct UnderWay {
    output: Output,
    pieces: Vec<(u32, Piece)>,
}

/// The way to an agent.
#[derive(Default)]
struct Line {
    /// Requests that it has before it.
    asked: usize,
    waiting: VecDeque<Want>,
}

impl<'a> Fetch<'a> {
    pub(crate) fn new(slot: &'a mut Slot, spec: &Spec, part: u32, maps: u32) -> Self {
        Self {
            slot,
            job: spec.job,
            part,
            maps,
            selector: Selector::new(),
            there: BTreeMap::new(),
            under_way: BTreeMap::new(),
            lines: BTreeMap::new(),
            held: 0,
            most: spec.buffer / 2,
            bytes: 0,
        }
    }

    pub(crate) fn run(mut self, store: &mut Store) -> Result<Fetched, String> {
        self.work(store).map_err(|error| match error {
            Failure::Channel(error) => format!("the input cannot be fetched: {error}"),
            Failure::Other(text) => text,
        })
    }

    fn work(&mut self, store: &mut Store) -> Result<Fetched, Failure> {
        self.selector.add(Key::Agent, self.slot.agent.clone())?;
        while (self.there.len() as u32) < self.maps {
            for (key, happened) in self.selector.wait(64)? {
                match (key, happened) {
                    (Key::Agent, Happened::Message(mut message)) => self.told(message.read()?)?,
                    (Key::Agent, _) => return Err(Failure::Other("its agent is gone".into())),
                    (Key::Line(worker), Happened::Message(mut message)) => {
                        let given = message.read()?;
                        self.given(worker, given, store)?;
                    }
                    (Key::Line(worker), _) => self.unreachable(worker)?,
                }
            }
        }
        // What lies in the channel from the agent is for whoever reads it next.
        drop(std::mem::take(&mut self.selector));
        let mut sources = Vec::new();
        for pieces in std::mem::take(&mut self.there).into_values() {
            let mut runs = BTreeMap::<u32, Vec<Piece>>::new();
            pieces.into_iter().for_each(|(run, piece)| runs.entry(run).or_default().push(piece));
            sources.extend(runs.into_values().map(Pieces::new));
        }
        Ok(Fetched { sources, bytes: self.bytes })
    }

    fn told(&mut self, message: ToSlot) -> Result<(), Failure> {
        match message {
            ToSlot::Outputs { task, outputs } if task == self.part => outputs.into_iter().try_for_each(|output| self.announced(output)),
            ToSlot::Inlet { worker, inlet } => {
                self.slot.inlets.insert(worker, inlet);
                Ok(())
            }
            ToSlot::Lost { worker } => {
                self.slot.inlets.remove(&worker);
                self.forget(worker);
                Ok(())
            }
            // Of the task before.
            _ => Ok(()),
        }
    }

    fn announced(&mut self, output: Output) -> Result<(), Failure> {
        let known = self.under_way.get(&output.map).is_some_and(|under_way| under_way.output == output);
        if known || self.there.contains_key(&output.map) {
            return Ok(());
        }
        if output.bytes == 0 {
            self.under_way.remove(&output.map);
            self.there.insert(output.map, Vec::new());
            return Ok(());
        }
        self.under_way.insert(output.map, UnderWay { output, pieces: Vec::new() });
        if !self.lines.contains_key(&output.worker) && !self.connect(output.worker)? {
            return self.unreachable(output.worker);
        }
        let want = Want { job: self.job, map: output.map, attempt: output.attempt, part: self.part, from: 0 };
        self.lines.entry(output.worker).or_default().waiting.push_back(want);
        self.ask(output.worker)
    }

    /// Opens a line to an agent; whether there was a way.
    fn connect(&mut self, worker: u32) -> Result<bool, Failure> {
        let Some(inlet) = self.slot.inlets.get(&worker) else { return Ok(false) };
        let (ours, theirs) = Channel::pair::<Given, Want>()?;
        if inlet.put(Caller { line: theirs, near: worker == self.slot.worker }).is_err() {
            return Ok(false);
        }
        self.selector.add(Key::Line(worker), ours)?;
        self.lines.insert(worker, Line::default());
        Ok(true)
    }

    fn ask(&mut self, worker: u32) -> Result<(), Failure> {
        let Some(line) = self.lines.get_mut(&worker) else { return Ok(()) };
        while line.asked < AHEAD
            && let Some(want) = line.waiting.pop_front()
        {
            line.asked += 1;
            self.selector.put(&Key::Line(worker), Value(want))?;
        }
        Ok(())
    }

    fn given(&mut self, worker: u32, given: Given, store: &mut Store) -> Result<(), Failure> {
        if let Some(line) = self.lines.get_mut(&worker) {
            line.asked = line.asked.saturating_sub(1);
        }
        let Given { map, attempt, pieces, next } = given;
        let of_this = |under_way: &&mut UnderWay| under_way.output.attempt == attempt && under_way.output.worker == worker;
        if let Some(under_way) = self.under_way.get_mut(&map).filter(of_this) {
            let Some(pieces) = pieces else {
                self.under_way.remove(&map);
                self.miss(worker, vec![(map, attempt)])?;
                return self.ask(worker);
            };
            for (run, piece) in pieces {
                self.bytes += size(&piece);
                let piece = match piece {
                    Piece::Bytes(bytes) if self.held + bytes.0.len() as u64 > self.most => {
                        let page = store.keep(&bytes.0).map_err(Failure::Other)?;
                        whole(page, bytes.0.len())?
                    }
                    piece => {
                        if let Piece::Bytes(bytes) = &piece {
                            self.held += bytes.0.len() as u64;
                        }
                        piece
                    }
                };
                under_way.pieces.push((run, piece));
            }
            match next {
                Some(from) => {
                    let want = Want { job: self.job, map, attempt, part: self.part, from };
                    self.lines.entry(worker).or_default().waiting.push_front(want);
                }
                None => {
                    let pieces = self.under_way.remove(&map).map(|under_way| under_way.pieces).unwrap_or_default();
                    self.there.insert(map, pieces);
                }
            }
        }
        self.ask(worker)
    }

    /// An agent does not answer any more, though nobody has said that it is lost: perhaps it is, perhaps only from here.
    fn unreachable(&mut self, worker: u32) -> Result<(), Failure> {
        let maps = self.forget(worker);
        self.miss(worker, maps)
    }

    fn miss(&mut self, worker: u32, maps: Vec<(u32, u32)>) -> Result<(), Failure> {
        if !maps.is_empty() {
            self.slot.agent.put(FromSlot::Said { job: self.job, said: Said::Missing { worker, maps } })?;
        }
        Ok(())
    }

    /// Forgets what was under way from a worker.
    fn forget(&mut self, worker: u32) -> Vec<(u32, u32)> {
        self.lines.remove(&worker);
        self.selector.remove(&Key::Line(worker));
        let gone: Vec<_> = self.under_way.extract_if(.., |_, under_way| under_way.output.worker == worker).collect();
        gone.iter().map(|(map, under_way)| (*map, under_way.output.attempt)).collect()
    }
}

/// A page that is one block.
fn whole(page: Page, len: usize) -> Result<Piece, Failure> {
    let len = u32::try_from(len).map_err(|_| Failure::Other("a block is too long".into()))?;
    piece(&[page], crate::run::Block { page: 0, offset: 0, len }).map_err(Failure::Other)
}

enum Failure {
    Channel(Error),
    Other(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Channel(error)
    }
}
