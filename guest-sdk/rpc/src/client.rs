//! A server, as its clients see it.

use std::cell::RefCell;
use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use places::{Channel, Either, Error, Node, Packet, after, sync, task};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::CallError;
use crate::line::{Deadline, Interface, Line};

/// How long a client that reconnects looks for a server's successor, unless it has a time-out.
const PATIENCE: Duration = Duration::from_secs(10);
/// How soon it looks again at first; each time twice as late, up to the other.
const SOON: Duration = Duration::from_millis(1);
const LATE: Duration = Duration::from_millis(100);

/// What the clients that `#[places_rpc::server]` makes are built on. Clones share a connection.
#[doc(hidden)]
#[derive(Clone)]
pub struct Client {
    shared: Rc<Shared>,
    time_out: Option<Duration>,
}

struct Shared {
    interface: Interface,
    /// The connection; another one, once its server has been lost and a successor found.
    line: RefCell<Rc<RefCell<Line>>>,
    /// Where a successor is looked for.
    origin: Option<Origin>,
}

struct Origin {
    sites: RefCell<Sites>,
    name: String,
}

/// The nodes where a server may be, and at which of them it was last.
struct Sites {
    list: Vec<Site>,
    current: usize,
}

/// A node, known by where it listens: one that comes back is another.
struct Site {
    address: Option<String>,
    node: Option<Node>,
}

/// A call whose answer has not been asked for yet. [`join`](Self::join) waits for it, and so does `.await`, which lets other futures of
/// the place go on meanwhile (see [`places::task`]).
///
/// Dropping it cancels the call: a server that has not begun with it will not.
#[must_use = "a call that is dropped is cancelled"]
pub struct Pending<T> {
    line: Rc<RefCell<Line>>,
    call: u64,
    time_out: Option<Duration>,
    types: PhantomData<fn() -> T>,
}

impl Client {
    /// Of whoever is at the other end.
    pub fn over<G, P>(interface: Interface, channel: Channel<G, P>) -> Self {
        Self::new(interface, channel.typed(), None)
    }

    /// Of the place of that name.
    pub fn connect(interface: Interface, node: &Node, name: &str) -> Result<Self, CallError> {
        let channel = node.lookup::<Packet, Packet>(name).map_err(CallError::Connect)?;
        Ok(Self::new(interface, channel, None))
    }

    /// Of the place of that name, and of its successors.
    pub fn reconnecting(interface: Interface, node: &Node, name: &str) -> Result<Self, CallError> {
        let sites = vec![Site { address: node.address(), node: Some(node.clone()) }];
        Self::of(interface, sites, name)
    }

    /// Of the place of that name at one of these addresses, and of its successors there.
    pub fn following(interface: Interface, nodes: Vec<String>, name: &str) -> Result<Self, CallError> {
        let sites = nodes.into_iter().map(|address| Site { address: Some(address), node: None }).collect();
        Self::of(interface, sites, name)
    }

    fn of(interface: Interface, list: Vec<Site>, name: &str) -> Result<Self, CallError> {
        let origin = Origin { sites: RefCell::new(Sites { list, current: 0 }), name: name.to_owned() };
        let channel = origin.look_up(PATIENCE)?;
        Ok(Self::new(interface, channel, Some(origin)))
    }

    fn new(interface: Interface, channel: Channel<Packet, Packet>, origin: Option<Origin>) -> Self {
        let line = RefCell::new(Rc::new(RefCell::new(Line::new(channel, interface))));
        Self { shared: Rc::new(Shared { interface, line, origin }), time_out: None }
    }

    /// The same, whose calls wait for so long at most.
    pub fn within(&self, time: Duration) -> Self {
        Self { shared: Rc::clone(&self.shared), time_out: Some(time) }
    }

    /// Calls a method, and waits for its result.
    pub fn call<T: DeserializeOwned>(&self, method: &str, arguments: impl Serialize) -> Result<T, CallError> {
        self.line()?.borrow_mut().call(method, arguments, self.time_out)
    }

    /// Calls a method, whose result can be asked for later.
    pub fn call_async<T>(&self, method: &str, arguments: impl Serialize) -> Result<Pending<T>, CallError> {
        let line = self.line()?;
        let call = line.borrow_mut().begin(method, arguments, Deadline::after(self.time_out))?;
        Ok(Pending { line, call, time_out: self.time_out, types: PhantomData })
    }

    /// Casts to a method: says something, and does not wait.
    pub fn cast(&self, method: &str, arguments: impl Serialize) -> Result<(), CallError> {
        self.line()?.borrow_mut().cast(method, arguments, self.time_out)
    }

    /// The connection; to the server's successor, where the server is lost and one is to be looked for.
    fn line(&self) -> Result<Rc<RefCell<Line>>, CallError> {
        let mut line = self.shared.line.borrow_mut();
        if let Some(origin) = &self.shared.origin
            && line.borrow_mut().is_lost()
        {
            let channel = origin.look_up(self.time_out.unwrap_or(PATIENCE))?;
            *line = Rc::new(RefCell::new(Line::new(channel, self.shared.interface)));
        }
        Ok(Rc::clone(&line))
    }
}

impl Origin {
    /// Looks until a place of that name is there, for so long at most.
    fn look_up(&self, time: Duration) -> Result<Channel<Packet, Packet>, CallError> {
        let deadline = Instant::now().checked_add(time);
        let mut pause = SOON;
        loop {
            let error = match self.sites.borrow_mut().look_up(&self.name) {
                Ok(channel) => return Ok(channel),
                Err(error @ (Error::NotFound(_) | Error::Limit(_) | Error::NodeLost | Error::Unreachable(_))) => error,
                Err(error) => return Err(CallError::Connect(error)),
            };
            if deadline.is_some_and(|deadline| Instant::now() + pause > deadline) {
                return Err(CallError::Connect(error));
            }
            sync! { _ = after(pause) => {} }
            pause = (pause * 2).min(LATE);
        }
    }
}

impl Sites {
    /// Looks once at each, from the current one on; where none has it, the error is that of the last.
    fn look_up(&mut self, name: &str) -> Result<Channel<Packet, Packet>, Error> {
        let mut last = Error::NotFound(format!("nobody is called `{name}` on no nodes: name those that it may be on"));
        for step in 0..self.list.len() {
            let index = (self.current + step) % self.list.len();
            match self.list[index].look_up(name) {
                Ok(channel) => {
                    self.current = index;
                    return Ok(channel);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Site {
    /// A node that is lost may be back under its address; the next look finds out, for that can take longer than to look elsewhere.
    fn look_up(&mut self, name: &str) -> Result<Channel<Packet, Packet>, Error> {
        let node = match (&self.node, &self.address) {
            (Some(node), _) => node,
            (None, Some(address)) => self.node.insert(Node::connect(address)?),
            (None, None) => return Err(Error::NodeLost),
        };
        let result = node.lookup(name);
        if matches!(result, Err(Error::NodeLost)) {
            self.node = None;
        }
        result
    }
}

impl<T: DeserializeOwned> Pending<T> {
    /// Waits for the result.
    ///
    /// # Errors
    /// [`CallError`]
    pub fn join(self) -> Result<T, CallError> {
        self.line.borrow_mut().end(self.call, Deadline::after(self.time_out))
    }

    async fn answered(self) -> Result<T, CallError> {
        let deadline = Deadline::after(self.time_out);
        // The connection itself is not held while this waits.
        let channel = self.line.borrow().channel();
        loop {
            let ended = poll_fn(|cx| self.line.borrow_mut().poll_ended(self.call, cx));
            let more = task::race(channel.readable(), deadline.event());
            if matches!(task::race(ended, more).await, Either::Left(())) || deadline.has_passed() {
                return self.line.borrow_mut().end(self.call, deadline);
            }
        }
    }
}

impl<T: DeserializeOwned + 'static> IntoFuture for Pending<T> {
    type Output = Result<T, CallError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.answered())
    }
}

impl<T> Pending<T> {
    /// Whether [`Self::join`] would not wait.
    pub fn is_ready(&self) -> bool {
        self.line.borrow_mut().has_ended(self.call)
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        // After a `join` there is nothing to cancel.
        self.line.borrow_mut().cancel(self.call);
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Interface { name, version } = self.shared.interface;
        f.debug_struct("Client").field("interface", &name).field("version", &version).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("call", &self.call).finish_non_exhaustive()
    }
}
