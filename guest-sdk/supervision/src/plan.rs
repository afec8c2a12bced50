//! What a supervisor decides: who is stopped and started when a child has ended.
//!
//! Pure: it starts nothing and reads no clock. Time is an argument, counted from any beginning. Whoever obeys it says what became of
//! that: [`Plan::started`], [`Plan::ended`], [`Plan::stopped`].

use std::collections::VecDeque;
use std::time::Duration;

use crate::policy::{Backoff, Intensity, Policy, Restart, Strategy};

/// Names a child of a plan, for its life there. Later ones are larger.
pub(crate) type Key = u64;

/// The children of a supervisor, as far as decisions need to know them.
#[derive(Debug)]
pub(crate) struct Plan {
    strategy: Strategy,
    intensity: Intensity,
    backoff: Backoff,
    children: Vec<Entry>,
    /// When the last restarts were decided, the oldest first.
    restarts: VecDeque<Duration>,
    next: Key,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    policy: Policy,
    state: State,
    /// When it was started last.
    since: Duration,
    /// Restarts that count towards its back-off or its own measure.
    tries: u32,
}

/// How far a child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// To be started at this time.
    Due(Duration),
    /// It is being started, which may take a while.
    Starting,
    Running,
    /// It ended for good, but may be started again with others.
    Ended,
}

/// What is to be done about an end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing: it has ended for good.
    Leave,
    /// To stop these children, in this order. Who is to be started then is due: see [`Plan::due`].
    Restart {
        /// In this order.
        stop: Vec<Key>,
        /// How long until the start.
        pause: Duration,
    },
    /// This child is started no more, by its own measure.
    GiveUpChild,
    /// There have been too many restarts: the supervisor is to end.
    GiveUp,
}

impl Plan {
    pub(crate) fn new(strategy: Strategy, intensity: Intensity, backoff: Backoff) -> Self {
        Self { strategy, intensity, backoff, children: Vec::new(), restarts: VecDeque::new(), next: 0 }
    }

    /// A child more, to be started at once.
    pub(crate) fn add(&mut self, now: Duration, policy: Policy) -> Key {
        let key = self.next;
        self.next += 1;
        self.children.push(Entry { key, policy, state: State::Due(now), since: now, tries: 0 });
        key
    }

    /// The first child that is due, in the order in which they were added; or when the next one will be. While one is being started,
    /// those after it wait, unless each is for itself.
    pub(crate) fn due(&self, now: Duration) -> Result<Key, Option<Duration>> {
        let first = self.children.iter().take_while(|child| self.strategy == Strategy::OneForOne || child.state != State::Starting);
        let due = first.filter_map(|child| if let State::Due(at) = child.state { Some((child.key, at)) } else { None });
        let times: Vec<_> = due.collect();
        match times.iter().find(|(_, at)| *at <= now) {
            Some((key, _)) => Ok(*key),
            None => Err(times.iter().map(|(_, at)| *at).min()),
        }
    }

    /// It is being started.
    pub(crate) fn starting(&mut self, key: Key) {
        if let Some(child) = self.find(key) {
            child.state = State::Starting;
        }
    }

    /// It runs.
    pub(crate) fn started(&mut self, now: Duration, key: Key) {
        if let Some(child) = self.find(key) {
            child.state = State::Running;
            child.since = now;
        }
    }

    /// It has been stopped because this plan or its supervisor's owner wanted that. A temporary child is gone then.
    pub(crate) fn stopped(&mut self, key: Key) {
        self.children.retain(|child| child.key != key || child.policy.restart != Restart::Temporary);
        if let Some(child) = self.find(key).filter(|child| matches!(child.state, State::Starting | State::Running)) {
            child.state = State::Ended;
        }
    }

    /// It is to be forgotten.
    pub(crate) fn remove(&mut self, key: Key) {
        self.children.retain(|child| child.key != key);
    }

    /// It has ended by itself, or could not be started: well or not.
    pub(crate) fn ended(&mut self, now: Duration, key: Key, well: bool) -> Decision {
        let Some(index) = self.children.iter().position(|child| child.key == key) else { return Decision::Leave };
        let Policy { restart, every } = self.children[index].policy;
        match restart {
            Restart::Temporary => {
                self.children.remove(index);
                return Decision::Leave;
            }
            Restart::Transient if well => {
                self.children[index].state = State::Ended;
                return Decision::Leave;
            }
            Restart::Permanent | Restart::Transient => {}
        }
        let child = &mut self.children[index];
        let lived = now.saturating_sub(child.since);
        let at = match every {
            Some(every) => {
                if lived >= every.period.saturating_mul(2) {
                    child.tries = 0;
                }
                if every.retry.is_some_and(|retry| child.tries >= retry) {
                    self.children.remove(index);
                    return Decision::GiveUpChild;
                }
                now.max(child.since.saturating_add(every.period))
            }
            None => {
                if !self.backoff.most.is_zero() && lived >= self.backoff.most {
                    child.tries = 0;
                }
                let pause = self.backoff.pause(child.tries);
                self.restarts.push_back(now);
                while self.restarts.front().is_some_and(|first| now.saturating_sub(*first) > self.intensity.period) {
                    self.restarts.pop_front();
                }
                if self.restarts.len() > self.intensity.restarts as usize {
                    return Decision::GiveUp;
                }
                now.saturating_add(pause)
            }
        };
        let child = &mut self.children[index];
        child.tries = child.tries.saturating_add(1);
        let others = match self.strategy {
            Strategy::OneForOne => index..index,
            Strategy::OneForAll => 0..self.children.len(),
            Strategy::RestForOne => index..self.children.len(),
        };
        let stop = others.clone().rev().filter(|&other| other != index && self.children[other].state == State::Running);
        let stop = stop.map(|other| self.children[other].key).collect();
        for other in others {
            let other = &mut self.children[other];
            // A temporary one goes with the others, and stays away.
            if other.policy.restart != Restart::Temporary {
                other.state = State::Due(at);
            }
        }
        self.children[index].state = State::Due(at);
        Decision::Restart { stop, pause: at.saturating_sub(now) }
    }

    /// All that run, in the order in which they are to be stopped: the last first.
    pub(crate) fn running(&self) -> Vec<Key> {
        self.children.iter().rev().filter(|child| child.state == State::Running).map(|child| child.key).collect()
    }

    /// How far a child is, and how many restarts it has behind it that count.
    pub(crate) fn state(&self, key: Key) -> Option<(State, u32)> {
        self.children.iter().find(|child| child.key == key).map(|child| (child.state, child.tries))
    }

    /// Whether any child runs or is to be started.
    pub(crate) fn is_active(&self) -> bool {
        self.children.iter().any(|child| child.state != State::Ended)
    }

    fn find(&mut self, key: Key) -> Option<&mut Entry> {
        self.children.iter_mut().find(|child| child.key == key)
    }
}

#[cfg(test)]
mod tests;
