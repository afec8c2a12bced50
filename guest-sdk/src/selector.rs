//! Waiting for many channels at once, registered once: the loop of a server.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::time::{Duration, Instant};

use crate::bindings::{channels, events, types};
use crate::event::Source;
use crate::message::{AsMessage, Attached};
use crate::options::nanos;
use crate::packet::Packet;
use crate::task::{self, reactor};
use crate::{Channel, Error, Event, ExitReason};

/// How many bytes of messages are taken at a time, and how many are put together before they are sent.
const BATCH: usize = 64 << 10;
/// From this size on, packing a message costs more than the call it saves.
const LARGE: usize = 8 << 10;

/// Many channels and other events, each registered under a key.
///
/// Where [`sync()`](crate::sync()) is told of all its events every time, a selector is told of each once, and a wait brings what came
/// from any of them, many messages in one call to the host. It costs the same however many are registered. What is put through it is
/// collected, and goes along with the next wait: that makes one call of a batch of requests and their replies.
///
/// ```no_run
/// # mod program {
/// use places::{Channel, Happened, Selector, Value};
///
/// /// Answers any number of clients; found by name, it gets an end of a channel for each.
/// #[places::start]
/// fn square(ch: Channel<Channel, ()>) -> places::Result {
///     let mut clients = Selector::new();
///     clients.add(0, ch)?;
///     for number in 1.. {
///         for (key, happened) in clients.wait(64)? {
///             match (key, happened) {
///                 (0, Happened::Message(mut client)) => drop(clients.add(number, client.read::<Channel>()?)?),
///                 (0, _) => return Ok(()),
///                 (_, Happened::Message(mut n)) => match n.read::<u64>() {
///                     Ok(n) => clients.put(&key, Value(n * n))?,
///                     Err(_) => drop(clients.remove(&key)),
///                 },
///                 _ => drop(clients.remove(&key)),
///             }
///         }
///     }
///     Ok(())
/// }
/// # }
/// # fn main() {}
/// ```
///
/// Readers of one end compete as ever: a selector takes the turns of its ends when it is waited for.
pub struct Selector<K> {
    raw: events::Selector,
    /// What is registered, by the number that the host knows it under.
    slots: Vec<Option<Slot<K>>>,
    free: Vec<usize>,
    numbers: HashMap<K, usize>,
    /// Messages to put, packed.
    puts: Vec<u8>,
    /// What is to be said by the next wait.
    unsaid: Vec<(K, Happened)>,
}

/// What happened to something registered.
#[derive(Debug)]
#[non_exhaustive]
pub enum Happened {
    /// A message came.
    Message(Packet),
    /// The other end of the channel is gone: no more messages will come. Said once; the channel stays registered.
    Closed,
    /// The node of the channel's other end is lost, or the node that was watched. Said once.
    NodeLost,
    /// The place has ended.
    Exited(ExitReason),
    /// The time has come.
    After,
    /// A message can be read from the channel, or there will be none.
    Readable,
    /// There is room in the channel.
    Room,
    /// A message that was put on the channel was not accepted, for a reason that waiting does not mend; it is lost.
    Refused(Error),
}

struct Slot<K> {
    key: K,
    what: What,
}

enum What {
    Channel(Line),
    /// Told once, then gone.
    Event,
}

/// A registered channel.
struct Line {
    end: channels::Channel,
    /// Messages that there was no room for, in order. As long as there are any nothing is read from this channel: who does not read
    /// its replies may not ask for more.
    held: VecDeque<(Vec<u8>, Attached)>,
    /// Whether it has been said that no more messages will come.
    ended: bool,
}

impl<K: Clone + Eq + Hash> Selector<K> {
    /// With nothing registered.
    pub fn new() -> Self {
        Self {
            raw: events::Selector::new(),
            slots: Vec::new(),
            free: Vec::new(),
            numbers: HashMap::new(),
            puts: Vec::new(),
            unsaid: Vec::new(),
        }
    }

    /// Registers an end of a channel, which stays until it is removed.
    ///
    /// # Errors
    /// [`Error::Exists`] where the key is taken; [`Error::Limit`] where this place has registered too many.
    pub fn add<G, P>(&mut self, key: K, channel: Channel<G, P>) -> Result<(), Error> {
        let end = channel.into_raw();
        self.register(key, |raw, number| {
            raw.add(number, &events::Event::Channel(&end))?;
            Ok(What::Channel(Line { end, held: VecDeque::new(), ended: false }))
        })
    }

    /// Registers an event of [`sync!`](crate::sync!) once: `place.exited()`, `monitor.ended()`, `node.lost()`, `after(time)`,
    /// `channel.room(bytes)`. When it has come its key is free again.
    ///
    /// # Errors
    /// As [`Self::add`], and [`Error::Invalid`] for `ready(&pollable)`.
    pub fn watch(&mut self, key: K, event: impl Event) -> Result<(), Error> {
        self.register(key, |raw, number| raw.add(number, &event.source()).map(|()| What::Event))
    }

    /// Forgets what is registered under a key. A channel is returned, without what was put on it and has not found room.
    pub fn remove(&mut self, key: &K) -> Option<Channel> {
        let number = *self.numbers.get(key)?;
        self.flush();
        self.raw.remove(number as u64);
        match self.release(number)?.what {
            What::Channel(line) => Some(Channel::new(line.end)),
            What::Event => None,
        }
    }

    /// How many are registered.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether nothing is registered.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Puts a message on a channel. It never waits: messages are collected until the next wait or [`Self::flush`], and those that there
    /// is no room for then are held here, in order. Nothing is read from a channel as long as messages to it are held. What nobody will
    /// read is dropped.
    ///
    /// # Errors
    /// [`Error::NotFound`] where no channel has that key; [`Error::Encode`].
    pub fn put(&mut self, key: &K, message: impl AsMessage<Packet>) -> Result<(), Error> {
        let number = *self.numbers.get(key).ok_or_else(no_channel)?;
        message.encode(|data, attached| self.put_raw(number, data, attached))?
    }

    /// Waits for what happens next, with as much more as has happened already: `max` at most. Those of one key are in their order.
    ///
    /// # Errors
    /// [`Error::Invalid`] where nothing is registered that could happen.
    pub fn wait(&mut self, max: u32) -> Result<Vec<(K, Happened)>, Error> {
        loop {
            let batch = self.take(&[], max, None)?;
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
    }

    /// As [`Self::wait`], for so long at most; nothing may have happened then.
    ///
    /// # Errors
    /// None but those of the host's limits.
    pub fn wait_for(&mut self, max: u32, time: Duration) -> Result<Vec<(K, Happened)>, Error> {
        let began = Instant::now();
        loop {
            let left = time.saturating_sub(began.elapsed());
            let batch = self.take(&[], max, Some(left))?;
            if !batch.is_empty() || left.is_zero() {
                return Ok(batch);
            }
        }
    }

    /// As [`Self::wait`], or for so long at most, for a loop that polls futures of its own beside: it returns, with nothing maybe, as
    /// soon as something has come that a future of this place awaits (see [`task`](crate::task)), whose waker it has called then.
    ///
    /// # Errors
    /// As [`Self::wait`], where no future waits either.
    pub fn wait_or_wake(&mut self, max: u32, time: Option<Duration>) -> Result<Vec<(K, Happened)>, Error> {
        task::refill();
        let (beside, timer) = reactor::lend(&self.raw);
        let happened = self.take(&beside.events(), max, time.into_iter().chain(timer).min());
        reactor::fire_due();
        happened
    }

    /// Sends what was put, without waiting.
    pub fn flush(&mut self) {
        if !self.puts.is_empty() {
            // Where nothing is waited for, the host has nothing to complain of.
            let batch = self.raw.wait(&self.puts, &[], 0, 0, Some(0));
            self.sent(batch.map(|batch| batch.refused).unwrap_or_default());
        }
    }

    fn register(&mut self, key: K, add: impl FnOnce(&events::Selector, u64) -> Result<What, types::Error>) -> Result<(), Error> {
        if self.numbers.contains_key(&key) {
            return Err(Error::Exists("something is registered under that key already".into()));
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        match add(&self.raw, number as u64) {
            Ok(what) => {
                self.slots[number] = Some(Slot { key: key.clone(), what });
                self.numbers.insert(key, number);
                Ok(())
            }
            Err(error) => {
                self.free.push(number);
                Err(error.into())
            }
        }
    }

    /// Frees a number that the host has forgotten.
    fn release(&mut self, number: usize) -> Option<Slot<K>> {
        let slot = self.slots.get_mut(number)?.take()?;
        self.numbers.remove(&slot.key);
        self.free.push(number);
        Some(slot)
    }

    fn line(&mut self, number: usize) -> Option<&mut Line> {
        match self.slots.get_mut(number)? {
            Some(Slot { what: What::Channel(line), .. }) => Some(line),
            _ => None,
        }
    }

    fn put_raw(&mut self, number: usize, data: &[u8], attached: Attached) -> Result<(), Error> {
        if !attached.is_empty() {
            // They can only be sent by a call that may wait: so they are held until there is room.
            self.flush();
            self.hold(number, data.to_vec(), attached);
            return Ok(());
        }
        if data.len() >= LARGE {
            self.flush();
        }
        let line = self.line(number).ok_or_else(no_channel)?;
        if !line.held.is_empty() {
            line.held.push_back((data.to_vec(), attached));
        } else if data.len() < LARGE {
            self.puts.extend_from_slice(&(number as u64).to_le_bytes());
            self.puts.extend_from_slice(&(data.len() as u32).to_le_bytes());
            self.puts.extend_from_slice(data);
            if self.puts.len() >= BATCH {
                self.flush();
            }
        } else if let Err(error) = line.end.try_put(data) {
            self.failed(number, data, error);
        }
        Ok(())
    }

    /// Holds a message until there is room; meanwhile nothing is read from that channel.
    fn hold(&mut self, number: usize, data: Vec<u8>, attached: Attached) {
        let Some(line) = self.line(number) else { return };
        line.held.push_back((data, attached));
        if line.held.len() == 1 {
            self.await_room(number);
        }
    }

    /// Waits for room in a channel instead of reading from it.
    fn await_room(&self, number: usize) {
        self.reregister(number, |line| {
            let bytes = line.held.front().map_or(0, |(data, _)| data.len());
            events::Event::Room((&line.end, bytes as u64))
        });
    }

    /// Registers another event of a channel in the place of the one before.
    fn reregister(&self, number: usize, event: impl FnOnce(&Line) -> events::Event<'_>) {
        if let Some(Some(Slot { what: What::Channel(line), .. })) = self.slots.get(number) {
            self.raw.remove(number as u64);
            // It takes what has just been given back, and so cannot fail.
            let _ = self.raw.add(number as u64, &event(line));
        }
    }

    /// After the messages in `puts` were handed over, but for those refused.
    fn sent(&mut self, refused: Vec<(u32, types::Error)>) {
        let puts = std::mem::take(&mut self.puts);
        let mut messages = unpack(&puts).zip(0u32..);
        for (index, error) in refused {
            if let Some(((number, data), _)) = messages.find(|&(_, at)| at == index) {
                self.failed(number, data, error);
            }
        }
        drop(messages);
        self.puts = puts;
        self.puts.clear();
    }

    /// A message was not put.
    fn failed(&mut self, number: usize, data: &[u8], error: types::Error) {
        match error {
            types::Error::WouldBlock => self.hold(number, data.to_vec(), Attached::default()),
            // Its reader has gone, which whoever reads is told as well.
            types::Error::Closed | types::Error::NodeLost => {}
            error => self.say(number, Happened::Refused(error.into())),
        }
    }

    fn say(&mut self, number: usize, what: Happened) {
        if let Some(Some(slot)) = self.slots.get(number) {
            self.unsaid.push((slot.key.clone(), what));
        }
    }

    /// There is room: sends what is held as far as it goes, and then reads again.
    fn release_held(&mut self, number: usize) {
        while let Some((data, attached)) = self.line(number).and_then(|line| line.held.pop_front()) {
            let Some(line) = self.line(number) else { return };
            let waits = !attached.is_empty();
            let result = if waits { line.end.send(attached.with(&data)) } else { line.end.try_put(&data) };
            match result {
                Err(types::Error::WouldBlock) => {
                    line.held.push_front((data, Attached::default()));
                    return self.await_room(number);
                }
                Err(types::Error::Closed | types::Error::NodeLost) => line.held.clear(),
                // A call that may wait must not be made twice where there was room once.
                Ok(()) if waits && !line.held.is_empty() => return self.await_room(number),
                Ok(()) => {}
                Err(error) => self.say(number, Happened::Refused(error.into())),
            }
        }
        self.reregister(number, |line| events::Event::Channel(&line.end));
    }

    fn take(&mut self, beside: &[(u64, Source<'_>)], max: u32, time: Option<Duration>) -> Result<Vec<(K, Happened)>, Error> {
        let timeout = if self.unsaid.is_empty() { time.map(nanos) } else { Some(0) };
        let batch = self.raw.wait(&self.puts, beside, max.max(1), BATCH as u32, timeout)?;
        self.sent(batch.refused);
        for (number, data) in unpack(&batch.packed) {
            self.say(number, Happened::Message(Packet::new(data.to_vec(), Attached::default())));
        }
        for (number, fired) in batch.fired {
            match number & reactor::FUTURE {
                0 => self.fired(number as usize, fired),
                _ => reactor::fire(number, fired),
            }
        }
        Ok(std::mem::take(&mut self.unsaid))
    }

    fn fired(&mut self, number: usize, fired: events::Fired) {
        let what = match fired {
            events::Fired::Message(mut message) => {
                let data = std::mem::take(&mut message.data);
                Happened::Message(Packet::new(data, message.into()))
            }
            events::Fired::Closed => Happened::Closed,
            events::Fired::NodeLost | events::Fired::NodeDown => Happened::NodeLost,
            events::Fired::Exit(reason) | events::Fired::Down(reason) => Happened::Exited(reason.into()),
            events::Fired::After => Happened::After,
            events::Fired::Readable => Happened::Readable,
            events::Fired::Room => Happened::Room,
            events::Fired::Pollable => unreachable!("a selector takes no pollables"),
        };
        let Some(line) = self.line(number) else {
            self.say(number, what);
            self.release(number);
            return;
        };
        match what {
            Happened::Room => self.release_held(number),
            // An end that was registered again says so again.
            Happened::Closed | Happened::NodeLost if line.ended => {}
            Happened::Closed | Happened::NodeLost => {
                line.ended = true;
                self.say(number, what);
            }
            _ => self.say(number, what),
        }
    }
}

impl<K: Clone + Eq + Hash> Default for Selector<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> Drop for Selector<K> {
    /// What was put is sent.
    fn drop(&mut self) {
        reactor::take_back(&self.raw);
        if !self.puts.is_empty() {
            let _ = self.raw.wait(&self.puts, &[], 0, 0, Some(0));
        }
    }
}

impl<K: fmt::Debug> fmt::Debug for Selector<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.numbers.keys()).finish()
    }
}

fn no_channel() -> Error {
    Error::NotFound("no channel is registered under that key".into())
}

/// The messages behind their numbers and lengths; the host and this file pack whole ones.
fn unpack(mut packed: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    std::iter::from_fn(move || {
        let (number, rest) = packed.split_first_chunk::<8>()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (data, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        packed = rest;
        Some((u64::from_le_bytes(*number) as usize, data))
    })
}
