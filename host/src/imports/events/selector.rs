//! Selectors: many events that are registered once.
//!
//! Each entry has a waker of its own, which puts the entry into a queue and wakes the place. So a wait looks only at entries that
//! something happened to, in turns, however many there are. An entry is charged to the place's account, for a place can register the
//! same end as often as it likes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::time::Sleep;
use wasmtime::component::Resource;

use super::{Event, First, Ready};
use crate::bindings::places::core::events::{Batch, Error, HostSelector};
use crate::channel::{After, Channel, Charge, GetError, Group, Looking, Share, Watched};
use crate::place::{LONGEST, MAX_HANDLES, State};

/// What an entry costs its place: about what it takes with its places in the queues and its waker.
const COST: u64 = 512;
/// How many messages of one end are taken before the next one's turn.
const TURN: usize = 16;
/// How many removed entries may be in the queue, however few there are.
const LEFTOVERS: usize = 64;

/// Many events, registered under keys. It is with who waits, and not here, while somebody does.
#[expect(unreachable_pub, reason = "the generated bindings, private too, name it in a `pub use`")]
pub struct Selector(Option<Box<Registry>>);

struct Registry {
    entries: HashMap<u64, Entry>,
    /// How many of them may still come.
    live: usize,
    queue: Arc<Queue>,
    /// In which its entries look at channels.
    group: Group,
    /// The number of the next entry.
    next: u64,
    /// In the last wait what is registered came before what was beside.
    looks_first: bool,
}

struct Entry {
    what: What,
    bell: Arc<Bell>,
    _charge: Charge,
}

enum What {
    /// Stays until it is removed.
    Channel(Watched),
    /// A channel that has ended, which can still be put to.
    Ended(Channel),
    /// Comes once.
    Once(Pin<Box<dyn Future<Output = Ready> + Send>>),
}

/// Wakes the place on behalf of one entry.
struct Bell {
    id: Id,
    /// Whether the entry is in the queue.
    rung: AtomicBool,
    queue: Arc<Queue>,
}

/// An entry's key, and its number, which no other has had: a key is free again when its entry is gone.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Id {
    key: u64,
    number: u64,
}

/// The entries to look at, and who waits for one. Some may be gone.
#[derive(Default)]
struct Queue(Mutex<Rung>);

#[derive(Default)]
struct Rung {
    entries: VecDeque<Id>,
    waiter: Option<Waker>,
}

/// What a wait has taken.
#[derive(Default)]
struct Taken {
    packed: Vec<u8>,
    messages: usize,
    fired: Vec<(u64, Ready)>,
}

impl HostSelector for State {
    fn new(&mut self) -> wasmtime::Result<Resource<Selector>> {
        Ok(self.table.push(Selector(Some(Box::new(Registry::new()))))?)
    }

    fn add(&mut self, selector: Resource<Selector>, key: u64, event: Event) -> wasmtime::Result<Result<(), Error>> {
        let what = match event {
            Event::Pollable(_) => {
                return Ok(Err(Error::Invalid("a pollable is not registered: it is waited for beside what is, or by `sync`".into())));
            }
            Event::Channel(end) => What::Channel(Watched::new(self.table.get(&end)?.clone())),
            Event::After(nanos) => {
                let sleep = sleep(nanos);
                What::Once(Box::pin(async move {
                    sleep.await;
                    Ready::After
                }))
            }
            Event::Readable(end) => {
                let mut looking = Looking::new(self.table.get(&end)?.clone(), self.registry(&selector)?.group);
                What::Once(Box::pin(std::future::poll_fn(move |cx| looking.poll(cx).map(|()| Ready::Readable))))
            }
            event => {
                let source = self.source(event)?;
                What::Once(Box::pin(async move {
                    let mut wait = source.wait();
                    std::future::poll_fn(|cx| wait.poll(cx)).await
                }))
            }
        };
        let charge = match self.owner.account.charge(COST) {
            Ok(charge) => charge,
            Err(error) => return Ok(Err(error.into())),
        };
        Ok(self.registry(&selector)?.add(key, what, charge))
    }

    fn remove(&mut self, selector: Resource<Selector>, key: u64) -> wasmtime::Result<bool> {
        Ok(self.registry(&selector)?.remove(key))
    }

    async fn wait(
        &mut self,
        selector: Resource<Selector>,
        puts: Vec<u8>,
        beside: Vec<(u64, Event)>,
        max: u32,
        max_bytes: u32,
        timeout: Option<u64>,
    ) -> wasmtime::Result<Result<Batch, Error>> {
        if beside.iter().any(|(_, event)| matches!(event, Event::After(_))) {
            return Ok(Err(Error::Invalid("a time is no event beside what is registered, but the `timeout`".into())));
        }
        let registry = self.registry(&selector)?;
        if registry.live == 0 && beside.is_empty() && max > 0 && timeout.is_none() {
            return Ok(Err(Error::Invalid("a selector over nothing would never end".into())));
        }
        let Some((put, refused)) = registry.put(&puts) else {
            return Ok(Err(Error::Invalid("the packed messages are cut short".into())));
        };
        let timeout = if refused.is_empty() && max > 0 { timeout } else { Some(0) };
        let turn = self.next_turn();
        let (sources, pollables) = self.sources(beside)?;
        // What is beside may be in the table only, which cannot be asked while something in it is in use.
        let mut registry = self.table.get_mut(&selector)?.0.take().ok_or_else(in_use)?;
        let mut first = First::of(&sources, self.pollables(pollables, turn / (sources.len() + 1)), turn);
        let taken = registry.wait(&mut first, Share::new(max as usize, max_bytes as usize), timeout).await?;
        drop(first);
        self.table.get_mut(&selector)?.0 = Some(registry);
        self.stats.put(put);
        self.stats.got(taken.messages);
        let fired = taken.fired.into_iter().map(|(key, ready)| Ok((key, self.fired(ready)?)));
        Ok(Ok(Batch { packed: taken.packed, fired: fired.collect::<wasmtime::Result<_>>()?, refused }))
    }

    fn drop(&mut self, selector: Resource<Selector>) -> wasmtime::Result<()> {
        self.table.delete(selector)?;
        Ok(())
    }
}

impl State {
    fn registry(&mut self, selector: &Resource<Selector>) -> wasmtime::Result<&mut Registry> {
        self.table.get_mut(selector)?.0.as_deref_mut().ok_or_else(in_use)
    }
}

/// A place has one thread, and while that waits it calls nothing.
fn in_use() -> wasmtime::Error {
    wasmtime::format_err!("a selector is in use while its place waits for it")
}

fn sleep(nanos: u64) -> Sleep {
    tokio::time::sleep(Duration::from_nanos(nanos).min(LONGEST))
}

impl What {
    /// What can be put to.
    fn channel(&self) -> Option<&Channel> {
        match self {
            Self::Channel(watched) => Some(watched.end()),
            Self::Ended(end) => Some(end),
            Self::Once(_) => None,
        }
    }
}

impl Registry {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let group = Group(NEXT.fetch_add(1, Ordering::Relaxed));
        Self { entries: HashMap::new(), live: 0, queue: Arc::default(), group, next: 0, looks_first: false }
    }

    fn add(&mut self, key: u64, what: What, charge: Charge) -> Result<(), Error> {
        if self.entries.contains_key(&key) {
            return Err(Error::Exists(format!("something is registered under the key {key} already")));
        }
        if self.entries.len() >= MAX_HANDLES {
            return Err(Error::Limit(format!("a selector holds at most {MAX_HANDLES} events")));
        }
        let id = Id { key, number: self.next };
        self.next += 1;
        let bell = Arc::new(Bell { id, rung: AtomicBool::new(false), queue: Arc::clone(&self.queue) });
        // It may have happened already: the next wait looks.
        bell.wake_by_ref();
        self.entries.insert(key, Entry { what, bell, _charge: charge });
        self.live += 1;
        Ok(())
    }

    fn remove(&mut self, key: u64) -> bool {
        let Some(entry) = self.entries.remove(&key) else { return false };
        self.live -= usize::from(!matches!(entry.what, What::Ended(_)));
        // Or a place that adds and removes, and never waits, would fill the queue. Looking for what is left of the removed only when
        // that may be most of it makes it a step for each.
        let mut queue = self.queue.lock();
        if queue.entries.len() > 2 * self.entries.len() + LEFTOVERS {
            queue.entries.retain(|id| self.entries.get(&id.key).is_some_and(|entry| entry.bell.id == *id));
        }
        true
    }

    /// Puts packed messages: how many were put, and which were not; or nothing where they are cut short. Those behind one that there
    /// was no room for may not overtake it.
    fn put(&self, packed: &[u8]) -> Option<(usize, Vec<(u32, Error)>)> {
        let messages = unpack(packed)?;
        let (mut refused, mut full) = (Vec::new(), HashSet::new());
        for ((key, data), index) in messages.iter().zip(0..) {
            if let Err(error) = self.put_one(*key, data, &mut full) {
                refused.push((index, error));
            }
        }
        Some((messages.len() - refused.len(), refused))
    }

    fn put_one(&self, key: u64, data: &[u8], full: &mut HashSet<u64>) -> Result<(), Error> {
        let Some(end) = self.entries.get(&key).and_then(|entry| entry.what.channel()) else {
            return Err(Error::NotFound(format!("no channel is registered under the key {key}")));
        };
        if full.contains(&key) {
            return Err(Error::WouldBlock);
        }
        let result = end.try_put(data.to_vec()).map_err(Error::from);
        if matches!(result, Err(Error::WouldBlock)) {
            full.insert(key);
        }
        result
    }

    /// Takes what is there, up to a share; where nothing is, waits for it, for the first of what is beside, or for the time.
    async fn wait(&mut self, first: &mut First<'_, u64>, mut share: Share, timeout: Option<u64>) -> wasmtime::Result<Taken> {
        let mut taken = Taken::default();
        let mut plain = Vec::new();
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        // Where the share is of one, each has every second.
        self.looks_first = !self.looks_first;
        let looks_first = self.looks_first;
        std::future::poll_fn(|cx| {
            for looks in [looks_first, !looks_first] {
                if looks {
                    self.look(cx, &mut share, &mut plain, &mut taken);
                } else if !share.is_spent()
                    && let Poll::Ready(ready) = first.poll(cx)
                {
                    share.take(0);
                    taken.fired.push(ready?);
                }
            }
            if taken.messages > 0 || !taken.fired.is_empty() || timeout == Some(0) {
                return Poll::Ready(Ok(()));
            }
            let Some(nanos) = timeout else { return Poll::Pending };
            let timer = timer.get_or_insert_with(|| Box::pin(sleep(nanos)));
            timer.as_mut().poll(cx).map(Ok)
        })
        .await
        .map(|()| taken)
    }

    /// Looks at the entries in the queue, each in its turn, until the share is used up, the queue is empty, or a message came that is
    /// not plain.
    fn look(&mut self, cx: &Context<'_>, share: &mut Share, plain: &mut Vec<Vec<u8>>, taken: &mut Taken) {
        // Those that are done go when all have been looked at: one that looked at a channel leaves the next to look too, which there is
        // no reason for before its place could take the message.
        let mut done = Vec::new();
        while !share.is_spent()
            && let Some(id) = self.queue.pop(cx)
        {
            let key = id.key;
            let Some(entry) = self.entries.get_mut(&key).filter(|entry| entry.bell.id == id) else { continue };
            // Before the look: what happens after it rings again.
            entry.bell.rung.store(false, Ordering::Release);
            let waker = Waker::from(Arc::clone(&entry.bell));
            let cx = &mut Context::from_waker(&waker);
            match &mut entry.what {
                What::Channel(watched) => {
                    let after = watched.poll_share(cx, TURN, share, plain);
                    let is_too_large = plain.is_empty();
                    taken.pack(key, plain);
                    match after {
                        Poll::Pending => {}
                        Poll::Ready(After::More) => {
                            entry.bell.again();
                            // It would be looked at again and again.
                            if is_too_large {
                                return;
                            }
                        }
                        Poll::Ready(After::Attached(message)) => {
                            taken.fired.push((key, Ready::Message(message)));
                            entry.bell.again();
                            // A plain message behind it would be told before it.
                            return;
                        }
                        Poll::Ready(After::Ended(ending)) => {
                            taken.fired.push((key, Ready::Ended(GetError::from(ending))));
                            entry.what = What::Ended(watched.end().clone());
                            self.live -= 1;
                        }
                    }
                }
                What::Ended(_) => {}
                What::Once(once) => {
                    if let Poll::Ready(ready) = once.as_mut().poll(cx) {
                        share.take(0);
                        taken.fired.push((key, ready));
                        done.extend(self.entries.remove(&key));
                        self.live -= 1;
                    }
                }
            }
        }
    }
}

impl Taken {
    fn pack(&mut self, key: u64, plain: &mut Vec<Vec<u8>>) {
        self.messages += plain.len();
        self.packed.reserve(plain.iter().map(|data| data.len() + 12).sum());
        for data in plain.drain(..) {
            self.packed.extend_from_slice(&key.to_le_bytes());
            // A message has at most `MAX_MESSAGE` bytes, which fit.
            self.packed.extend_from_slice(&(data.len() as u32).to_le_bytes());
            self.packed.extend_from_slice(&data);
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            let waiter = {
                let mut rung = self.queue.lock();
                rung.entries.push_back(self.id);
                rung.waiter.take()
            };
            waiter.into_iter().for_each(Waker::wake);
        }
    }
}

impl Bell {
    /// Another look, after everybody else's turn. Who looks is awake.
    fn again(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.queue.lock().entries.push_back(self.id);
        }
    }
}

impl Queue {
    /// The next entry; where there is none, who looks for it is woken when there is.
    fn pop(&self, cx: &Context<'_>) -> Option<Id> {
        let mut rung = self.lock();
        let id = rung.entries.pop_front();
        if id.is_none() {
            rung.waiter = Some(cx.waker().clone());
        }
        id
    }

    fn lock(&self) -> MutexGuard<'_, Rung> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The messages behind their keys and lengths, or nothing where the last one is cut short.
fn unpack(mut packed: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let mut messages = Vec::new();
    while !packed.is_empty() {
        let (key, rest) = packed.split_first_chunk::<8>()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (data, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        messages.push((u64::from_le_bytes(*key), data));
        packed = rest;
    }
    Some(messages)
}
