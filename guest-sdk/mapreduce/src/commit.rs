//! What the reduce tasks of a job have put out, until it is the result: of each task what one try did, and nothing of the others.
//!
//! Who writes are the tasks themselves, where the job says so, and else the place that runs the job, to which all comes. It knows neither
//! channels nor workers: the coordinator brings what has come, and tells workers what is to be kept.

use std::collections::BTreeMap;

use places::{Level, log};

use crate::job::Order;
use crate::output::{Sink, Target};
use crate::plan::Site;
use crate::wire::{Spec, Stats, Try};

pub(crate) struct Commit {
    /// Where this place writes the results, if it does.
    target: Option<Target>,
    /// Reduce tasks write theirs themselves.
    by_workers: bool,
    /// What tries have put out so far, by task and attempt.
    tries: BTreeMap<(u32, u32), Out>,
    /// What those of them have put out that are done.
    done: BTreeMap<u32, Sink>,
    /// The attempts whose own output is about to get its name.
    keeping: BTreeMap<u32, u32>,
    /// The parts of the output that have their names, with the workers that wrote them; none for this place.
    kept: BTreeMap<u32, (String, Option<u32>)>,
}

struct Out {
    /// Absent where the task writes itself.
    sink: Option<Sink>,
    /// Nothing more comes.
    closed: bool,
    /// The task says that it is done.
    stats: Option<(Site, Stats)>,
}

impl Commit {
    /// Of a job that has not begun.
    ///
    /// # Errors
    /// Its output is there already, or cannot be written.
    pub(crate) fn new(spec: &Spec, order: &Order) -> Result<Self, String> {
        let by_workers = spec.output.is_some();
        let target = order.output.as_deref().filter(|_| !by_workers).map(Target::open).transpose()?;
        if let Some(target) = &target {
            target.check_writable()?;
            target.check_empty()?;
        }
        Ok(Self { target, by_workers, tries: BTreeMap::new(), done: BTreeMap::new(), keeping: BTreeMap::new(), kept: BTreeMap::new() })
    }

    /// A try of a reduce task begins; whether what it puts out comes here.
    pub(crate) fn begin(&mut self, task: u32, attempt: u32) -> Result<bool, String> {
        let sink = match (&self.target, self.by_workers) {
            (_, true) => None,
            (Some(target), _) => Some(target.part(task, attempt)?),
            (None, _) => Some(Sink::Memory(Vec::new())),
        };
        let comes = sink.is_some();
        self.tries.insert((task, attempt), Out { closed: !comes, sink, stats: None });
        Ok(comes)
    }

    /// Some of it has come.
    pub(crate) fn write(&mut self, task: u32, attempt: u32, bytes: &[u8]) -> Result<(), String> {
        let sink = self.tries.get_mut(&(task, attempt)).and_then(|out| out.sink.as_mut());
        sink.map_or(Ok(()), |sink| sink.write(bytes))
    }

    /// No more of it comes.
    pub(crate) fn close(&mut self, task: u32, attempt: u32) {
        if let Some(out) = self.tries.get_mut(&(task, attempt)) {
            out.closed = true;
        }
    }

    /// A try says that it is done.
    pub(crate) fn say_done(&mut self, task: u32, attempt: u32, site: Site, stats: Stats) {
        if let Some(out) = self.tries.get_mut(&(task, attempt)) {
            out.stats = Some((site, stats));
        }
    }

    /// Whether a try has said that it is done, and nothing is wanted of it any more.
    pub(crate) fn has_said_all(&self, at: Try) -> bool {
        !self.by_workers && self.tries.get(&(at.task, at.attempt)).is_some_and(|out| out.stats.is_some())
    }

    /// Those that have said so on a worker, and whose results may be cut short.
    pub(crate) fn unsettled_of(&self, worker: u32) -> Vec<(u32, u32)> {
        let of_it = |out: &Out| out.stats.as_ref().is_some_and(|(site, _)| site.worker == worker);
        self.tries.iter().filter(|(_, out)| of_it(out)).map(|(key, _)| *key).collect()
    }

    /// Where and how a try was done, if it says so and all that it has put out has come.
    pub(crate) fn whole(&self, task: u32, attempt: u32) -> Option<(Site, Stats)> {
        self.tries.get(&(task, attempt)).filter(|out| out.closed)?.stats.clone()
    }

    /// What a try has put out is the task's.
    pub(crate) fn accept(&mut self, task: u32, attempt: u32) -> Result<(), String> {
        match (self.take(task, attempt), &self.target) {
            (Some(sink), Some(target)) if target.keeps_at_once() => {
                let name = target.keep(task, sink)?.unwrap_or_default();
                self.kept.insert(task, (name, None));
            }
            (Some(sink), _) => drop(self.done.insert(task, sink)),
            (None, _) => {}
        }
        Ok(())
    }

    /// What a try has put out is not wanted.
    pub(crate) fn discard(&mut self, task: u32, attempt: u32) {
        if let Some(sink) = self.take(task, attempt) {
            sink.discard();
        }
    }

    fn take(&mut self, task: u32, attempt: u32) -> Option<Sink> {
        if self.keeping.get(&task) == Some(&attempt) {
            self.keeping.remove(&task);
        }
        self.tries.remove(&(task, attempt)).and_then(|out| out.sink)
    }

    /// Who is to give its own output its name now, as the only one of the task's tries; if none does, and none has.
    pub(crate) fn next_to_keep(&mut self, task: u32) -> Option<(u32, Site)> {
        if !self.by_workers || self.keeping.contains_key(&task) || self.kept.contains_key(&task) {
            return None;
        }
        let done = |((_, attempt), out): (&(u32, u32), &Out)| Some((*attempt, out.stats.as_ref()?.0));
        let (attempt, site) = self.tries.range((task, 0)..=(task, u32::MAX)).find_map(done)?;
        self.keeping.insert(task, attempt);
        Some((attempt, site))
    }

    /// What a task has written itself has its name.
    pub(crate) fn is_kept(&mut self, task: u32, name: String, worker: u32) {
        self.keeping.remove(&task);
        self.kept.insert(task, (name, Some(worker)));
    }

    /// The parts that have their names, by those workers.
    pub(crate) fn kept_by(&self, mut which: impl FnMut(u32) -> bool) -> Vec<u32> {
        let kept = self.kept.iter().filter_map(|(part, (_, by))| by.map(|by| (*part, by)));
        kept.filter(|(_, by)| which(*by)).map(|(part, _)| part).collect()
    }

    /// Nothing more comes. Of what is not the result nothing is left.
    pub(crate) fn end_tries(&mut self) -> Vec<(u32, u32)> {
        let tries: Vec<_> = self.tries.keys().copied().collect();
        tries.iter().for_each(|(task, attempt)| self.discard(*task, *attempt));
        tries
    }

    /// Gives the results their names: what they are, and the names.
    ///
    /// # Errors
    /// One cannot have its name. Nothing is left then of what this place has written.
    pub(crate) fn finish(&mut self) -> Result<(Vec<Vec<u8>>, Vec<String>), String> {
        let mut results = Vec::new();
        while let Some((part, sink)) = self.done.pop_first() {
            match (sink, &self.target) {
                (Sink::Memory(bytes), _) => results.push(bytes),
                (sink, Some(target)) => match target.keep(part, sink) {
                    Ok(name) => drop(self.kept.insert(part, (name.unwrap_or_default(), None))),
                    Err(error) => {
                        self.undo();
                        return Err(error);
                    }
                },
                (sink, None) => sink.discard(),
            }
        }
        Ok((results, std::mem::take(&mut self.kept).into_values().map(|(name, _)| name).collect()))
    }

    /// Removes what this place has written, of a job that has failed.
    pub(crate) fn undo(&mut self) {
        std::mem::take(&mut self.done).into_values().for_each(Sink::discard);
        let Some(target) = &self.target else { return };
        for (part, (name, _)) in &self.kept {
            if let Err(error) = target.remove(*part) {
                log(Level::Warn, format_args!("`{name}`, of a job that failed, is left: {error}"));
            }
        }
    }
}
