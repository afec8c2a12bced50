//! Which tasks there are, who does them, and which are to be done again. It knows neither places nor clocks.

use std::collections::BTreeSet;

use crate::wire::{Kind, Try};

/// A slot of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Site {
    pub(crate) worker: u32,
    pub(crate) slot: u32,
}

/// A try that has been given to a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    pub(crate) attempt: u32,
    pub(crate) site: Site,
    /// When its slot got to it, in milliseconds; none before.
    pub(crate) began: Option<u64>,
    /// A reduce task that has all its input needs no map task any more.
    pub(crate) fetched: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Task {
    pub(crate) copies: Vec<Copy>,
    attempts: u32,
    failures: u32,
    /// The attempt that was the first to be done, and where.
    pub(crate) done: Option<(u32, u32)>,
}

pub(crate) struct Plan {
    maps: Vec<Task>,
    reduces: Vec<Task>,
    waiting_maps: BTreeSet<u32>,
    waiting_reduces: BTreeSet<u32>,
    done: [u32; 2],
    /// How long the tasks took that are done.
    times: [Vec<u64>; 2],
}

impl Plan {
    pub(crate) fn new(maps: u32, reduces: u32) -> Self {
        Self {
            maps: vec![Task::default(); maps as usize],
            reduces: vec![Task::default(); reduces as usize],
            waiting_maps: (0..maps).collect(),
            waiting_reduces: (0..reduces).collect(),
            done: [0; 2],
            times: [Vec::new(), Vec::new()],
        }
    }

    pub(crate) fn tasks(&self, kind: Kind) -> &[Task] {
        match kind {
            Kind::Map => &self.maps,
            Kind::Reduce => &self.reduces,
        }
    }

    fn task(&mut self, kind: Kind, task: u32) -> &mut Task {
        match kind {
            Kind::Map => &mut self.maps[task as usize],
            Kind::Reduce => &mut self.reduces[task as usize],
        }
    }

    fn waiting(&mut self, kind: Kind) -> &mut BTreeSet<u32> {
        match kind {
            Kind::Map => &mut self.waiting_maps,
            Kind::Reduce => &mut self.waiting_reduces,
        }
    }

    /// How many are done, and how many a slot has.
    pub(crate) fn count(&self, kind: Kind) -> (u32, u32) {
        let running = self.tasks(kind).iter().filter(|task| task.done.is_none() && !task.copies.is_empty()).count();
        (self.done[kind as usize], running as u32)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done[Kind::Reduce as usize] as usize == self.reduces.len()
    }

    pub(crate) fn are_maps_done(&self) -> bool {
        self.done[Kind::Map as usize] as usize == self.maps.len()
    }

    /// Gives the next task that waits to a slot.
    pub(crate) fn give(&mut self, kind: Kind, site: Site) -> Option<Try> {
        let task = self.waiting(kind).pop_first()?;
        Some(self.copy(kind, task, site))
    }

    fn copy(&mut self, kind: Kind, task: u32, site: Site) -> Try {
        let about = self.task(kind, task);
        about.attempts += 1;
        let attempt = about.attempts;
        about.copies.push(Copy { attempt, site, began: None, fetched: false });
        Try { kind, task, attempt }
    }

    fn find(&mut self, at: Try) -> Option<&mut Copy> {
        self.task(at.kind, at.task).copies.iter_mut().find(|copy| copy.attempt == at.attempt)
    }

    /// Its slot has got to it.
    pub(crate) fn began(&mut self, at: Try, now: u64) {
        if let Some(copy) = self.find(at) {
            copy.began.get_or_insert(now);
        }
    }

    pub(crate) fn fetched(&mut self, at: Try) {
        if let Some(copy) = self.find(at) {
            copy.fetched = true;
        }
    }

    /// A try has come to its end; where it was, if it was the first of its task, and the other copies. Who comes late changes nothing.
    pub(crate) fn done(&mut self, at: Try, now: u64) -> Option<(Copy, Vec<Copy>)> {
        let task = self.task(at.kind, at.task);
        let index = task.copies.iter().position(|copy| copy.attempt == at.attempt)?;
        let copy = task.copies.swap_remove(index);
        if task.done.is_some() {
            return None;
        }
        task.done = Some((at.attempt, copy.site.worker));
        let others = task.copies.clone();
        self.waiting(at.kind).remove(&at.task);
        self.done[at.kind as usize] += 1;
        self.times[at.kind as usize].push(now.saturating_sub(copy.began.unwrap_or(now)));
        Some((copy, others))
    }

    /// A try has failed; how often its task has, unless it is done, and where this was.
    pub(crate) fn failed(&mut self, at: Try) -> Option<(u32, Copy)> {
        let copy = self.remove(at)?;
        let task = self.task(at.kind, at.task);
        if task.done.is_some() {
            return None;
        }
        task.failures += 1;
        Some((task.failures, copy))
    }

    /// A try will never end, through no fault of its own.
    pub(crate) fn dropped(&mut self, at: Try) {
        self.remove(at);
    }

    fn remove(&mut self, at: Try) -> Option<Copy> {
        let task = self.task(at.kind, at.task);
        let index = task.copies.iter().position(|copy| copy.attempt == at.attempt)?;
        let copy = task.copies.swap_remove(index);
        if task.copies.is_empty() && task.done.is_none() {
            self.waiting(at.kind).insert(at.task);
        }
        Some(copy)
    }

    /// Whether any reduce task still has to fetch something.
    fn is_output_needed(&self) -> bool {
        self.reduces.iter().any(|task| task.done.is_none() && !task.copies.iter().any(|copy| copy.fetched))
    }

    /// What these map tasks have put out is not to be had any more; how many of them run again. If nobody needs it, none does, until
    /// somebody does.
    pub(crate) fn lose(&mut self, lost: impl Fn(u32, (u32, u32)) -> bool) -> u32 {
        if !self.is_output_needed() {
            return 0;
        }
        let mut again = 0;
        for (number, task) in (0..).zip(&mut self.maps) {
            if task.done.is_some_and(|done| lost(number, done)) {
                task.done = None;
                self.done[Kind::Map as usize] -= 1;
                again += 1;
                if task.copies.is_empty() {
                    self.waiting_maps.insert(number);
                }
            }
        }
        again
    }

    /// A copy for a slot that has nothing to do, of a task that takes twice as long as half of the others did; where the first one is, and
    /// for how long it has run.
    pub(crate) fn straggler(&mut self, kind: Kind, site: Site, now: u64) -> Option<(Try, Copy, u64)> {
        /// What is shorter is no straggler.
        const LEAST: u64 = 1000;
        if !self.waiting(kind).is_empty() || (kind == Kind::Reduce && !self.are_maps_done()) {
            return None;
        }
        let times = &mut self.times[kind as usize];
        if times.is_empty() {
            return None;
        }
        times.sort_unstable();
        let long = LEAST.max(2 * times[times.len() / 2]);
        let slowest =
            (0..).zip(self.tasks(kind)).filter(|(_, task)| task.done.is_none() && task.copies.len() == 1).filter_map(|(number, task)| {
                let copy = task.copies[0];
                let took = now.saturating_sub(copy.began?);
                (took > long && copy.site.worker != site.worker).then_some((took, number, copy))
            });
        let (took, number, copy) = slowest.max_by_key(|(took, number, _)| (*took, std::cmp::Reverse(*number)))?;
        Some((self.copy(kind, number, site), copy, took))
    }

    /// Half of the tasks took no longer than this, in milliseconds.
    pub(crate) fn median(&self, kind: Kind) -> Option<u64> {
        let mut times = self.times[kind as usize].clone();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Workers do tasks, fail, and are lost with what they have, in any order; and in the end all is done, and each was done once
        /// where it counts.
        #[test]
        fn whatever_is_lost_all_is_done_in_the_end(
            maps in 0..12u32, reduces in 1..5u32, events in prop::collection::vec((0..6u8, 0..4u32, any::<u16>()), 0..200)
        ) {
            let mut plan = Plan::new(maps, reduces);
            let mut running: Vec<(Try, u32)> = Vec::new();
            let settle = |plan: &mut Plan, running: &mut Vec<(Try, u32)>, at: usize| {
                let (at, _) = running.swap_remove(at);
                if at.kind == Kind::Map || plan.are_maps_done() {
                    if at.kind == Kind::Reduce {
                        plan.fetched(at);
                    }
                    plan.done(at, 0);
                } else {
                    plan.failed(at);
                }
            };
            for (what, worker, pick) in events {
                let site = Site { worker, slot: 0 };
                match what {
                    0 => running.extend(plan.give(Kind::Map, site).map(|at| (at, worker))),
                    1 => running.extend(plan.give(Kind::Reduce, site).map(|at| (at, worker))),
                    2 | 3 if !running.is_empty() => { let at = usize::from(pick) % running.len(); settle(&mut plan, &mut running, at) }
                    4 if !running.is_empty() => { let (at, _) = running.swap_remove(usize::from(pick) % running.len()); plan.failed(at); }
                    5 => {
                        running.extract_if(.., |(_, on)| *on == worker).for_each(|(at, _)| plan.dropped(at));
                        plan.lose(|_, (_, on)| on == worker);
                    }
                    _ => {}
                }
            }
            let site = Site { worker: 9, slot: 0 };
            for _ in 0..1000 {
                if plan.is_done() { break }
                running.extend(plan.give(Kind::Map, site).map(|at| (at, 9)));
                if plan.are_maps_done() {
                    running.extend(plan.give(Kind::Reduce, site).map(|at| (at, 9)));
                }
                if !running.is_empty() { settle(&mut plan, &mut running, 0) }
            }
            prop_assert!(plan.is_done());
            prop_assert!(plan.tasks(Kind::Reduce).iter().all(|task| task.done.is_some()));
        }
    }

    #[test]
    fn the_first_copy_wins_and_the_second_is_nothing() {
        let mut plan = Plan::new(2, 1);
        let (here, there) = (Site { worker: 0, slot: 0 }, Site { worker: 1, slot: 0 });
        let (one, two) = (plan.give(Kind::Map, here).unwrap(), plan.give(Kind::Map, there).unwrap());
        plan.began(one, 0);
        plan.began(two, 0);
        plan.done(two, 100).unwrap();
        assert_eq!(plan.straggler(Kind::Map, there, 900), None);
        assert_eq!(plan.straggler(Kind::Map, here, 2000), None);
        let (copy, slow, took) = plan.straggler(Kind::Map, there, 2000).unwrap();
        assert_eq!((copy.task, copy.attempt, slow.site, took), (one.task, 2, here, 2000));
        let (_, others) = plan.done(copy, 2100).unwrap();
        assert_eq!(others.len(), 1);
        assert_eq!(plan.done(one, 2200), None);
        assert!(plan.are_maps_done());
    }
}
