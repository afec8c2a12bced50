//! Runs a job: gives tasks to slots, hears of their ends, and of the ends of workers, and says what happens.
//!
//! What is to be done next the [`Plan`] decides. Map slots have the next task before them while they do one, so that nobody waits for a
//! message; reduce tasks are given out at once and wait for their input as it is made.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::time::Instant;

use places::{Bytes, Channel, ExitReason, Happened, Level, log};

use crate::commit::Commit;
use crate::error::{Error, TaskError};
use crate::event::{Count, Event, Progress, Slow, Summary};
use crate::job::{Order, What};
use crate::plan::{Plan, Site};
use crate::splits;
use crate::wire::{FromAgent, Input, Kind, Output, Reason, Said, Spec, Stats, ToAgent, Try};
use crate::workers::{Key, Workers};

/// How often progress is told and stragglers are looked for, in milliseconds.
const TICK: u64 = 200;
/// How many tasks a map slot has at a time: one that it does, and one before it.
const AHEAD: usize = 2;
/// How many of the slowest tasks the summary names.
const SLOWEST: usize = 5;

/// Runs a job on workers; the results, where they do not go to a directory.
pub(crate) fn run(
    workers: &mut Workers,
    spec: &Spec,
    what: What,
    order: &Order,
    event: &mut dyn FnMut(Event),
) -> Result<(Summary, Vec<Vec<u8>>), Error> {
    let began = Instant::now();
    let commit = Commit::new(spec, order)?;
    let inputs = splits::of(workers, what, order, spec.output.as_deref(), event)?;
    let mut coordinator = Coordinator {
        plan: Plan::new(inputs.len() as u32, spec.parts),
        outputs: inputs.iter().map(|_| None).collect(),
        inputs,
        queues: BTreeMap::new(),
        commit,
        fresh: Vec::new(),
        misses: BTreeMap::new(),
        read: BTreeSet::new(),
        summary: Summary::default(),
        told: None,
        lost: 0,
        workers,
        spec,
        order,
        event,
        began,
    };
    let result = coordinator.work();
    let results = coordinator.end(result)?;
    Ok((coordinator.summary, results))
}

struct Coordinator<'a> {
    workers: &'a mut Workers,
    spec: &'a Spec,
    order: &'a Order,
    event: &'a mut dyn FnMut(Event),
    plan: Plan,
    inputs: Vec<Input>,
    /// What each slot has before it; the first is what it does.
    queues: BTreeMap<Site, VecDeque<Try>>,
    /// Where map tasks' outputs are: attempt, worker, bytes for each reduce task.
    outputs: Vec<Option<(u32, u32, Vec<u64>)>>,
    /// Map tasks of which the reduce tasks have not been told.
    fresh: Vec<u32>,
    /// What the reduce tasks have put out.
    commit: Commit,
    /// The map tasks that count in the summary.
    read: BTreeSet<u32>,
    /// The attempts of each map task whose output could not be fetched though their worker was there.
    misses: BTreeMap<u32, BTreeSet<u32>>,
    summary: Summary,
    told: Option<Progress>,
    lost: u32,
    began: Instant,
}

impl Coordinator<'_> {
    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    fn work(&mut self) -> Result<(), Error> {
        for worker in self.workers.living() {
            self.workers.tell(worker, ToAgent::Job(self.spec.clone()))?;
        }
        let bytes = self.inputs.iter().map(|input| if let Input::Split { len, .. } = input { *len } else { 0 }).sum();
        (self.event)(Event::Planned { maps: self.inputs.len() as u32, reduces: self.spec.parts, bytes });
        let mut tick = 0;
        while !self.plan.is_done() {
            if self.workers.living().is_empty() {
                return Err(Error::Cannot("no worker is left".into()));
            }
            self.assign()?;
            self.announce()?;
            let now = self.now();
            if now >= tick {
                tick = now + TICK;
                self.progress();
                self.speculate()?;
            }
            for (key, happened) in self.workers.wait(tick - now.min(tick) + 1)? {
                self.handle(key, happened)?;
            }
        }
        Ok(())
    }

    /// Gives tasks to slots that have room for them.
    fn assign(&mut self) -> Result<(), Error> {
        for depth in 1..=AHEAD {
            for worker in self.workers.living() {
                for slot in 0..2 * self.workers.agents[worker as usize].slots {
                    let site = Site { worker, slot };
                    let kind = if slot % 2 == 0 { Kind::Map } else { Kind::Reduce };
                    let queued = self.queues.get(&site).map_or(0, VecDeque::len);
                    if queued < depth
                        && (kind == Kind::Map || depth == 1)
                        && let Some(at) = self.plan.give(kind, site)
                    {
                        self.send(at, site)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, at: Try, site: Site) -> Result<(), Error> {
        let Try { kind, task, attempt } = at;
        let Site { worker, slot } = site;
        match kind {
            Kind::Map => {
                let input = self.inputs[task as usize].clone();
                self.workers.tell(worker, ToAgent::Map { slot, task, attempt, input })?;
            }
            Kind::Reduce => {
                let maps = self.inputs.len() as u32;
                let mut out = None;
                if self.commit.begin(task, attempt)? {
                    let (ours, theirs) = Channel::pair::<Bytes, Bytes>()?;
                    self.workers.selector.add(Key::Out(task, attempt), ours)?;
                    out = Some(theirs);
                }
                self.workers.tell(worker, ToAgent::Reduce { slot, task, attempt, maps, out })?;
                let known: Vec<u32> = (0..maps).filter(|map| self.outputs[*map as usize].is_some()).collect();
                self.announce_to(site, task, &known)?;
            }
        }
        let queue = self.queues.entry(site).or_default();
        queue.push_back(at);
        if queue.len() == 1 {
            self.begins(site);
        }
        Ok(())
    }

    /// Tells the reduce tasks that run of the map tasks that are done since.
    fn announce(&mut self) -> Result<(), Error> {
        let fresh = mem::take(&mut self.fresh);
        if fresh.is_empty() {
            return Ok(());
        }
        let running =
            self.queues.iter().filter_map(|(site, queue)| queue.front().filter(|at| at.kind == Kind::Reduce).map(|at| (*site, at.task)));
        for (site, task) in running.collect::<Vec<_>>() {
            self.announce_to(site, task, &fresh)?;
        }
        Ok(())
    }

    fn announce_to(&mut self, site: Site, task: u32, maps: &[u32]) -> Result<(), Error> {
        let output = |map: &u32| {
            let (attempt, worker, bytes) = self.outputs[*map as usize].as_ref()?;
            Some(Output { map: *map, attempt: *attempt, worker: *worker, bytes: bytes[task as usize] })
        };
        let outputs: Vec<_> = maps.iter().filter_map(output).collect();
        if outputs.is_empty() {
            return Ok(());
        }
        self.workers.tell(site.worker, ToAgent::Outputs { slot: site.slot, task, outputs })
    }

    /// A slot gets to the first task in its queue.
    fn begins(&mut self, site: Site) {
        let Some(&at) = self.queues.get(&site).and_then(VecDeque::front) else { return };
        let now = self.now();
        self.plan.began(at, now);
        if self.order.verbose {
            let Try { kind, task, attempt } = at;
            let Site { worker, slot } = site;
            let input = self.input(kind, task);
            (self.event)(Event::TaskBegan { at: now, kind, task, attempt, worker, slot, input });
        }
    }

    /// What a task works on, for people.
    fn input(&self, kind: Kind, task: u32) -> String {
        match (kind, self.inputs.get(task as usize)) {
            (Kind::Map, Some(Input::Split { path, offset, len, .. })) => format!("{path} @ {offset} + {len}"),
            (Kind::Map, _) => format!("value {task}"),
            (Kind::Reduce, _) => format!("partition {task}"),
        }
    }

    fn handle(&mut self, key: Key, happened: Happened) -> Result<(), Error> {
        match (key, happened) {
            (Key::Control, _) => Err(Error::Interrupted),
            // One that was lost by what came before in the same batch.
            (Key::Agent(worker), _) if !self.workers.agents[worker as usize].alive => Ok(()),
            (Key::Agent(worker), Happened::Message(mut message)) => self.said(worker, message.read()?),
            (Key::Agent(worker), _) => self.lost(worker),
            (Key::Out(task, attempt), Happened::Message(message)) => Ok(self.commit.write(task, attempt, message.bytes())?),
            (Key::Out(task, attempt), _) => {
                self.commit.close(task, attempt);
                self.reduced(task, attempt)
            }
        }
    }

    fn said(&mut self, worker: u32, message: FromAgent) -> Result<(), Error> {
        let current = self.spec.job;
        match message {
            FromAgent::Mapped { job, slot, task, attempt, stats, bytes } if job == current => {
                let (at, site) = (Try { kind: Kind::Map, task, attempt }, Site { worker, slot });
                self.answered(at, site);
                if self.done(at, site, &stats)? {
                    self.outputs[task as usize] = Some((attempt, worker, bytes));
                    self.fresh.push(task);
                }
                Ok(())
            }
            FromAgent::Said { slot, job, said } if job == current => {
                let site = Site { worker, slot };
                match said {
                    Said::Failed { at, error, offset } => {
                        self.answered(at, site);
                        self.failed(at, Reason { text: error, backtrace: String::new() }, offset)
                    }
                    Said::Fetched { task, attempt } => {
                        self.plan.fetched(Try { kind: Kind::Reduce, task, attempt });
                        Ok(())
                    }
                    Said::Reduced { task, attempt, stats } => {
                        self.commit.say_done(task, attempt, site, stats);
                        if self.spec.output.is_some() {
                            return self.keep_next(task);
                        }
                        self.answered(Try { kind: Kind::Reduce, task, attempt }, site);
                        self.reduced(task, attempt)
                    }
                    Said::Kept { task, attempt, name } => {
                        self.answered(Try { kind: Kind::Reduce, task, attempt }, site);
                        self.commit.is_kept(task, name, worker);
                        self.reduced(task, attempt)
                    }
                    Said::Missing { worker, maps } => {
                        for (map, attempt) in &maps {
                            let misses = self.misses.entry(*map).or_default();
                            misses.insert(*attempt);
                            let misses = misses.len() as u32;
                            if misses > 2 * self.order.attempts {
                                let (from, to) =
                                    (&self.workers.agents[worker as usize].name, &self.workers.agents[site.worker as usize].name);
                                return Err(Error::Cannot(format!(
                                    "what map task {map} ({}) has put out could not be fetched {misses} times, at last from worker {worker} `{from}` by worker {} `{to}`",
                                    self.input(Kind::Map, *map),
                                    site.worker
                                )));
                            }
                        }
                        let maps: BTreeSet<_> = maps.into_iter().collect();
                        self.unavailable(|map, (attempt, on)| on == worker && maps.contains(&(map, attempt)));
                        Ok(())
                    }
                }
            }
            FromAgent::Ended { job, slot, tries, reason, offset } if job == current => {
                self.slot_ended(Site { worker, slot }, tries, reason, offset)
            }
            // Of a job before.
            _ => Ok(()),
        }
    }

    /// A slot has done with a task, and gets to the next.
    fn answered(&mut self, at: Try, site: Site) {
        if let Some(queue) = self.queues.get_mut(&site) {
            queue.retain(|queued| *queued != at);
            self.begins(site);
        }
    }

    /// A try has come to its end; whether it was the first of its task.
    fn done(&mut self, at: Try, site: Site, stats: &Stats) -> Result<bool, Error> {
        let now = self.now();
        let Some((copy, others)) = self.plan.done(at, now) else { return Ok(false) };
        for other in others {
            let front = self.queues.get(&other.site).and_then(VecDeque::front);
            if front.is_some_and(|front| (front.kind, front.task, front.attempt) == (at.kind, at.task, other.attempt)) {
                self.workers.tell(other.site.worker, ToAgent::Kill { slot: other.site.slot })?;
            }
        }
        let Try { kind, task, attempt } = at;
        let Site { worker, slot } = site;
        let millis = now.saturating_sub(copy.began.unwrap_or(now));
        let input = self.input(kind, task);
        match kind {
            Kind::Map if self.read.insert(task) => {
                self.summary.records_in += stats.records_in;
                self.summary.bytes_in += stats.bytes_in;
                self.summary.shuffled += stats.bytes_out;
                self.summary.records_shuffled += stats.records_out;
            }
            // It ran before, and what it had put out was lost.
            Kind::Map => {}
            Kind::Reduce => {
                self.summary.records_out += stats.records_out;
                self.summary.bytes_out += stats.bytes_out;
            }
        }
        self.summary.spilled += stats.spilled;
        let slowest = &mut self.summary.slowest;
        if slowest.len() < SLOWEST || slowest.last().is_some_and(|last| last.millis < millis) {
            let name = self.workers.agents[worker as usize].name.clone();
            slowest.push(Slow { kind, task, worker, name, input: input.clone(), millis });
            slowest.sort_by_key(|slow| std::cmp::Reverse(slow.millis));
            slowest.truncate(SLOWEST);
        }
        if self.order.verbose {
            let Stats { records_in, records_out, bytes_in, bytes_out, spilled, .. } = *stats;
            (self.event)(Event::TaskEnded {
                at: now,
                kind,
                task,
                attempt,
                worker,
                slot,
                input,
                millis,
                records_in,
                records_out,
                bytes_in,
                bytes_out,
                spilled,
            });
        }
        Ok(true)
    }

    /// A reduce task is done when it says so and all that it has put out has come.
    fn reduced(&mut self, task: u32, attempt: u32) -> Result<(), Error> {
        let Some((site, stats)) = self.commit.whole(task, attempt) else { return Ok(()) };
        let first = self.done(Try { kind: Kind::Reduce, task, attempt }, site, &stats)?;
        self.workers.selector.remove(&Key::Out(task, attempt));
        match first {
            true => self.commit.accept(task, attempt)?,
            false => self.commit.discard(task, attempt),
        }
        Ok(())
    }

    /// Has a copy of a reduce task that has written its results itself give them their name; one alone, of all.
    fn keep_next(&mut self, task: u32) -> Result<(), Error> {
        let Some((attempt, Site { worker, slot })) = self.commit.next_to_keep(task) else { return Ok(()) };
        self.workers.tell(worker, ToAgent::Keep { slot, task, attempt })
    }

    /// A try has failed: the task is tried again, or the job has failed with it.
    fn failed(&mut self, at: Try, reason: Reason, offset: Option<u64>) -> Result<(), Error> {
        self.drop_out(at)?;
        let Some((failures, copy)) = self.plan.failed(at) else { return Ok(()) };
        let again = failures < self.order.attempts;
        let worker = copy.site.worker;
        let error = TaskError {
            at: self.now(),
            kind: at.kind,
            task: at.task,
            attempt: at.attempt,
            worker,
            name: self.workers.agents[worker as usize].name.clone(),
            input: self.input(at.kind, at.task),
            offset,
            error: reason.text,
            backtrace: reason.backtrace,
            again,
        };
        (self.event)(Event::TaskFailed(error.clone()));
        if !again {
            return Err(Error::Task(Box::new(error)));
        }
        self.summary.retries += 1;
        log(Level::Warn, format_args!("{error}; it is tried again"));
        self.need_outputs();
        Ok(())
    }

    /// What a try of a reduce task has put out is not wanted.
    fn drop_out(&mut self, at: Try) -> Result<(), Error> {
        if at.kind == Kind::Map {
            return Ok(());
        }
        self.workers.selector.remove(&Key::Out(at.task, at.attempt));
        self.commit.discard(at.task, at.attempt);
        self.keep_next(at.task)
    }

    /// A slot has ended: what it did has failed, unless that is done elsewhere; what it had before it has not.
    fn slot_ended(&mut self, site: Site, tries: Vec<Try>, reason: Reason, offset: Option<u64>) -> Result<(), Error> {
        // What it was given meanwhile is its successor's.
        if let Some(queue) = self.queues.get_mut(&site) {
            queue.retain(|at| !tries.contains(at));
        }
        self.begins(site);
        let mut tries = tries.into_iter();
        let first = tries.next();
        self.drop_all(tries)?;
        match first {
            // It had said so before it ended, and all of its results have been sent.
            Some(at) if at.kind == Kind::Reduce && self.commit.has_said_all(at) => Ok(()),
            Some(at) => self.failed(at, reason, offset),
            None => Ok(()),
        }
    }

    fn drop_all(&mut self, tries: impl IntoIterator<Item = Try>) -> Result<(), Error> {
        for at in tries {
            self.drop_out(at)?;
            self.plan.dropped(at);
        }
        Ok(())
    }

    /// A worker's agent has ended: with its node, or alone, and then another one takes its place, if that has not happened too often.
    fn lost(&mut self, worker: u32) -> Result<(), Error> {
        let sites: Vec<Site> = self.queues.keys().filter(|site| site.worker == worker).copied().collect();
        let why = self.workers.ended(worker);
        for site in sites {
            let tries = self.queues.remove(&site).unwrap_or_default();
            self.summary.retries += tries.len() as u32;
            self.drop_all(tries)?;
        }
        let unsettled = self.commit.unsettled_of(worker).into_iter();
        self.drop_all(unsettled.map(|(task, attempt)| Try { kind: Kind::Reduce, task, attempt }))?;
        let again = self.need_outputs();
        let agent = &self.workers.agents[worker as usize];
        let (name, why) = (agent.name.clone(), (agent.restarts, why));
        if !matches!(why.1, ExitReason::NodeLost) && why.0 + 1 < self.order.attempts {
            match self.restart(worker) {
                Ok(new) => {
                    (self.event)(Event::Restarted { worker, name, why: why.1.to_string(), again, new });
                    return Ok(());
                }
                Err(error) => log(Level::Warn, format_args!("no other agent can be started on the worker `{name}`: {error}")),
            }
        }
        self.lost += 1;
        (self.event)(Event::Lost { worker, name, why: why.1.to_string(), again });
        Ok(())
    }

    fn restart(&mut self, worker: u32) -> Result<u32, Error> {
        let new = self.workers.replace(worker)?;
        self.workers.tell(new, ToAgent::Job(self.spec.clone()))?;
        Ok(new)
    }

    /// Has those map tasks run again whose outputs are needed and went with their workers; how many.
    fn need_outputs(&mut self) -> u32 {
        let dead: BTreeSet<u32> = (0..).zip(&self.workers.agents).filter(|(_, agent)| !agent.alive).map(|(worker, _)| worker).collect();
        self.unavailable(|_, (_, worker)| dead.contains(&worker))
    }

    fn unavailable(&mut self, which: impl Fn(u32, (u32, u32)) -> bool) -> u32 {
        let again = self.plan.lose(&which);
        self.summary.retries += again;
        for (map, output) in (0..).zip(&mut self.outputs) {
            if output.as_ref().is_some_and(|(attempt, worker, _)| which(map, (*attempt, *worker))) {
                *output = None;
            }
        }
        again
    }

    /// Gives copies of tasks that take long to slots that have nothing to do.
    fn speculate(&mut self) -> Result<(), Error> {
        if !self.order.speculation {
            return Ok(());
        }
        for worker in self.workers.living() {
            for slot in 0..2 * self.workers.agents[worker as usize].slots {
                let (site, now) = (Site { worker, slot }, self.now());
                let kind = if slot % 2 == 0 { Kind::Map } else { Kind::Reduce };
                if self.queues.get(&site).is_some_and(|queue| !queue.is_empty()) {
                    continue;
                }
                if let Some((at, slow, millis)) = self.plan.straggler(kind, site, now) {
                    self.summary.speculated += 1;
                    (self.event)(Event::Straggler { at: now, kind, task: at.task, worker: slow.site.worker, millis, copy_on: worker });
                    self.send(at, site)?;
                }
            }
        }
        Ok(())
    }

    fn progress(&mut self) {
        let ((maps, mapping), (reduces, reducing)) = (self.plan.count(Kind::Map), self.plan.count(Kind::Reduce));
        let maps = Count { of: self.inputs.len() as u32, done: maps, running: mapping };
        let reduces = Count { of: self.spec.parts, done: reduces, running: reducing };
        let rest = |kind: Kind, count: Count| {
            let left = u64::from(count.of - count.done);
            if left == 0 { Some(0) } else { Some(left * self.plan.median(kind)? / u64::from(count.running.max(1))) }
        };
        let left = rest(Kind::Map, maps).and_then(|maps| Some(maps + rest(Kind::Reduce, reduces)?));
        let summary = &self.summary;
        let progress = Progress {
            at: self.now(),
            maps,
            reduces,
            bytes_in: summary.bytes_in,
            shuffled: summary.shuffled,
            bytes_out: summary.bytes_out,
            workers: self.workers.alive() as u32,
            retries: summary.retries,
            left,
        };
        let same = self.told.is_some_and(|told| Progress { at: told.at, left: told.left, ..progress } == told);
        if !same {
            self.told = Some(progress);
            (self.event)(Event::Progress(progress));
        }
    }

    /// Waits until nothing is left of the job on any worker, which is at once: agents never compute.
    fn wait_until_over(&mut self) {
        let mut waited: BTreeSet<u32> = self.workers.living().into_iter().collect();
        while !waited.is_empty() {
            for (key, happened) in self.workers.wait(TICK).unwrap_or_default() {
                let Key::Agent(worker) = key else { continue };
                match happened {
                    Happened::Message(mut message) => {
                        if let Ok(FromAgent::Over { job }) = message.read()
                            && job == self.spec.job
                        {
                            waited.remove(&worker);
                        }
                    }
                    _ => {
                        waited.remove(&worker);
                        self.workers.gone(worker, 0, self.event);
                    }
                }
            }
        }
    }

    /// Ends the job on all workers, and gives the results their names, if it has any.
    fn end(&mut self, result: Result<(), Error>) -> Result<Vec<Vec<u8>>, Error> {
        for (task, attempt) in self.commit.end_tries() {
            self.workers.selector.remove(&Key::Out(task, attempt));
        }
        let living = self.workers.living();
        for worker in living.iter().copied() {
            let sweep = living.first() == Some(&worker);
            // What a worker has written that is lost, another one sees as well.
            let mine = |by: u32| by == worker || (sweep && !living.contains(&by));
            let remove = if result.is_ok() { Vec::new() } else { self.commit.kept_by(mine) };
            let told = self.workers.tell(worker, ToAgent::Over { job: self.spec.job, remove, sweep });
            if let Err(error) = told {
                log(Level::Warn, format_args!("a worker cannot be told that the job is over: {error}"));
            }
        }
        self.wait_until_over();
        if let Err(error) = result {
            self.commit.undo();
            return Err(error);
        }
        let (results, files) = self.commit.finish()?;
        self.progress();
        let summary = &mut self.summary;
        summary.files = files;
        summary.maps = self.inputs.len() as u32;
        summary.reduces = self.spec.parts;
        summary.workers = self.workers.number();
        summary.lost = self.lost;
        summary.millis = self.began.elapsed().as_millis() as u64;
        Ok(results)
    }
}
