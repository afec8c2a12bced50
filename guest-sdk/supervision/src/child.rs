//! What a supervisor knows of a child: how it is started, stopped and started again.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use places::{Channel, Error, Message, Module, Options, Place, spawn};
use serde::Serialize;

use crate::keeper::Kept;
use crate::policy::Policy;
use crate::site::Site;

/// How long a child may take to end when it was asked to.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// What goes on beside a child and ends with it.
pub(crate) type Keeping = Pin<Box<dyn Future<Output = ()>>>;
type Start<'a> = Box<dyn FnMut(Options) -> Result<(Place, Option<Keeping>), Error> + 'a>;
type Ask<'a> = Box<dyn FnMut(&Place) -> Result<(), Error> + 'a>;

/// A place that a [`Supervisor`](crate::Supervisor) keeps alive.
///
/// ```
/// # use places_supervision::{Child, Restart};
/// # use places::{Options, Place};
/// # use std::time::Duration;
/// # fn job() -> u32 { 7 }
/// // A start function of this module, on one of two nodes, and found by its name.
/// Child::new("bank", "bank").named().on(["host2", "host3"]).restart(Restart::Transient).shutdown(Duration::from_secs(1));
/// // One that is sent something first.
/// Child::by("worker", |options| {
///     let worker = places::spawn(places::Module::This, "worker", options)?.typed::<(), u32>();
///     worker.put(job())?;
///     Ok(worker)
/// });
/// ```
#[must_use = "a child is started by the supervisor that it is added to"]
pub struct Child<'a> {
    pub(crate) name: String,
    pub(crate) policy: Policy,
    pub(crate) sites: Vec<Site>,
    pub(crate) named: bool,
    pub(crate) options: Options,
    pub(crate) start: Start<'a>,
    pub(crate) ask: Option<Ask<'a>>,
    pub(crate) shutdown: Duration,
    pub(crate) on_final_fail: Option<Box<dyn FnOnce() + 'a>>,
}

impl<'a> Child<'a> {
    /// A start function of this module: `Child::new("worker", worker::NAME)`. `name` is what its supervisor calls it.
    pub fn new(name: impl Into<String>, start: impl Into<String>) -> Self {
        Self::of(Module::This, name, start)
    }

    /// A start function of another module, as for [`spawn`].
    pub fn of(module: impl Into<Module>, name: impl Into<String>, start: impl Into<String>) -> Self {
        let (module, start) = (module.into(), start.into());
        Self::by(name, move |options| spawn(module.clone(), &start, options))
    }

    /// Started by a function, with the options that it is given: they say where, and under which name.
    pub fn by<G, P>(name: impl Into<String>, mut start: impl FnMut(Options) -> Result<Place<G, P>, Error> + 'a) -> Self {
        Self::started(name, Box::new(move |options| Ok((start(options)?.typed(), None))))
    }

    /// Started by a function, which is to hand it what its predecessor has kept.
    ///
    /// ```no_run
    /// # mod program {
    /// use places::Channel;
    /// use places_supervision::{Child, Kept, Strategy, Supervisor};
    ///
    /// /// Counts what it is asked, over its deaths.
    /// #[places::start]
    /// fn counter(ch: Channel<Option<Kept<u64>>, u64>) -> places::Result {
    ///     let Some(Kept { last, keeper }) = ch.get()? else { return Err("the first message is what was kept".into()) };
    ///     for count in last.unwrap_or(0) + 1.. {
    ///         ch.get()?;
    ///         keeper.put(count)?;
    ///         ch.put(count)?;
    ///     }
    ///     Ok(())
    /// }
    ///
    /// #[places::start]
    /// fn main(_: Channel) -> places::Result {
    ///     let counter = Child::keeping("counter", |options, kept| {
    ///         let place = counter::spawn_with(options)?;
    ///         place.put(Some(kept))?;
    ///         Ok(place)
    ///     });
    ///     Ok(Supervisor::new(Strategy::OneForOne).child(counter).run()?)
    /// }
    /// # }
    /// # fn main() {}
    /// ```
    pub fn keeping<S, G, P>(name: impl Into<String>, mut start: impl FnMut(Options, Kept<S>) -> Result<Place<G, P>, Error> + 'a) -> Self
    where
        S: Clone + Serialize + Message + 'static,
    {
        let last = Rc::new(RefCell::new(None));
        let start = move |options| {
            let (ours, keeper) = Channel::pair::<S, ()>()?;
            let place = start(options, Kept { last: last.borrow().clone(), keeper })?;
            let last = Rc::clone(&last);
            let keeping: Keeping = Box::pin(async move {
                while let Ok(state) = ours.message().await {
                    last.replace(Some(state));
                }
            });
            Ok((place.typed(), Some(keeping)))
        };
        Self::started(name, Box::new(start))
    }

    fn started(name: impl Into<String>, start: Start<'a>) -> Self {
        Self {
            name: name.into(),
            policy: Policy::default(),
            sites: Vec::new(),
            named: false,
            options: Options::new(),
            start,
            ask: None,
            shutdown: SHUTDOWN,
            on_final_fail: None,
        }
    }

    /// Whether and when it is started again: a [`Restart`](crate::Restart), by default permanent, or a
    /// [`restart_every`](crate::restart_every()).
    pub fn restart(mut self, policy: impl Into<Policy>) -> Self {
        self.policy = policy.into();
        self
    }

    /// Called when a child that is [`restart_every`](crate::restart_every()) so often is given up.
    pub fn on_final_fail(mut self, call: impl FnOnce() + 'a) -> Self {
        self.on_final_fail = Some(Box::new(call));
        self
    }

    /// Where it runs: on the first of these nodes that can be reached and takes it, and when that is lost on the next one, and so round.
    pub fn on<S: Into<Site>>(mut self, sites: impl IntoIterator<Item = S>) -> Self {
        self.sites = sites.into_iter().map(Into::into).collect();
        self
    }

    /// Others find it under its name, by [`Node::lookup`](places::Node::lookup): each that is started in its place has the name again.
    pub fn named(mut self) -> Self {
        self.named = true;
        self
    }

    /// How it is started. Node and name are the supervisor's to say.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// How it is asked to end, instead of by closing its channel: by this message.
    ///
    /// One that is [`named`](Self::named) does not notice that its channel is closed. Where it cannot be asked by a message, it is
    /// killed at once.
    pub fn ask<M: Serialize + 'a>(mut self, message: M) -> Self {
        // A child that does not read must not stop its supervisor.
        self.ask = Some(Box::new(move |place| place.channel().clone().typed::<(), M>().try_put(&message)));
        self
    }

    /// How long it may take to end when it was asked to, before it is killed: five seconds unless said.
    pub fn shutdown(mut self, time: Duration) -> Self {
        self.shutdown = time;
        self
    }

    /// Asks it to end, and says how long that may take.
    pub(crate) fn ask_to_end(&mut self, place: &Place) -> Duration {
        match &mut self.ask {
            // One that cannot be asked has ended, or does not listen.
            Some(ask) => ask(place).map_or(Duration::ZERO, |()| self.shutdown),
            None if self.named => Duration::ZERO,
            None => {
                place.close();
                self.shutdown
            }
        }
    }
}

impl fmt::Debug for Child<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("name", &self.name).field("policy", &self.policy).field("sites", &self.sites).finish_non_exhaustive()
    }
}
