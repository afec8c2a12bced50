//! What a supervisor can be told while it runs: from its own place by a [`Handle`], from others by [`Command`]s.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};

use places::{Error, ExitReason, Module, Node, Options, PlaceId};
use serde::{Deserialize, Serialize};

use crate::child::Child;
use crate::plan::Key;
use crate::policy::Restart;
use crate::site::Site;

/// For who runs a supervisor in this place beside other things: adds, ends and lists children. Clones are for the same supervisor.
///
/// It obeys when it next has a turn, and not at all once it has ended.
pub struct Handle<'a>(pub(crate) Weak<Inbox<'a>>);

impl<'a> Handle<'a> {
    /// Adds a child, after those that are there.
    pub fn add(&self, child: Child<'a>) {
        self.push(Input::Add(Box::new(child), None));
    }

    /// Ends a child, which is not started again and is forgotten.
    pub fn terminate(&self, name: impl Into<String>) {
        self.push(Input::Terminate(name.into(), None));
    }

    /// Ends all children, the last one first, and then the supervisor.
    pub fn stop(&self) {
        self.push(Input::Stop);
    }

    /// The children as they are now, in their order; none once it has ended.
    pub fn children(&self) -> Vec<Row> {
        self.0.upgrade().map(|inbox| inbox.rows.borrow().clone()).unwrap_or_default()
    }

    fn push(&self, input: Input<'a>) {
        if let Some(inbox) = self.0.upgrade() {
            inbox.push(input);
        }
    }
}

/// What a supervisor that is a place of its own obeys, see [`Supervisor::serve`](crate::Supervisor::serve). Each has one [`Answer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Command {
    /// Add a child, after those that are there.
    Add(Spec),
    /// End a child, which is not started again and is forgotten.
    Terminate(String),
    /// Which children are there?
    List,
}

/// What came of a [`Command`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Answer {
    /// It is done.
    Done,
    /// The children, in their order.
    Children(Vec<Row>),
    /// It is not; the text says why.
    Refused(String),
}

/// A child that can be sent: a start function of the supervisor's module or of another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// What its supervisor calls it.
    pub name: String,
    /// The module, as for [`spawn`](places::spawn); the supervisor's own where absent.
    pub module: Option<String>,
    /// The start function.
    pub start: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// As [`Child::named`].
    pub named: bool,
    /// As [`Child::restart`].
    pub restart: Restart,
    /// As [`Child::on`].
    pub sites: Vec<Site>,
}

impl From<Spec> for Child<'_> {
    fn from(Spec { name, module, start, args, named, restart, sites }: Spec) -> Self {
        let child = Self::of(module.map_or(Module::This, Module::File), name, start);
        let child = child.options(Options::new().args(args)).restart(restart).on(sites);
        if named { child.named() } else { child }
    }
}

/// A child, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// What its supervisor calls it.
    pub name: String,
    /// How far it is.
    pub state: RowState,
    /// How often it was started.
    pub starts: u32,
}

/// How far a child is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowState {
    /// It runs.
    Running {
        /// Which place it is.
        place: PlaceId,
        /// What its node calls itself.
        node: String,
    },
    /// It is about to be started, or its node is being connected to.
    Waiting,
    /// It has ended for good, unless it is started again with others.
    Ended,
}

/// Where the answer to a command from outside goes. The next command is read when it is there, so nobody can give more of them than a
/// supervisor obeys.
#[derive(Default)]
pub(crate) struct Reply {
    answer: Cell<Option<Answer>>,
    asker: RefCell<Option<Waker>>,
}

impl Reply {
    pub(crate) fn put(&self, answer: Answer) {
        self.answer.set(Some(answer));
        if let Some(waker) = self.asker.take() {
            waker.wake();
        }
    }

    pub(crate) async fn get(&self) -> Answer {
        poll_fn(|cx| match self.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                self.asker.replace(Some(cx.waker().clone()));
                Poll::Pending
            }
        })
        .await
    }
}

/// What a supervisor hears.
pub(crate) enum Input<'a> {
    /// A child's life has ended.
    Ended(Key, u32, ExitReason),
    /// The node that a child's life is to begin on, or why it cannot be reached.
    Dialled(Key, u32, Result<Node, Error>),
    Add(Box<Child<'a>>, Option<Rc<Reply>>),
    Terminate(String, Option<Rc<Reply>>),
    List(Rc<Reply>),
    Stop,
}

/// What a supervisor has yet to hear, and what others may know of it.
#[derive(Default)]
pub(crate) struct Inbox<'a> {
    inputs: RefCell<VecDeque<Input<'a>>>,
    reader: RefCell<Option<Waker>>,
    pub(crate) rows: RefCell<Vec<Row>>,
}

impl<'a> Inbox<'a> {
    pub(crate) fn push(&self, input: Input<'a>) {
        self.inputs.borrow_mut().push_back(input);
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    pub(crate) fn try_next(&self) -> Option<Input<'a>> {
        self.inputs.borrow_mut().pop_front()
    }

    pub(crate) async fn next(&self) -> Input<'a> {
        self.find(|_| true).await
    }

    /// The end of this life, before all else that is there.
    pub(crate) async fn end_of(&self, key: Key, life: u32) -> ExitReason {
        match self.find(|input| matches!(input, Input::Ended(ended, of, _) if (*ended, *of) == (key, life))).await {
            Input::Ended(.., reason) => reason,
            _ => unreachable!("only an end is found"),
        }
    }

    async fn find(&self, wanted: impl Fn(&Input<'a>) -> bool) -> Input<'a> {
        poll_fn(|cx| {
            let mut inputs = self.inputs.borrow_mut();
            match inputs.iter().position(&wanted).and_then(|index| inputs.remove(index)) {
                Some(input) => Poll::Ready(input),
                None => {
                    self.reader.replace(Some(cx.waker().clone()));
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Clone for Handle<'_> {
    fn clone(&self) -> Self {
        Self(Weak::clone(&self.0))
    }
}

impl fmt::Debug for Handle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("children", &self.children()).finish()
    }
}
