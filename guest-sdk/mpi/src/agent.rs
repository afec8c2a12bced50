//! The place that starts the ranks of one node, watches them, and finds ways between them and the others.
//!
//! It never waits for a rank: what a rank's inbox has no room for is tried again later. So a rank that computes stops nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use places::{Channel, Either, Error, ExitReason, Module, Options, Place, at, spawn, sync};

use crate::header::Notice;
use crate::wire::{FromAgent, FromRank, Inlet, OnFailure, Order, Reason, ToAgent, ToRank, Waits};

/// How soon a notice is tried again that an inbox had no room for.
const AGAIN: Duration = Duration::from_millis(20);

/// Runs the ranks of one node. Started by the launcher; no program has a use for it.
#[places::start]
pub(crate) fn mpi_agent(ch: Channel<ToAgent, FromAgent>) -> places::Result {
    let ToAgent::Begin { order, ranks: (first, end), hosts, host } = ch.get()? else {
        return Err("an agent is told to begin first".into());
    };
    let mut agent = Agent {
        inlets: hosts.iter().map(|_| None).collect(),
        wanted: BTreeMap::new(),
        asked: hosts.iter().map(|_| false).collect(),
        closed: BTreeSet::new(),
        ended: BTreeMap::new(),
        ranks: Vec::new(),
        first,
        host,
        hosts,
        on_failure: order.on_failure,
        launcher: ch,
    };
    for rank in first..end {
        match agent.start(&order, rank) {
            Ok(rank) => agent.ranks.push(rank),
            Err(error) => {
                agent.launcher.put(FromAgent::Cannot { why: format!("rank {rank} cannot be started: {error}") })?;
                // The launcher ends this place when it has read that.
                while agent.launcher.get().is_ok() {}
                return Ok(());
            }
        }
    }
    agent.run()
}

/// Who wants a way into an inbox.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Asker {
    /// A rank of this node, by its index here.
    Rank(usize),
    /// Another agent.
    Host(u32),
}

struct Agent {
    launcher: Channel<ToAgent, FromAgent>,
    first: u32,
    host: u32,
    hosts: Vec<u32>,
    on_failure: OnFailure,
    ranks: Vec<Rank>,
    /// The ways that are known, by rank in the world.
    inlets: Vec<Option<Inlet>>,
    /// Who waits for which.
    wanted: BTreeMap<u32, Vec<Asker>>,
    /// Whether the launcher has been asked for it.
    asked: Vec<bool>,
    /// The ranks whose inbox somebody has found closed.
    closed: BTreeSet<u32>,
    ended: BTreeMap<u32, Reason>,
}

struct Rank {
    place: Place<FromRank, ToRank>,
    /// Its channel says no more.
    silent: bool,
    gone: bool,
    /// What its inbox had no room for.
    notices: Vec<Notice>,
    /// It has been asked what it waits for, and has not answered.
    asked: bool,
}

enum Event {
    Launcher(Result<ToAgent, Error>),
    Said(usize, Result<FromRank, Error>),
    Gone(usize, ExitReason),
    Again,
}

impl Agent {
    fn start(&self, order: &Order, rank: u32) -> Result<Rank, Error> {
        let mut options = Options::new().args(order.args.clone());
        if order.tag_output {
            options = options.prefix(format!("[{rank}] "));
        }
        let place: Place<FromRank, ToRank> = spawn(Module::This, &order.start, options)?.typed();
        place.put(ToRank::Begin { rank, hosts: self.hosts.clone(), on_failure: self.on_failure })?;
        Ok(Rank { place, silent: false, gone: false, notices: Vec::new(), asked: false })
    }

    fn run(mut self) -> places::Result {
        loop {
            match self.next() {
                Event::Launcher(Ok(message)) => self.told(message)?,
                // The launcher is gone, and the job with it.
                Event::Launcher(Err(_)) => return Ok(()),
                Event::Said(index, Ok(message)) => self.said(index, message)?,
                Event::Said(index, Err(Error::Decode(why))) => {
                    self.launcher.put(FromAgent::Cannot { why: format!("rank {} says what no rank says: {why}", self.number(index)) })?;
                    self.ranks[index].silent = true;
                }
                Event::Said(index, Err(_)) => self.ranks[index].silent = true,
                Event::Gone(index, reason) => self.gone(index, reason)?,
                Event::Again => self.notify(),
            }
        }
    }

    fn next(&self) -> Event {
        let mut events = vec![Either::Left(Either::Left(self.launcher.message()))];
        let mut what = vec![None];
        for (index, rank) in self.ranks.iter().enumerate() {
            if !rank.silent {
                events.push(Either::Left(Either::Right(rank.place.message())));
                what.push(Some(index));
            } else if !rank.gone {
                // Its end counts once all that it said has been heard.
                events.push(Either::Right(Either::Left(rank.place.exited())));
                what.push(Some(index));
            }
        }
        if self.ranks.iter().any(|rank| !rank.notices.is_empty()) {
            events.push(Either::Right(Either::Right(at(Instant::now() + AGAIN))));
            what.push(None);
        }
        let (number, event) = sync(events);
        match (event, what[number]) {
            (Either::Left(Either::Left(message)), _) => Event::Launcher(message),
            (Either::Left(Either::Right(message)), Some(index)) => Event::Said(index, message),
            (Either::Right(Either::Left(reason)), Some(index)) => Event::Gone(index, reason),
            _ => Event::Again,
        }
    }

    fn number(&self, index: usize) -> u32 {
        self.first + index as u32
    }

    fn told(&mut self, message: ToAgent) -> Result<(), Error> {
        match message {
            ToAgent::Begin { .. } => Err(Error::Invalid("an agent begins once".into())),
            ToAgent::Inlet { rank, inlet } => self.found(rank, inlet),
            ToAgent::Wanted { rank, host } => self.wants(Asker::Host(host), rank),
            ToAgent::Ended { rank, reason } => self.heard_of_end(rank, reason),
            ToAgent::Report { round } => {
                for rank in self.ranks.iter_mut().filter(|rank| !rank.gone && !rank.asked) {
                    rank.asked = true;
                    rank.notices.push(Notice::Report { round });
                }
                self.notify();
                Ok(())
            }
        }
    }

    fn said(&mut self, index: usize, message: FromRank) -> Result<(), Error> {
        match message {
            FromRank::Inlet(inlet) => self.found(self.number(index), inlet),
            FromRank::Want { rank } => self.wants(Asker::Rank(index), rank),
            FromRank::Gone { rank } => {
                // What is known of it leads nowhere, and its end is still to be heard of, if it has not been.
                self.inlets[rank as usize] = None;
                self.closed.insert(rank);
                self.wants(Asker::Rank(index), rank)
            }
            FromRank::Waits(waits) => self.waits(index, waits),
        }
    }

    fn waits(&mut self, index: usize, waits: Waits) -> Result<(), Error> {
        self.ranks[index].asked = false;
        self.launcher.put(FromAgent::Waits { rank: self.number(index), waits })
    }

    /// A way is known: who waited for it gets one.
    fn found(&mut self, rank: u32, inlet: Inlet) -> Result<(), Error> {
        if !self.closed.contains(&rank) {
            self.inlets[rank as usize] = Some(inlet);
        }
        self.answer(rank)
    }

    fn wants(&mut self, asker: Asker, rank: u32) -> Result<(), Error> {
        let known = self.ended.contains_key(&rank) || self.inlets[rank as usize].is_some();
        self.wanted.entry(rank).or_default().push(asker);
        if known {
            return self.answer(rank);
        }
        let far = self.hosts[rank as usize] != self.host && !self.closed.contains(&rank);
        if far && !std::mem::replace(&mut self.asked[rank as usize], true) {
            self.launcher.put(FromAgent::Want { rank })?;
        }
        Ok(())
    }

    fn answer(&mut self, rank: u32) -> Result<(), Error> {
        let (ended, inlet) = (self.ended.get(&rank).cloned(), self.inlets[rank as usize].clone());
        if ended.is_none() && inlet.is_none() {
            return Ok(());
        }
        for asker in self.wanted.remove(&rank).unwrap_or_default() {
            let (ended, inlet) = (ended.clone(), inlet.clone());
            match (asker, ended, inlet) {
                (Asker::Rank(index), Some(reason), _) => tell(&self.ranks[index], ToRank::Ended { rank, reason }),
                (Asker::Rank(index), None, Some(inlet)) => tell(&self.ranks[index], ToRank::Inlet { rank, inlet }),
                // Of an end all agents hear anyway.
                (Asker::Host(_), Some(_), _) | (_, None, None) => {}
                (Asker::Host(host), None, Some(inlet)) => self.launcher.put(FromAgent::Inlet { rank, host, inlet })?,
            }
        }
        Ok(())
    }

    fn gone(&mut self, index: usize, reason: ExitReason) -> Result<(), Error> {
        self.ranks[index].gone = true;
        self.ranks[index].notices.clear();
        self.launcher.put(FromAgent::Ended { rank: self.number(index), reason: reason.into() })
    }

    fn heard_of_end(&mut self, rank: u32, reason: Reason) -> Result<(), Error> {
        let reason_text = ExitReason::from(reason.clone());
        self.inlets[rank as usize] = None;
        self.ended.insert(rank, reason);
        if self.on_failure == OnFailure::Continue && !reason_text.is_success() {
            for other in self.ranks.iter_mut().filter(|other| !other.gone) {
                other.notices.push(Notice::Ended { rank, reason: reason_text.to_string() });
            }
            self.notify();
        }
        self.answer(rank)
    }

    /// Puts the notices that there is room for.
    fn notify(&mut self) {
        for (index, rank) in self.ranks.iter_mut().enumerate() {
            let Some(inlet) = &self.inlets[self.first as usize + index] else { continue };
            let mut put = 0;
            for notice in &rank.notices {
                match inlet.try_put(notice.message()) {
                    Err(Error::WouldBlock) => break,
                    // A rank that is gone needs no notice.
                    _ => put += 1,
                }
            }
            rank.notices.drain(..put);
        }
    }
}

/// A rank that has ended meanwhile hears nothing, and needs nothing.
fn tell(rank: &Rank, message: ToRank) {
    let _ = rank.place.put(message);
}
