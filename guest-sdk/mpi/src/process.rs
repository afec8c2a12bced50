//! One rank's side of the job: its inbox, its ways to the others, and the wait in which both go on.
//!
//! Nothing runs beside the rank's own program: messages are taken from the inbox when it waits, sends or asks. While it waits for
//! room in another inbox it empties its own, so that ranks which all send before they receive do not wait for each other for ever.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};

use places::{Bytes, Channel, Either, sync};

use crate::datatype;
use crate::error::Error;
use crate::header::{Header, Kind, LEN, Notice};
use crate::matching::{Envelope, Matching, Pattern};
use crate::wire::{FromRank, Inlet, OnFailure, ToRank, Waits};

/// A longer message travels in pieces: what one link has under way at a time, and fits an inbox that is half empty.
const PIECE: usize = 1 << 20;
/// How many messages an inbox holds. As many as fill its bytes with short ones; the host's default would have senders wait too soon.
const INBOX: u32 = 8192;

pub(crate) struct Process {
    /// Its rank in the world.
    pub(crate) rank: usize,
    /// The number of the node that each rank runs on.
    pub(crate) hosts: Vec<u32>,
    on_failure: OnFailure,
    agent: Channel<ToRank, FromRank>,
    inbox: Channel,
    state: RefCell<State>,
    /// Whether its place says what it waits for.
    labelled: Cell<bool>,
}

#[derive(Default)]
struct State {
    inlets: Vec<Option<Inlet>>,
    /// What is to be sent once there is room, by rank.
    outgoing: BTreeMap<usize, VecDeque<Vec<u8>>>,
    matching: Matching,
    /// The first pieces of messages of which more are to come, by sender.
    partial: BTreeMap<u32, Envelope>,
    /// How ranks have ended that did not return.
    ended: BTreeMap<usize, String>,
    /// Those of them that no wildcard has been told of.
    untold: Vec<usize>,
    /// Which report of what this rank waits for is due.
    report: Option<u32>,
    sent: Vec<u64>,
    received: Vec<u64>,
    /// The message that is being sent, kept for its room.
    message: Vec<u8>,
    contexts: u32,
}

/// What a rank waits for, to be put into words if somebody asks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait<'a> {
    /// A message for a receive or a probe: from a rank in the world, if not from any.
    Message { what: &'a str, source: Option<usize>, tag: Option<u32> },
    /// A message of a collective operation.
    Collective { what: &'a str, sequence: u32, source: usize },
    /// Any of some requests.
    Requests(usize),
    /// Room in the inbox of a rank.
    Room(usize),
}

impl std::fmt::Display for Wait<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Message { what, source, tag } => {
                write!(f, "{what} waits for a message of ")?;
                match source {
                    Some(source) => write!(f, "rank {source}")?,
                    None => f.write_str("any rank")?,
                }
                tag.map_or(Ok(()), |tag| write!(f, " with tag {tag}"))
            }
            Self::Collective { what, sequence, source } => {
                write!(f, "{what}, collective operation {sequence} of its communicator, waits for rank {source}")
            }
            Self::Requests(count) => write!(f, "wait for {count} requests"),
            Self::Room(rank) => write!(f, "send waits for room in the inbox of rank {rank}"),
        }
    }
}

impl Process {
    /// Tells the agent where messages go, and asks who this is.
    pub(crate) fn begin(agent: Channel<ToRank, FromRank>) -> Result<Self, Error> {
        let (inbox, inlet) = Channel::pair_of::<Bytes, Bytes>(INBOX)?;
        let stranger = |why: places::Error| Error::Place(format!("this place was not started as a rank, by `mpirun` or `launch`: {why}"));
        agent.put(FromRank::Inlet(inlet)).map_err(stranger)?;
        let ToRank::Begin { rank, hosts, on_failure } = agent.get().map_err(stranger)? else {
            return Err(Error::Place("the agent of this node does not begin as agents do".into()));
        };
        let size = hosts.len();
        let state = State {
            inlets: std::iter::repeat_with(|| None).take(size).collect(),
            sent: vec![0; size],
            received: vec![0; size],
            contexts: 2,
            ..State::default()
        };
        places::label(&format!("rank {rank}"));
        Ok(Self { rank: rank as usize, hosts, on_failure, agent, inbox, state: RefCell::new(state), labelled: Cell::new(false) })
    }

    /// The number that the next communicator may have, as far as this rank knows.
    pub(crate) fn next_context(&self) -> u32 {
        self.state.borrow().contexts
    }

    /// Every number below this is taken.
    pub(crate) fn set_next_context(&self, next: u32) {
        self.state.borrow_mut().contexts = next;
    }

    /// How many messages nobody has asked for.
    pub(crate) fn unclaimed(&self) -> usize {
        self.state.borrow().matching.unclaimed()
    }

    /// How many messages there were to a rank in the world.
    pub(crate) fn messages_to(&self, rank: usize) -> u64 {
        self.state.borrow().sent[rank]
    }

    /// Sends a message to a rank in the world; true if some of it must wait for room.
    pub(crate) fn post(&self, to: usize, mut header: Header, body: &[u8]) -> Result<bool, Error> {
        let mut message = std::mem::take(&mut self.state.borrow_mut().message);
        let mut waits = false;
        let mut pieces = body.chunks(PIECE).peekable();
        loop {
            let piece = pieces.next().unwrap_or_default();
            header.more = pieces.peek().is_some();
            message.clear();
            message.reserve(LEN + piece.len());
            header.write(&mut message);
            message.extend_from_slice(piece);
            if to == self.rank {
                self.file(header, std::mem::take(&mut message), None);
            } else {
                waits = self.put(to, &mut message)?;
            }
            if !header.more {
                break;
            }
        }
        /// What one large message made larger than this is given back.
        const KEEP: usize = 1 << 20;
        if message.capacity() <= KEEP {
            self.state.borrow_mut().message = message;
        }
        Ok(waits)
    }

    /// Puts a message into an inbox, or behind those that wait for room there, which is true then.
    fn put(&self, to: usize, message: &mut Vec<u8>) -> Result<bool, Error> {
        if self.state.borrow().inlets[to].is_none() {
            self.open(to)?;
        }
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let inlet = state.inlets[to].as_ref().expect("it was opened");
        state.sent[to] += 1;
        if !state.outgoing.contains_key(&to) {
            match inlet.try_put(message.as_slice()) {
                Ok(()) => return Ok(false),
                Err(places::Error::WouldBlock) => {}
                Err(places::Error::Closed | places::Error::NodeLost) => {
                    state.inlets[to] = None;
                    return Err(self.how_ended(to));
                }
                Err(error) => return Err(error.into()),
            }
        }
        state.outgoing.entry(to).or_default().push_back(std::mem::take(message));
        Ok(true)
    }

    /// Asks the agent for a way to a rank.
    fn open(&self, to: usize) -> Result<(), Error> {
        match self.agent.put_get(FromRank::Want { rank: to as u32 })? {
            ToRank::Inlet { rank, inlet } if rank as usize == to => {
                self.state.borrow_mut().inlets[to] = Some(inlet);
                Ok(())
            }
            ToRank::Ended { rank, reason } => {
                Err(Error::Ended { rank: rank as usize, reason: places::ExitReason::from(reason).to_string() })
            }
            other => Err(Error::Place(format!("the agent of this node answers another question: {other:?}"))),
        }
    }

    /// How a rank ended whose inbox has gone. Where that ends the job, the end of this rank comes before the answer.
    fn how_ended(&self, rank: usize) -> Error {
        match self.agent.put_get(FromRank::Gone { rank: rank as u32 }) {
            Ok(ToRank::Ended { reason, .. }) => Error::Ended { rank, reason: places::ExitReason::from(reason).to_string() },
            Ok(other) => Error::Place(format!("the agent of this node answers another question: {other:?}")),
            Err(error) => error.into(),
        }
    }

    /// Waits until everything to this rank of the world has been put.
    pub(crate) fn flush(&self, to: usize) -> Result<(), Error> {
        while self.state.borrow().outgoing.contains_key(&to) {
            self.step(&Wait::Room(to), None)?;
        }
        Ok(())
    }

    /// Waits until everything has been put.
    pub(crate) fn flush_all(&self) -> Result<(), Error> {
        while let Some(to) = self.first_outgoing() {
            self.flush(to)?;
        }
        Ok(())
    }

    fn first_outgoing(&self) -> Option<usize> {
        self.state.borrow().outgoing.keys().next().copied()
    }

    /// Whether something to this rank still waits for room.
    pub(crate) fn is_pending(&self, to: usize) -> bool {
        self.state.borrow().outgoing.contains_key(&to)
    }

    /// Puts what waits for room, as far as there is some.
    fn pump(&self) -> Result<(), Error> {
        let mut state = self.state.borrow_mut();
        let State { outgoing, inlets, .. } = &mut *state;
        let mut failed = None;
        outgoing.retain(|to, queue| {
            while let (Some(message), Some(inlet)) = (queue.front(), &inlets[*to]) {
                match inlet.try_put(message.as_slice()) {
                    Ok(()) => drop(queue.pop_front()),
                    Err(places::Error::WouldBlock) => return true,
                    Err(places::Error::Closed | places::Error::NodeLost) => inlets[*to] = None,
                    Err(error) => {
                        failed = Some(Err(error.into()));
                        return false;
                    }
                }
            }
            if !queue.is_empty() {
                failed = Some(Ok(*to));
            }
            false
        });
        drop(state);
        match failed {
            None => Ok(()),
            Some(Ok(rank)) => Err(self.how_ended(rank)),
            Some(Err(error)) => Err(error),
        }
    }

    /// Waits for a message that fits. What comes meanwhile is kept.
    pub(crate) fn receive(&self, pattern: &Pattern, wait: &Wait<'_>) -> Result<Envelope, Error> {
        if let Some(envelope) = self.state.borrow_mut().matching.take(pattern) {
            return Ok(envelope);
        }
        loop {
            if let Some(envelope) = self.step(wait, Some(pattern))? {
                return Ok(envelope);
            }
        }
    }

    /// Waits until a message that fits is there, and says what its header says.
    pub(crate) fn probe(&self, pattern: &Pattern, wait: &Wait<'_>) -> Result<Header, Error> {
        loop {
            if let Some(header) = self.state.borrow().matching.peek(pattern) {
                return Ok(*header);
            }
            self.step(wait, None)?;
        }
    }

    /// The same without waiting.
    pub(crate) fn iprobe(&self, pattern: &Pattern) -> Result<Option<Header>, Error> {
        self.poll()?;
        Ok(self.state.borrow().matching.peek(pattern).copied())
    }

    pub(crate) fn request(&self, pattern: Pattern) -> u64 {
        self.state.borrow_mut().matching.request(pattern)
    }

    pub(crate) fn is_served(&self, request: u64) -> bool {
        self.state.borrow().matching.is_served(request)
    }

    pub(crate) fn collect(&self, request: u64) -> Option<Envelope> {
        self.state.borrow_mut().matching.collect(request)
    }

    pub(crate) fn cancel(&self, context: u32, request: u64) {
        self.state.borrow_mut().matching.cancel(context, request);
    }

    /// Takes what has come, and puts what there is room for, without waiting.
    pub(crate) fn poll(&self) -> Result<(), Error> {
        loop {
            match self.inbox.try_get() {
                Ok(message) => drop(self.arrive(message.0, None)?),
                Err(places::Error::WouldBlock) => return self.pump(),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for one thing to happen: a message comes, which is returned if it is the one waited for, or there is room where there was
    /// none.
    ///
    /// # Errors
    /// The source that is waited for has ended, where the job goes on without it.
    pub(crate) fn step(&self, wait: &Wait<'_>, pattern: Option<&Pattern>) -> Result<Option<Envelope>, Error> {
        self.check_ended(wait)?;
        if self.state.borrow().outgoing.is_empty() {
            return match self.next(wait)? {
                Some(message) => self.arrive(message, pattern),
                None => Ok(None),
            };
        }
        self.pump()?;
        if self.state.borrow().outgoing.is_empty() {
            return Ok(None);
        }
        match self.inbox.try_get() {
            Ok(message) => return self.arrive(message.0, pattern),
            Err(places::Error::WouldBlock) => {}
            Err(error) => return Err(error.into()),
        }
        self.report(wait)?;
        let message = self.wait_for_room()?;
        self.goes_on();
        message.map_or(Ok(None), |message| self.arrive(message.0, pattern))
    }

    /// Waits for a message, or for room where something waits for it.
    fn wait_for_room(&self) -> Result<Option<Bytes>, Error> {
        let state = self.state.borrow();
        let mut events = vec![Either::Left(self.inbox.message())];
        events.extend(state.outgoing.iter().filter_map(|(to, queue)| {
            let bytes = queue.front().map_or(0, Vec::len);
            Some(Either::Right(state.inlets[*to].as_ref()?.room(bytes)))
        }));
        match sync(events) {
            (_, Either::Left(message)) => Ok(Some(message?)),
            (_, Either::Right(_)) => Ok(None),
        }
    }

    /// The next message; nothing where a report was due and is given.
    fn next(&self, wait: &Wait<'_>) -> Result<Option<Vec<u8>>, Error> {
        if self.state.borrow().report.is_some() {
            return match self.inbox.try_get() {
                Ok(message) => Ok(Some(message.0)),
                Err(places::Error::WouldBlock) => self.report(wait).map(|()| None),
                Err(error) => Err(error.into()),
            };
        }
        let message = self.inbox.get()?.0;
        self.goes_on();
        Ok(Some(message))
    }

    /// It no longer waits for what its place says, if that says something.
    fn goes_on(&self) {
        if self.labelled.take() {
            places::label(&format!("rank {}", self.rank));
        }
    }

    /// Says what this rank waits for, if that was asked.
    fn report(&self, wait: &Wait<'_>) -> Result<(), Error> {
        let Some(round) = self.state.borrow_mut().report.take() else { return Ok(()) };
        places::label(&format!("rank {}: {wait}", self.rank));
        self.labelled.set(true);
        Ok(self.agent.put(FromRank::Waits(self.waits(round, wait.to_string())))?)
    }

    fn waits(&self, round: u32, what: String) -> Waits {
        let state = self.state.borrow();
        Waits { round, what, sent: state.sent.clone(), received: state.received.clone() }
    }

    /// Fails where nobody is left to end the wait.
    fn check_ended(&self, wait: &Wait<'_>) -> Result<(), Error> {
        if self.on_failure == OnFailure::End {
            return Ok(());
        }
        let mut state = self.state.borrow_mut();
        let needed = match wait {
            Wait::Message { source: Some(source), .. } | Wait::Collective { source, .. } => Some(*source),
            // Whom a wildcard waits for nobody knows. It is told of each rank once: a program that shares out work can go on.
            Wait::Message { source: None, .. } => state.untold.pop(),
            Wait::Requests(_) | Wait::Room(_) => None,
        };
        match needed.and_then(|rank| Some((rank, state.ended.get(&rank)?))) {
            Some((rank, reason)) => Err(Error::Ended { rank, reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Sorts a message that came.
    fn arrive(&self, message: Vec<u8>, pattern: Option<&Pattern>) -> Result<Option<Envelope>, Error> {
        let header = Header::read(&message)?;
        if header.kind == Kind::Notice {
            let mut state = self.state.borrow_mut();
            match Notice::read(&header, &message[LEN..]) {
                Notice::Report { round } => state.report = Some(round),
                Notice::Ended { rank, reason } => {
                    state.ended.insert(rank as usize, reason);
                    state.untold.push(rank as usize);
                }
            }
            return Ok(None);
        }
        match self.state.borrow_mut().received.get_mut(header.from as usize) {
            Some(count) => *count += 1,
            None => return Err(Error::Place(format!("a message came from rank {} of a job that has none", header.from))),
        }
        Ok(self.file(header, message, pattern))
    }

    fn file(&self, header: Header, message: Vec<u8>, pattern: Option<&Pattern>) -> Option<Envelope> {
        let state = &mut *self.state.borrow_mut();
        let envelope = match state.partial.remove(&header.from) {
            Some(mut begun) => {
                begun.append(&message);
                begun
            }
            None => Envelope::new(header, message),
        };
        if header.more {
            state.partial.insert(header.from, envelope);
            return None;
        }
        state.matching.arrive(envelope, pattern)
    }
}

impl Drop for Process {
    /// Says how many messages there were, so that those who still wait for one of this rank are known to wait in vain.
    fn drop(&mut self) {
        // An agent that is gone ends this place too.
        let _ = self.agent.put(FromRank::Waits(self.waits(0, String::new())));
    }
}

/// As what a message was sent, in words.
pub(crate) fn type_name(code: u32) -> String {
    datatype::name(code).map_or_else(|| format!("a type of the program's own ({code:08x})"), str::to_owned)
}
