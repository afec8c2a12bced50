//! The loop of a server: requests of all its clients, one after another.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use places::{Channel, Happened, Level, Packet};
use serde::Deserializer;

use crate::call::Call;
use crate::desk::{Desk, OWN};
use crate::error::Failure;
use crate::frame::{self, For, Frame, Opening};
use crate::tasks::{Handled, Tasks};
use crate::{keeper, panic};

/// How many requests are taken at a time.
const BATCH: u32 = 64;

/// A handler that takes longer holds up the answers that were given before it.
const QUICK: Duration = Duration::from_micros(20);

/// How long a server that keeps its state waits for its keeper, which whoever starts it hands it at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// What `#[places_rpc::server]` makes of an `impl` block.
pub trait Server: Sized + 'static {
    /// What its clients expect it to be.
    const INTERFACE: &'static str;
    /// Raised when a change breaks who was built before it.
    const VERSION: u32;
    /// Its methods, with their parameters.
    const METHODS: &'static [&'static str];

    /// A method and its arguments.
    #[doc(hidden)]
    type Request;

    /// With its state as it begins.
    #[doc(hidden)]
    fn start() -> Self;

    /// The number of a method.
    #[doc(hidden)]
    fn method(name: &str) -> Option<usize>;

    /// Reads the arguments of a method.
    #[doc(hidden)]
    fn read<'de, D: Deserializer<'de>>(method: usize, arguments: D) -> Result<Self::Request, D::Error>;

    /// Handles a request, or begins to.
    #[doc(hidden)]
    fn handle(this: &mut Rc<Self>, request: Self::Request, call: Call) -> Handled;
}

/// Who is waiting for what, shared with the replies that are still to be given.
pub(crate) type Shared = Rc<RefCell<Desk>>;

/// Serves until nobody can be a client any more: a private server until its clients have gone, a named one for ever.
#[doc(hidden)]
pub fn serve<S: Server>(channel: Channel) -> places::Result {
    let desk = Desk::shared(channel)?;
    Loop::new(S::start(), desk, |_: &S| Ok(())).run(Vec::new())
}

/// As [`serve`], with the state that a keeper has, which is given every change.
#[doc(hidden)]
pub fn serve_kept<S: Server + keeper::Kept>(channel: Channel) -> places::Result {
    let desk = Desk::shared(channel)?;
    let (mut early, began) = (Vec::new(), Instant::now());
    let keeper = loop {
        let left = PATIENCE.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Err(format!(
                "nobody gave `{}` its keeper within {PATIENCE:?}: start it by `Keeper::start`, or call `Keeper::keep` with it",
                S::INTERFACE
            )
            .into());
        }
        let batch = desk.borrow_mut().wait_for(BATCH, left)?;
        let mut found = None;
        for (client, happened) in batch {
            match (client, happened) {
                (OWN, Happened::Message(mut packet)) if found.is_none() => match Opening::read(&mut packet) {
                    Ok(Opening::Keeper(keeper)) => found = Some(keeper),
                    Ok(Opening::Client(channel)) => desk.borrow_mut().admit(channel),
                    _ => early.push((client, Happened::Message(packet))),
                },
                (OWN, Happened::Closed | Happened::NodeLost) if found.is_none() => return Ok(()),
                other => early.push(other),
            }
        }
        if let Some(keeper) = found {
            break keeper;
        }
    };
    let store = keeper::Store::over(keeper);
    let server = store.load()?.map_or_else(S::start, S::restore);
    desk.borrow_mut().hold();
    Loop::new(server, desk, |server: &S| Ok(store.save(&server.snapshot())?)).run(early)
}

struct Loop<S, F> {
    server: Rc<S>,
    desk: Shared,
    tasks: Tasks,
    /// Told of the state after a batch in which it may have changed, before anybody is told of the results.
    changed: F,
    /// Of each method, whether it was quick when it was last timed.
    quick: Vec<bool>,
    /// When the request before this one was done, as long as that is of interest.
    clock: Option<Instant>,
}

impl<S: Server, F: Fn(&S) -> places::Result> Loop<S, F> {
    fn new(server: S, desk: Shared, changed: F) -> Self {
        Self { server: Rc::new(server), desk, tasks: Tasks::default(), changed, quick: vec![false; S::METHODS.len()], clock: None }
    }

    fn run(mut self, mut batch: Vec<(u32, Happened)>) -> places::Result {
        panic::tell_callers(&self.desk);
        loop {
            let cancelled = cancelled(&batch);
            // Where only one waits for an answer there is none to be held up.
            self.clock = (batch.len() > 1).then(Instant::now);
            let mut changed = false;
            for (client, happened) in batch {
                match happened {
                    Happened::Message(packet) => changed |= self.message(client, packet, &cancelled),
                    Happened::Refused(error) if client == OWN => return Err(error.into()),
                    _ => {
                        self.desk.borrow_mut().leave(client);
                        self.tasks.leave(client);
                    }
                }
            }
            changed |= self.tasks.go_on();
            if changed {
                (self.changed)(&self.server)?;
            }
            let mut desk = self.desk.borrow_mut();
            desk.release();
            if desk.is_deserted() && self.tasks.is_empty() {
                desk.flush();
                return Ok(());
            }
            batch = if self.tasks.is_empty() {
                desk.wait(BATCH)?
            } else {
                desk.wait_or_wake(BATCH, self.tasks.can_go_on().then_some(Duration::ZERO))?
            };
        }
    }

    /// Whether the state may have changed.
    fn message(&mut self, client: u32, mut packet: Packet, cancelled: &HashSet<(u32, u64)>) -> bool {
        if frame::is_opening(&packet) {
            self.opening(client, &mut packet);
            return false;
        }
        let refusal = self.desk.borrow().refusal(client);
        if let Some(refusal) = refusal {
            if let Some((number, _)) = frame::head(&mut packet) {
                self.desk.borrow_mut().fail(client, number, &refusal);
            }
            return false;
        }
        let (number, method, request) = match packet.read::<For<S>>() {
            Ok(For(Frame::Request(number, method, request))) => (number, method, request),
            Ok(For(Frame::Cancel(number))) => {
                self.desk.borrow_mut().cancel(client, number);
                self.tasks.cancel(client, number);
                return false;
            }
            Ok(For(Frame::Unknown(number, method))) => {
                self.desk.borrow_mut().fail(client, number, &no_method::<S>(method));
                return false;
            }
            Err(error) => {
                self.unreadable(client, &mut packet, &error);
                return false;
            }
        };
        if cancelled.contains(&(client, number)) {
            self.desk.borrow_mut().fail(client, number, &Failure::Cancelled);
            return false;
        }
        // Answers of quick handlers go together; those before one that may take its time do not wait for it.
        if !self.quick[method] {
            self.desk.borrow_mut().flush();
        }
        panic::set_caller(Some((client, number)));
        let handled = S::handle(&mut self.server, request, Call::new(&self.desk, client, number));
        panic::set_caller(None);
        let changed = match handled {
            Handled::Same => false,
            Handled::Changed => true,
            Handled::Waits(future) => {
                self.tasks.begin(client, number, future);
                true
            }
        };
        if let Some(clock) = &mut self.clock {
            let now = Instant::now();
            self.quick[method] = now - std::mem::replace(clock, now) < QUICK;
        }
        changed
    }

    fn opening(&mut self, client: u32, packet: &mut Packet) {
        match Opening::read(packet) {
            Ok(Opening::Client(channel)) => self.desk.borrow_mut().admit(channel),
            Ok(Opening::Hello { interface, version }) if interface != S::INTERFACE || version != S::VERSION => {
                self.desk.borrow_mut().refuse(client, wrong_interface::<S>(interface, version));
            }
            Ok(Opening::Hello { .. }) => {}
            Ok(Opening::Keeper(_)) => places::log(Level::Warn, "this server keeps no state: its keeper is let go"),
            Err(error) => self.expel(client, &error),
        }
    }

    /// What is no frame ends its client's connection; what only has the wrong arguments is answered.
    fn unreadable(&mut self, client: u32, packet: &mut Packet, error: &places::Error) {
        match (frame::head(packet), error) {
            (Some((number, method)), places::Error::Decode(why)) if S::method(&method).is_some() => {
                let (why, interface) = (why.clone(), S::INTERFACE.to_owned());
                self.desk.borrow_mut().fail(client, number, &Failure::BadArguments { method, why, interface, offers: offers::<S>() });
            }
            _ => self.expel(client, error),
        }
    }

    fn expel(&mut self, client: u32, why: &places::Error) {
        self.desk.borrow_mut().expel(client, why);
        self.tasks.leave(client);
    }
}

/// The calls in a batch that nobody waits for any more, though they are in the same batch.
fn cancelled(batch: &[(u32, Happened)]) -> HashSet<(u32, u64)> {
    let cancels = batch.iter().filter_map(|(client, happened)| match happened {
        Happened::Message(packet) => Some((*client, frame::cancelled(packet)?)),
        _ => None,
    });
    cancels.collect()
}

fn no_method<S: Server>(method: String) -> Failure {
    Failure::NoMethod { method, interface: S::INTERFACE.into(), offers: offers::<S>() }
}

fn wrong_interface<S: Server>(wanted: String, wanted_version: u32) -> Failure {
    let (interface, version) = (S::INTERFACE.into(), S::VERSION);
    Failure::Interface { wanted, wanted_version, interface, version, offers: offers::<S>() }
}

fn offers<S: Server>() -> Vec<String> {
    S::METHODS.iter().map(|&method| method.into()).collect()
}
