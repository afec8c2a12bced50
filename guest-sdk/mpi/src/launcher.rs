//! The place that a job hangs on: it reaches the nodes, starts an agent on each, and says in the end how it went.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use places::{Channel, Either, Error, ExitReason, Module, Node, Options, Place, at, spawn, sync};

use crate::agent::mpi_agent;
use crate::wire::{FromAgent, OnFailure, Order, Reason, Report, ToAgent, Waits};

/// How often the ranks are asked what they wait for. A deadlock is found when two answers in a row are the same; one second is less
/// than a person's patience, and what the question costs does not show.
const ROUND: Duration = Duration::from_secs(1);

/// Runs a job: what [`launch`](crate::launch()) and `placehost mpirun` start.
#[places::start]
pub(crate) fn mpi_launcher(ch: Channel<Order, Report>) -> places::Result {
    let order = ch.get()?;
    let report = match Job::begin(order) {
        Ok(mut job) => {
            let report = job.run().unwrap_or_else(|why| Report::Cannot { why });
            job.end();
            report
        }
        Err(why) => Report::Cannot { why },
    };
    Ok(ch.put(report)?)
}

struct Job {
    order: Order,
    agents: Vec<Agent>,
    /// The host of each rank.
    hosts: Vec<u32>,
    living: BTreeSet<u32>,
    /// The first rank that went wrong.
    failed: Option<(u32, Reason)>,
    round: u32,
    /// What the ranks said last that they wait for, and before that.
    waits: BTreeMap<u32, Waits>,
    before: BTreeMap<u32, Waits>,
}

struct Agent {
    place: Place<FromAgent, ToAgent>,
    name: String,
    gone: bool,
}

enum Event {
    Said(usize, Result<FromAgent, Error>),
    Gone(usize, ExitReason),
    Round,
}

impl Job {
    fn begin(order: Order) -> Result<Self, String> {
        let hosts: Vec<u32> = (0..).zip(&order.hosts).flat_map(|(host, count)| std::iter::repeat_n(host, count.ranks as usize)).collect();
        if hosts.is_empty() {
            return Err("a job needs a rank at least".into());
        }
        let (mut agents, mut first) = (Vec::new(), 0);
        for (host, about) in (0..).zip(&order.hosts) {
            let name = about.address.clone().unwrap_or_else(|| Node::this().name());
            let failed = |error: Error| format!("the ranks on `{name}` cannot be started: {error}");
            let node = about.address.as_deref().map_or_else(|| Ok(Node::this()), Node::connect).map_err(failed)?;
            // Room for what an agent says at once where all its ranks end, so that neither waits for the other.
            let options = Options::new().at(&node).capacity(4 * hosts.len() as u32 + 1024);
            let place: Place<FromAgent, ToAgent> = spawn(Module::This, mpi_agent::NAME, options).map_err(failed)?.typed();
            let ranks = (first, first + about.ranks);
            place.put(ToAgent::Begin { order: order.clone(), ranks, hosts: hosts.clone(), host }).map_err(failed)?;
            first += about.ranks;
            agents.push(Agent { place, name, gone: false });
        }
        let living = (0..hosts.len() as u32).collect();
        Ok(Self { order, agents, hosts, living, failed: None, round: 0, waits: BTreeMap::new(), before: BTreeMap::new() })
    }

    /// Waits until the agents have ended, and with them everything that their ranks printed has come.
    fn end(self) {
        for agent in self.agents.iter().filter(|agent| !agent.gone) {
            // An agent whose ranks have ended ends with its channel.
            if self.living.is_empty() { agent.place.close() } else { agent.place.kill() }
        }
        self.agents.iter().for_each(|agent| drop(agent.place.wait()));
    }

    fn run(&mut self) -> Result<Report, String> {
        let mut round = Instant::now() + ROUND;
        while !self.living.is_empty() {
            let report = match self.next(round) {
                Event::Said(host, Ok(message)) => self.said(host, message)?,
                // Its end says why.
                Event::Said(host, Err(_)) => self.lost(host, &self.agents[host].place.wait())?,
                Event::Gone(host, reason) => self.lost(host, &reason)?,
                Event::Round => {
                    round = Instant::now() + ROUND;
                    self.ask()
                }
            };
            if let Some(report) = report {
                return Ok(report);
            }
        }
        Ok(match self.failed.take() {
            Some((rank, reason)) => self.failure(rank, reason),
            None => Report::Done,
        })
    }

    fn next(&self, round: Instant) -> Event {
        let (mut events, mut what) = (Vec::new(), Vec::new());
        for (host, agent) in self.agents.iter().enumerate().filter(|(_, agent)| !agent.gone) {
            events.push(Either::Left(Either::Left(agent.place.message())));
            events.push(Either::Left(Either::Right(agent.place.exited())));
            what.extend([host, host]);
        }
        events.push(Either::Right(at(round)));
        match sync(events) {
            (number, Either::Left(Either::Left(message))) => Event::Said(what[number], message),
            (number, Either::Left(Either::Right(reason))) => Event::Gone(what[number], reason),
            (_, Either::Right(())) => Event::Round,
        }
    }

    fn said(&mut self, host: usize, message: FromAgent) -> Result<Option<Report>, String> {
        match message {
            FromAgent::Want { rank } => {
                let of = self.hosts[rank as usize];
                self.tell(of as usize, ToAgent::Wanted { rank, host: host as u32 });
            }
            FromAgent::Inlet { rank, host, inlet } => self.tell(host as usize, ToAgent::Inlet { rank, inlet }),
            FromAgent::Ended { rank, reason } => return Ok(self.ended(rank, reason)),
            FromAgent::Waits { rank, waits } => {
                self.waits.insert(rank, waits);
            }
            FromAgent::Cannot { why } => return Err(why),
        }
        Ok(None)
    }

    fn ended(&mut self, rank: u32, reason: Reason) -> Option<Report> {
        if !self.living.remove(&rank) {
            return None;
        }
        if !ExitReason::from(reason.clone()).is_success() {
            if self.order.on_failure == OnFailure::End {
                return Some(self.failure(rank, reason));
            }
            self.failed.get_or_insert((rank, reason.clone()));
        }
        (0..self.agents.len()).for_each(|host| self.tell(host, ToAgent::Ended { rank, reason: reason.clone() }));
        None
    }

    /// The report of a rank that went wrong. The others end with this place.
    fn failure(&self, rank: u32, reason: Reason) -> Report {
        let host = self.agents[self.hosts[rank as usize] as usize].name.clone();
        Report::Failed { rank, host, reason }
    }

    /// An agent has ended: with its node, or because something is wrong with it. Its ranks are gone.
    fn lost(&mut self, host: usize, reason: &ExitReason) -> Result<Option<Report>, String> {
        self.agents[host].gone = true;
        if *reason != ExitReason::NodeLost {
            return Err(format!("the agent on `{}` {reason}", self.agents[host].name));
        }
        let ranks: Vec<u32> = self.living.iter().copied().filter(|rank| self.hosts[*rank as usize] as usize == host).collect();
        Ok(ranks.into_iter().find_map(|rank| self.ended(rank, Reason::NodeLost)))
    }

    /// An agent that is gone needs to hear nothing.
    fn tell(&self, host: usize, message: ToAgent) {
        let _ = self.agents[host].place.put(message);
    }

    /// Looks whether all wait for each other, and asks again.
    fn ask(&mut self) -> Option<Report> {
        let stuck = self.is_stuck();
        if stuck && self.waits == self.before {
            let line = |rank: &u32| format!("rank {rank}: {}", self.waits[rank].what);
            return Some(Report::Deadlock { waits: self.living.iter().map(line).collect() });
        }
        self.before = std::mem::take(&mut self.waits);
        self.round += 1;
        for waits in self.before.values_mut() {
            // What it says is compared, not when.
            waits.round = 0;
        }
        // Those who are done say no more.
        self.waits =
            self.before.iter().filter(|(rank, _)| !self.living.contains(rank)).map(|(rank, waits)| (*rank, waits.clone())).collect();
        (0..self.agents.len()).for_each(|host| self.tell(host, ToAgent::Report { round: self.round }));
        None
    }

    /// Whether each rank that lives waits, and no message is under way to any of them.
    fn is_stuck(&mut self) -> bool {
        for waits in self.waits.values_mut() {
            waits.round = 0;
        }
        let waits = |rank: u32| self.waits.get(&rank);
        self.living.iter().all(|&rank| {
            let Some(to) = waits(rank).filter(|waits| !waits.what.is_empty()) else { return false };
            // Of a rank that ended without a word nothing comes any more that has not been said to have come.
            (0..self.hosts.len() as u32).all(|from| {
                let received = to.received[from as usize];
                from == rank || waits(from).is_some_and(|from| from.sent[rank as usize] == received)
            })
        })
    }
}
