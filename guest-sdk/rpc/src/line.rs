//! A client's connection to one life of a server: what was asked, and what was answered.

use std::collections::{HashMap, HashSet};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use places::{Channel, Error, Packet, Value, after, at, sync};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{CallError, Failure};
use crate::frame::{self, Answer, Hello, NO_CALL, PROTOCOL};

/// What a client expects of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub struct Interface {
    /// What the server is.
    pub name: &'static str,
    /// Its version.
    pub version: u32,
}

pub(crate) struct Line {
    channel: Channel<Packet, Packet>,
    interface: Interface,
    /// Whether the server has been told what is expected of it.
    greeted: bool,
    /// The number of the last call.
    last: u64,
    /// Calls that have not been answered, also those that nobody waits for any more: every call is answered once.
    open: usize,
    /// Calls that somebody will ask for.
    wanted: HashSet<u64>,
    /// Answers to those.
    answers: HashMap<u64, Packet>,
    /// Who awaits the answer to a call: whoever reads it from the channel may be waiting for another.
    waiting: HashMap<u64, Waker>,
    /// Whether there were casts since the last answer: the server may have answered some, and then waits for room as for calls.
    said: bool,
    /// A cast that the server could not handle, until the next call tells of it.
    cast: Option<Failure>,
    /// Why nothing more will come.
    lost: Option<Error>,
}

impl Line {
    pub(crate) fn new(channel: Channel<Packet, Packet>, interface: Interface) -> Self {
        let (wanted, answers, waiting) = Default::default();
        Self { channel, interface, greeted: false, last: NO_CALL, open: 0, wanted, answers, waiting, said: false, cast: None, lost: None }
    }

    /// Whether the server is gone, as far as can be seen.
    pub(crate) fn is_lost(&mut self) -> bool {
        self.look(|_| false);
        self.lost.is_some()
    }

    /// Calls and waits for the answer.
    pub(crate) fn call<T: DeserializeOwned>(
        &mut self,
        method: &str,
        arguments: impl Serialize,
        time: Option<Duration>,
    ) -> Result<T, CallError> {
        if time.is_some() || self.open > 0 || self.said || !self.greeted {
            let deadline = Deadline::after(time);
            let call = self.begin(method, arguments, deadline)?;
            let result = self.end(call, deadline)?;
            // What failed of the casts before it has been told before its answer.
            self.said &= self.open > 0;
            return Ok(result);
        }
        self.ready()?;
        // Nothing else is under way, so that the next message is the answer: one call to the host for both.
        let call = self.number();
        let packet = self.channel.put_get(Value((call, method, arguments))).map_err(|error| self.lose_or_refuse(error))?;
        if frame::answers(&packet) == Some(call) {
            return result(packet);
        }
        self.open = 1;
        self.wanted.insert(call);
        self.accept(packet);
        self.end(call, Deadline::NEVER)
    }

    /// Calls, and returns the number to ask for the answer by.
    pub(crate) fn begin(&mut self, method: &str, arguments: impl Serialize, deadline: Deadline) -> Result<u64, CallError> {
        self.ready()?;
        let call = self.number();
        self.put(|| (call, method, &arguments), deadline)?;
        self.open += 1;
        self.wanted.insert(call);
        Ok(call)
    }

    /// Casts.
    pub(crate) fn cast(&mut self, method: &str, arguments: impl Serialize, time: Option<Duration>) -> Result<(), CallError> {
        self.ready()?;
        self.said = true;
        self.put(|| (method, &arguments), Deadline::after(time))
    }

    /// Waits for the answer to a call.
    pub(crate) fn end<T: DeserializeOwned>(&mut self, call: u64, deadline: Deadline) -> Result<T, CallError> {
        loop {
            if let Some(packet) = self.answers.remove(&call) {
                self.wanted.remove(&call);
                return result(packet);
            }
            if let Some(error) = &self.lost {
                return Err(CallError::Lost(error.clone()));
            }
            if !self.receive(deadline) {
                self.cancel(call);
                return Err(CallError::TimedOut(deadline.time));
            }
        }
    }

    /// Whether the answer to a call is there, or never will be.
    pub(crate) fn has_ended(&mut self, call: u64) -> bool {
        self.look(|line| line.answers.contains_key(&call));
        self.lost.is_some() || self.answers.contains_key(&call)
    }

    /// As [`Self::has_ended`], for who awaits it and is to be woken when somebody else has read the answer.
    pub(crate) fn poll_ended(&mut self, call: u64, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_ended(call) {
            self.waiting.remove(&call);
            return Poll::Ready(());
        }
        self.waiting.insert(call, cx.waker().clone());
        Poll::Pending
    }

    /// A handle of one's own to what the answers come by.
    pub(crate) fn channel(&self) -> Channel<Packet, Packet> {
        self.channel.clone()
    }

    /// Takes what has come, until that suffices.
    fn look(&mut self, suffices: impl Fn(&Self) -> bool) {
        while self.lost.is_none() && !suffices(self) {
            match self.channel.try_get() {
                Ok(packet) => self.accept(packet),
                Err(Error::WouldBlock) => return,
                Err(error) => self.lose(error),
            }
        }
    }

    /// Nobody will ask for the answer to a call.
    pub(crate) fn cancel(&mut self, call: u64) {
        self.answers.remove(&call);
        self.waiting.remove(&call);
        if self.wanted.remove(&call) && self.lost.is_none() {
            // It only spares the server work: where there is no room for it, that is the server's loss.
            let _ = self.channel.try_put(Value([call]));
        }
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Whether a request can be made.
    fn ready(&mut self) -> Result<(), CallError> {
        if let Some(error) = &self.lost {
            return Err(CallError::Lost(error.clone()));
        }
        if let Some(failure) = self.cast.take() {
            return Err(CallError::Cast(Box::new(failure.into())));
        }
        if !self.greeted {
            self.greeted = true;
            let Interface { name, version } = self.interface;
            self.put(|| Hello { rpc: PROTOCOL, interface: name.into(), version }, Deadline::NEVER)?;
        }
        Ok(())
    }

    /// Puts a request. Where there is no room for it, answers are read meanwhile: or a server that waits for room for its answers, and
    /// a client that waits for room for its requests, would wait for each other.
    fn put<T: Serialize>(&mut self, request: impl Fn() -> T, deadline: Deadline) -> Result<(), CallError> {
        loop {
            match self.channel.try_put(Value(request())) {
                Err(Error::WouldBlock) => {}
                result => return result.map_err(|error| self.lose_or_refuse(error)),
            }
            // One with ends of channels in it would have waited: so this is another copy of bytes alone.
            let bytes = Packet::of(request()).map_or(0, |packet| packet.bytes().len());
            let came = sync! {
                packet = self.channel.get() => Some(packet),
                _ = self.channel.room(bytes) => None,
                _ = deadline.event() => return Err(CallError::TimedOut(deadline.time)),
            };
            match came {
                Some(Ok(packet)) => self.accept(packet),
                Some(Err(error)) => self.lose(error),
                None => {}
            }
            if let Some(error) = &self.lost {
                return Err(CallError::Lost(error.clone()));
            }
        }
    }

    /// Takes the answers that come next; false where the time is over.
    fn receive(&mut self, deadline: Deadline) -> bool {
        if deadline.at.is_none() {
            match self.channel.get_many() {
                Ok(packets) => packets.into_iter().for_each(|packet| self.accept(packet)),
                Err(error) => self.lose(error),
            }
            return true;
        }
        sync! {
            packet = self.channel.get() => match packet {
                Ok(packet) => self.accept(packet),
                Err(error) => self.lose(error),
            },
            _ = deadline.event() => return false,
        }
        true
    }

    fn accept(&mut self, mut packet: Packet) {
        match frame::answers(&packet) {
            Some(NO_CALL) => {
                if let Ok(Answer::<()>(Err(failure))) = packet.read() {
                    self.cast.get_or_insert(failure);
                }
            }
            Some(call) => {
                self.open = self.open.saturating_sub(1);
                if self.wanted.contains(&call) {
                    self.answers.insert(call, packet);
                }
                if let Some(waiting) = self.waiting.remove(&call) {
                    waiting.wake();
                }
            }
            None => self.lose(Error::Decode("what came is no answer".into())),
        }
    }

    fn lose(&mut self, error: Error) {
        self.lost.get_or_insert(error);
        self.waiting.drain().for_each(|(_, waiting)| waiting.wake());
    }

    /// The error of a request that was not sent, and whether the server is lost with it.
    fn lose_or_refuse(&mut self, error: Error) -> CallError {
        match error {
            Error::Closed | Error::NodeLost => {
                self.lose(error.clone());
                CallError::Lost(error)
            }
            error => CallError::Request(error),
        }
    }
}

/// What an answer says.
fn result<T: DeserializeOwned>(mut packet: Packet) -> Result<T, CallError> {
    match packet.read() {
        Ok(Answer(Ok(value))) => Ok(value),
        Ok(Answer(Err(failure))) => Err(failure.into()),
        Err(error) => Err(CallError::Answer(error.to_string())),
    }
}

/// Until when somebody waits.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    at: Option<Instant>,
    time: Duration,
}

impl Deadline {
    pub(crate) const NEVER: Self = Self { at: None, time: Duration::MAX };

    /// From now on for so long, or for ever.
    pub(crate) fn after(time: Option<Duration>) -> Self {
        time.map_or(Self::NEVER, |time| Self { at: Instant::now().checked_add(time), time })
    }

    pub(crate) fn has_passed(self) -> bool {
        self.at.is_some_and(|at| at <= Instant::now())
    }

    pub(crate) fn event(self) -> places::Timer {
        self.at.map_or(after(Duration::MAX), at)
    }
}
