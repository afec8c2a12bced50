//! A server's clients, and the calls of theirs that are still to be answered.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use places::{Channel, Error, Happened, Level, Packet, Selector, Value};
use serde::Serialize;

use crate::error::Failure;
use crate::frame::{self, NO_CALL};
use crate::server::Shared;

/// The number of the channel that the server was started with: its parent is a client like any other, and new ones come there.
pub(crate) const OWN: u32 = 0;

/// Who is there, and who waits for what.
pub(crate) struct Desk {
    selector: Selector<u32>,
    clients: HashMap<u32, Client>,
    /// The number of the next client.
    next: u32,
    /// Answers that nobody may have before the state is kept, where it is.
    held: Option<Vec<(u32, Packet)>>,
}

#[derive(Default)]
struct Client {
    /// Calls whose handlers kept the reply for later.
    deferred: HashSet<u64>,
    /// Why none of its requests is handled.
    refusal: Option<Failure>,
}

impl Desk {
    /// With the channel that the server was started with.
    pub(crate) fn shared(own: Channel) -> Result<Shared, Error> {
        let mut desk = Self { selector: Selector::new(), clients: HashMap::new(), next: OWN, held: None };
        desk.add(own.typed())?;
        Ok(Rc::new(RefCell::new(desk)))
    }

    /// Waits for what happens next.
    pub(crate) fn wait(&mut self, max: u32) -> Result<Vec<(u32, Happened)>, Error> {
        self.selector.wait(max)
    }

    /// As [`Self::wait`], but so long at most.
    pub(crate) fn wait_for(&mut self, max: u32, time: Duration) -> Result<Vec<(u32, Happened)>, Error> {
        self.selector.wait_for(max, time)
    }

    /// As [`Self::wait`], or until a handler that waits can go on, or so long at most.
    pub(crate) fn wait_or_wake(&mut self, max: u32, time: Option<Duration>) -> Result<Vec<(u32, Happened)>, Error> {
        self.selector.wait_or_wake(max, time)
    }

    /// Sends the answers that have been given.
    pub(crate) fn flush(&mut self) {
        self.selector.flush();
    }

    /// Whether there is nobody left, and nobody can come.
    pub(crate) fn is_deserted(&self) -> bool {
        self.clients.is_empty()
    }

    /// Another client; one too many loses its channel.
    pub(crate) fn admit(&mut self, channel: Channel<Packet, Packet>) {
        if let Err(error) = self.add(channel) {
            places::log(Level::Warn, format!("another client cannot be served: {error}"));
        }
    }

    fn add(&mut self, channel: Channel<Packet, Packet>) -> Result<(), Error> {
        let client = self.next;
        self.next += 1;
        self.selector.add(client, channel)?;
        self.clients.insert(client, Client::default());
        Ok(())
    }

    /// A client has gone; nobody waits for what it had called.
    pub(crate) fn leave(&mut self, client: u32) {
        self.selector.remove(&client);
        self.clients.remove(&client);
    }

    /// A client did not keep to the protocol. The server's own channel stays, for others come by it.
    pub(crate) fn expel(&mut self, client: u32, why: &Error) {
        places::log(Level::Warn, format!("a client sent what is no request: {why}"));
        if client != OWN {
            self.leave(client);
        }
    }

    /// None of the client's requests will be handled.
    pub(crate) fn refuse(&mut self, client: u32, why: Failure) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.refusal = Some(why);
        }
    }

    /// Why none of the client's requests is handled.
    pub(crate) fn refusal(&self, client: u32) -> Option<Failure> {
        self.clients.get(&client)?.refusal.clone()
    }

    /// From now on answers are held until they are released.
    pub(crate) fn hold(&mut self) {
        self.held = Some(Vec::new());
    }

    /// Forgets the answers that are held, and holds no more.
    pub(crate) fn forget_held(&mut self) {
        self.held = None;
    }

    /// Gives the answers that were held.
    pub(crate) fn release(&mut self) {
        for (client, packet) in self.held.iter_mut().flat_map(std::mem::take) {
            // Who has gone meanwhile gets none.
            let _ = self.selector.put(&client, packet);
        }
    }

    /// Answers a call with its result; one without a number was a cast.
    pub(crate) fn answer<T: Serialize>(&mut self, client: u32, call: u64, value: &T) {
        if call != NO_CALL
            && let Err(Error::Encode(why)) = self.put(client, frame::result(call, value))
        {
            self.fail(client, call, &Failure::Answer(why));
        }
    }

    /// Says why a call has no result, or that a cast failed.
    pub(crate) fn fail(&mut self, client: u32, call: u64, why: &Failure) {
        // Who has gone meanwhile is not told.
        let _ = self.put(client, frame::failure(call, why));
    }

    fn put(&mut self, client: u32, answer: impl Serialize) -> Result<(), Error> {
        match &mut self.held {
            Some(held) => held.push((client, Packet::of(answer)?)),
            None => self.selector.put(&client, Value(answer))?,
        }
        Ok(())
    }

    /// A call will be answered later.
    pub(crate) fn defer(&mut self, client: u32, call: u64) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.deferred.insert(call);
        }
    }

    /// Whether an answer that was deferred is still waited for.
    pub(crate) fn is_wanted(&self, client: u32, call: u64) -> bool {
        self.clients.get(&client).is_some_and(|client| client.deferred.contains(&call))
    }

    /// An answer that was deferred is given now; whether it is still waited for.
    pub(crate) fn settle(&mut self, client: u32, call: u64) -> bool {
        self.clients.get_mut(&client).is_some_and(|client| client.deferred.remove(&call))
    }

    /// The client does not wait for a call any more. One that has been answered already is not answered again.
    pub(crate) fn cancel(&mut self, client: u32, call: u64) {
        if self.settle(client, call) {
            self.fail(client, call, &Failure::Cancelled);
        }
    }
}
