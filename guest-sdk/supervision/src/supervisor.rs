//! The supervisor: starts children, and starts them again as its plan says.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use places::{Channel, Either, Error, ExitReason, Node, Place, Router, after, at, log, task};

use crate::child::{Child, Keeping};
use crate::control::{Answer, Command, Handle, Inbox, Input, Reply, Row, RowState};
use crate::plan::{Decision, Key, Plan, State};
use crate::policy::{Backoff, Intensity, Strategy};
use crate::report::{Failure, GaveUp, Report};
use crate::site::{Sites, Step};

/// How long what a child has put for its successor may take to arrive after its end: it comes by a channel of its own.
const LAST_WORDS: Duration = Duration::from_secs(1);

type OnReport<'a> = Box<dyn FnMut(&Report) + 'a>;
type OnGiveUp<'a> = Box<dyn FnOnce(&GaveUp) + 'a>;

/// Keeps places alive.
///
/// It starts its children in their order, and starts again who ends, with whom [`Strategy`] says. While a node is connected to on which
/// one is to run, it serves the others; those that come after it wait for it, unless each is for itself. Where that happens too often, see
/// [`Self::intensity`], it stops all and ends with a [`Failure`]. So a start function that returns that error fails with it, and a
/// supervisor above it sees that and starts it anew, with all its children:
///
/// ```no_run
/// # mod program {
/// use places::Channel;
/// use places_supervision::{Answer, Child, Command, Restart, Strategy, Supervisor};
/// # use std::time::Duration;
/// # #[places::start] fn table(_: Channel) {}
/// # #[places::start] fn worker(_: Channel) {}
///
/// /// Workers that rely on a table: when that has to be started again, so have they.
/// #[places::start]
/// fn team(ch: Channel<Command, Answer>) -> places::Result {
///     let supervisor = Supervisor::new(Strategy::RestForOne)
///         .intensity(3, Duration::from_secs(5))
///         .child(Child::new("table", table::NAME).named())
///         .child(Child::new("worker", worker::NAME).restart(Restart::Transient));
///     Ok(supervisor.serve(ch)?)
/// }
///
/// #[places::start]
/// fn main(_: Channel) -> places::Result {
///     Ok(Supervisor::new(Strategy::OneForOne).child(Child::new("team", team::NAME)).run()?)
/// }
/// # }
/// # fn main() {}
/// ```
///
/// The end of the place that runs a supervisor ends its children, as that of any place does, unless they are detached.
#[must_use = "nothing is started before `run`"]
pub struct Supervisor<'a> {
    strategy: Strategy,
    intensity: Intensity,
    backoff: Backoff,
    children: Vec<Child<'a>>,
    stays: bool,
    on_report: Option<OnReport<'a>>,
    on_give_up: Option<OnGiveUp<'a>>,
    inbox: Rc<Inbox<'a>>,
}

impl<'a> Supervisor<'a> {
    /// A supervisor without children.
    pub fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            intensity: Intensity::default(),
            backoff: Backoff::default(),
            children: Vec::new(),
            stays: false,
            on_report: None,
            on_give_up: None,
            inbox: Rc::default(),
        }
    }

    /// A child more. Children are started in their order and stopped in the reverse.
    pub fn child(mut self, child: Child<'a>) -> Self {
        self.children.push(child);
        self
    }

    /// How many restarts there may be within so much time: three within five seconds, unless said. At one more the supervisor gives
    /// up.
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.intensity = Intensity { restarts, period };
        self
    }

    /// Waits before a restart: `first`, and twice as long each time, up to `most`. A child that has lived for `most` begins anew.
    pub fn backoff(mut self, first: Duration, most: Duration) -> Self {
        self.backoff = Backoff { first, most };
        self
    }

    /// Called at each of its steps.
    pub fn on_report(mut self, call: impl FnMut(&Report) + 'a) -> Self {
        self.on_report = Some(Box::new(call));
        self
    }

    /// Called when it gives up, before it stops the children that are left.
    pub fn on_give_up(mut self, call: impl FnOnce(&GaveUp) + 'a) -> Self {
        self.on_give_up = Some(Box::new(call));
        self
    }

    /// It stays when all its children have ended for good: others may be added.
    pub fn stays(mut self) -> Self {
        self.stays = true;
        self
    }

    /// For adding, ending and listing children while it runs in this place.
    pub fn handle(&self) -> Handle<'a> {
        Handle(Rc::downgrade(&self.inbox))
    }

    /// Runs it until its children have ended for good.
    ///
    /// # Errors
    /// [`Failure`]; then no child is left.
    pub fn run(self) -> Result<(), Failure> {
        task::block_on(self.run_async())
    }

    /// As [`Self::run`], within an `async` function: as a task of a [`Router`], say. It stops the place itself only while a
    /// node answers that it takes a child, and while a child is killed.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_async(self) -> Result<(), Failure> {
        self.live(None).await
    }

    /// Runs it as a place of its own, under who started that: it obeys commands, stays without children, and ends well when the channel
    /// is closed, after its children.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn serve(self, ch: Channel<Command, Answer>) -> Result<(), Failure> {
        task::block_on(self.stays().live(Some(ch)))
    }

    async fn live(self, above: Option<Channel<Command, Answer>>) -> Result<(), Failure> {
        let ended = Router::run_async(move |router| {
            if let Some(above) = above {
                let inbox = Rc::clone(&self.inbox);
                router.spawn(async move { obey(&above, &inbox).await });
            }
            router.spawn(async move { router.stop(Running::new(self, router).live().await) });
        });
        match ended.await {
            Ok(Some(ended)) => ended,
            // No handler fails, and one stops the loop.
            Ok(None) | Err(_) => Ok(()),
        }
    }
}

/// Has commands obeyed, one after the other, until whoever gives them is gone.
async fn obey(above: &Channel<Command, Answer>, inbox: &Inbox<'_>) {
    loop {
        let reply = Rc::new(Reply::default());
        match above.message().await {
            Ok(Command::Add(spec)) => inbox.push(Input::Add(Box::new(spec.into()), Some(Rc::clone(&reply)))),
            Ok(Command::Terminate(name)) => inbox.push(Input::Terminate(name, Some(Rc::clone(&reply)))),
            Ok(Command::List) => inbox.push(Input::List(Rc::clone(&reply))),
            Err(Error::Decode(why)) => reply.put(Answer::Refused(why)),
            Err(_) => return inbox.push(Input::Stop),
        }
        // Whoever asked may have gone, or not read: that must not stop a supervisor.
        let _ = above.try_put(reply.get().await);
    }
}

type Outcome = Result<(), Failure>;

/// A supervisor that runs.
struct Running<'scope, 'a> {
    router: &'scope Router<'scope, 'a, Outcome>,
    plan: Plan,
    intensity: Intensity,
    members: BTreeMap<Key, Member<'a>>,
    stays: bool,
    first: Vec<Child<'a>>,
    on_report: Option<OnReport<'a>>,
    on_give_up: Option<OnGiveUp<'a>>,
    inbox: Rc<Inbox<'a>>,
    began: Instant,
}

/// A child, and the place that it is now.
struct Member<'a> {
    child: Child<'a>,
    sites: Sites,
    alive: Option<(Rc<Place>, String)>,
    /// How often it was started; names its life.
    starts: u32,
}

impl Member<'_> {
    fn start(&mut self, node: Option<&Node>) -> Result<(Place, Option<Keeping>), Error> {
        let mut options = self.child.options.clone();
        if self.child.named {
            options = options.named(self.child.name.clone());
        }
        if let Some(node) = node {
            options = options.at(node);
        }
        (self.child.start)(options)
    }
}

impl<'scope, 'a> Running<'scope, 'a> {
    fn new(supervisor: Supervisor<'a>, router: &'scope Router<'scope, 'a, Outcome>) -> Self {
        let Supervisor { strategy, intensity, backoff, children, stays, on_report, on_give_up, inbox } = supervisor;
        let plan = Plan::new(strategy, intensity, backoff);
        let (members, began) = (BTreeMap::new(), Instant::now());
        Self { router, plan, intensity, members, stays, first: children, on_report, on_give_up, inbox, began }
    }

    async fn live(mut self) -> Outcome {
        for child in std::mem::take(&mut self.first) {
            self.add(child).map_err(Failure::TwoOfName)?;
        }
        loop {
            self.list();
            // First what has happened: a child that can never be started must not keep others from being heard.
            let input = match self.inbox.try_next() {
                Some(input) => input,
                None => match self.plan.due(self.now()) {
                    Ok(key) => {
                        self.start(key).await?;
                        continue;
                    }
                    Err(_) if !self.stays && !self.plan.is_active() => return Ok(()),
                    Err(None) => self.inbox.next().await,
                    Err(Some(due)) => match task::race(self.inbox.next(), at(self.began + due)).await {
                        Either::Left(input) => input,
                        Either::Right(()) => continue,
                    },
                },
            };
            match input {
                Input::Ended(key, life, reason) => self.ended(key, life, reason).await?,
                Input::Dialled(key, life, node) => self.dialled(key, life, node).await?,
                Input::Add(child, reply) => {
                    let done =
                        self.add(*child).map_or_else(|name| refused(format!("a child is called `{name}` already")), |()| Answer::Done);
                    if let Some(reply) = reply {
                        reply.put(done);
                    }
                }
                Input::Terminate(name, reply) => {
                    let done = self.terminate(&name).await;
                    if let Some(reply) = reply {
                        reply.put(done);
                    }
                }
                Input::List(reply) => reply.put(Answer::Children(self.inbox.rows.borrow().clone())),
                Input::Stop => {
                    self.stop_all().await;
                    return Ok(());
                }
            }
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Adds a child to be started; its name, where that is taken.
    fn add(&mut self, child: Child<'a>) -> Result<(), String> {
        if self.members.values().any(|member| member.child.name == child.name) {
            return Err(child.name);
        }
        let key = self.plan.add(self.now(), child.policy);
        let sites = Sites::new(child.sites.clone());
        self.members.insert(key, Member { child, sites, alive: None, starts: 0 });
        Ok(())
    }

    async fn start(&mut self, key: Key) -> Outcome {
        let Some(member) = self.members.get_mut(&key) else { return Ok(()) };
        member.starts += 1;
        member.sites.begin();
        self.plan.starting(key);
        self.search(key).await
    }

    /// Starts a child at the first of its sites that takes it. Where a node has to be connected to, this goes on when that is done.
    async fn search(&mut self, key: Key) -> Outcome {
        let Some(member) = self.members.get_mut(&key) else { return Ok(()) };
        let error = loop {
            match member.sites.step() {
                Step::Start(node) => match member.start(node.as_ref()) {
                    Ok((place, keeping)) => {
                        member.sites.started();
                        let node = node.unwrap_or_else(Node::this).name();
                        self.started(key, place, keeping, node);
                        return Ok(());
                    }
                    Err(error) => {
                        if let Err(error) = member.sites.failed(error) {
                            break error;
                        }
                    }
                },
                Step::Dial(address) => {
                    let (life, inbox) = (member.starts, Rc::clone(&self.inbox));
                    self.router.spawn(async move { inbox.push(Input::Dialled(key, life, Node::connect_async(&address).await)) });
                    return Ok(());
                }
                Step::End(error) => break error,
            }
        };
        self.not_started(key, error).await
    }

    async fn dialled(&mut self, key: Key, life: u32, node: Result<Node, Error>) -> Outcome {
        // It may have been stopped since, or be started anew already.
        let waits = matches!(self.plan.state(key), Some((State::Starting, _)));
        let Some(member) = self.members.get_mut(&key).filter(|member| waits && member.starts == life) else { return Ok(()) };
        match member.sites.dialled(node) {
            Ok(()) => self.search(key).await,
            Err(error) => self.not_started(key, error).await,
        }
    }

    fn started(&mut self, key: Key, place: Place, keeping: Option<Keeping>, node: String) {
        let Some(member) = self.members.get_mut(&key) else { return };
        let place = Rc::new(place);
        member.alive = Some((Rc::clone(&place), node.clone()));
        let (child, id, life, inbox) = (member.child.name.clone(), place.id(), member.starts, Rc::clone(&self.inbox));
        self.router.spawn(async move { inbox.push(Input::Ended(key, life, end_of(&place, keeping).await)) });
        self.plan.started(self.now(), key);
        self.report(Report::Started { child, place: id, node });
    }

    async fn not_started(&mut self, key: Key, error: Error) -> Outcome {
        let child = self.members.get(&key).map(|member| member.child.name.clone()).unwrap_or_default();
        let last = format!("could not be started: {error}");
        self.report(Report::NotStarted { child, error });
        let decision = self.plan.ended(self.now(), key, false);
        self.obey(key, decision, last).await?;
        after(Duration::ZERO).await;
        Ok(())
    }

    async fn ended(&mut self, key: Key, life: u32, reason: ExitReason) -> Outcome {
        let Some(member) = self.members.get_mut(&key).filter(|member| member.starts == life) else { return Ok(()) };
        member.alive = None;
        if reason == ExitReason::NodeLost {
            member.sites.next();
        }
        let (child, well, last) = (member.child.name.clone(), reason.is_success(), reason.to_string());
        self.report(Report::Ended { child, reason });
        let decision = self.plan.ended(self.now(), key, well);
        self.obey(key, decision, last).await
    }

    async fn obey(&mut self, key: Key, decision: Decision, last: String) -> Outcome {
        let child = self.members.get(&key).map(|member| member.child.name.clone()).unwrap_or_default();
        match decision {
            Decision::Leave => {}
            Decision::Restart { stop, pause } => {
                for other in stop {
                    self.stop(other).await;
                }
                self.report(Report::Restarting { child, pause });
            }
            Decision::GiveUpChild => {
                self.report(Report::FinalFail { child });
                let call = self.members.get_mut(&key).and_then(|member| member.child.on_final_fail.take());
                call.into_iter().for_each(|call| call());
            }
            Decision::GiveUp => {
                let why = GaveUp { child, last, intensity: self.intensity };
                self.report(Report::GivingUp(why.clone()));
                self.on_give_up.take().into_iter().for_each(|call| call(&why));
                self.stop_all().await;
                return Err(Failure::GaveUp(why));
            }
        }
        self.forget();
        Ok(())
    }

    /// Stops a child that runs, and waits until it has ended.
    async fn stop(&mut self, key: Key) {
        let Some(member) = self.members.get_mut(&key) else { return };
        if let Some((place, _)) = member.alive.take() {
            let time = member.child.ask_to_end(&place);
            let (life, inbox) = (member.starts, Rc::clone(&self.inbox));
            let reason = match task::within(time, inbox.end_of(key, life)).await {
                Some(reason) => reason,
                None => {
                    place.kill();
                    inbox.end_of(key, life).await
                }
            };
            if reason == ExitReason::NodeLost {
                member.sites.next();
            }
            let child = member.child.name.clone();
            self.report(Report::Stopped { child, reason });
        }
        self.plan.stopped(key);
    }

    async fn stop_all(&mut self) {
        for key in self.plan.running() {
            self.stop(key).await;
        }
        self.members.clear();
        self.list();
    }

    async fn terminate(&mut self, name: &str) -> Answer {
        let found = self.members.iter().find(|(_, member)| member.child.name == name).map(|(key, _)| *key);
        let Some(key) = found else {
            log!(Warn, "no child is called `{name}`, so none is ended");
            return refused(format!("no child is called `{name}`"));
        };
        self.stop(key).await;
        self.plan.remove(key);
        self.forget();
        Answer::Done
    }

    /// Whom the plan has forgotten is forgotten here.
    fn forget(&mut self) {
        self.members.retain(|key, _| self.plan.state(*key).is_some());
    }

    /// Writes down for others what is there.
    fn list(&self) {
        let row = |(key, member): (&Key, &Member<'a>)| {
            let state = match (&member.alive, self.plan.state(*key)) {
                (Some((place, node)), _) => RowState::Running { place: place.id(), node: node.clone() },
                (None, Some((State::Due(_) | State::Starting | State::Running, _))) => RowState::Waiting,
                (None, _) => RowState::Ended,
            };
            Row { name: member.child.name.clone(), state, starts: member.starts }
        };
        self.inbox.rows.replace(self.members.iter().map(row).collect());
    }

    fn report(&mut self, report: Report) {
        match &report {
            Report::Started { child, place, node } => log!(Debug, "`{child}` is place {place} on `{node}`"),
            Report::NotStarted { child, error } => log!(Warn, "`{child}` could not be started: {error}"),
            Report::Ended { child, reason } => log!(Info, "`{child}` {reason}"),
            Report::Restarting { child, pause } => log!(Info, "`{child}` is started again in {pause:?}"),
            Report::Stopped { child, reason } => log!(Debug, "`{child}` was stopped: it {reason}"),
            Report::FinalFail { child } => log!(Warn, "`{child}` is started no more"),
            Report::GivingUp(why) => log!(Error, "{why}"),
        }
        if let Some(call) = &mut self.on_report {
            call(&report);
        }
    }
}

fn refused(why: String) -> Answer {
    Answer::Refused(why)
}

/// How a place ended, once what it had kept has come.
async fn end_of(place: &Place, keeping: Option<Keeping>) -> ExitReason {
    let Some(mut keeping) = keeping else { return place.exited().await };
    match task::race(place.exited(), &mut keeping).await {
        Either::Left(reason) => {
            let _ = task::within(LAST_WORDS, keeping).await;
            reason
        }
        Either::Right(()) => place.exited().await,
    }
}

impl fmt::Debug for Supervisor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").field("strategy", &self.strategy).field("children", &self.children).finish_non_exhaustive()
    }
}
