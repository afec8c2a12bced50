//! A call that is being handled, and the reply to one that is answered later.

use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

use serde::Serialize;

use crate::arguments::Argument;
use crate::error::Failure;
use crate::frame::NO_CALL;
use crate::server::Shared;

/// A request that is being handled.
#[doc(hidden)]
pub struct Call {
    desk: Shared,
    client: u32,
    number: u64,
}

impl Call {
    pub(crate) fn new(desk: &Shared, client: u32, number: u64) -> Self {
        Self { desk: Rc::clone(desk), client, number }
    }

    /// Answers it.
    pub fn answer<T: Serialize>(self, value: &T) {
        self.desk.borrow_mut().answer(self.client, self.number, value);
    }

    /// Lets the handler answer it, now or later.
    pub fn reply<T>(self) -> Reply<T> {
        if self.number != NO_CALL {
            self.desk.borrow_mut().defer(self.client, self.number);
        }
        Reply { call: self, types: PhantomData }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("client", &self.client).field("number", &self.number).finish()
    }
}

/// The answer to a call that is still to be given: a `T`.
///
/// A method whose last parameter is a `Reply` answers by it, at once or after other requests, so that a server need not stop where a
/// caller has to wait. One that is dropped tells its caller [`CallError::Unanswered`](crate::CallError::Unanswered).
///
/// ```no_run
/// # mod program {
/// use places_rpc::Reply;
///
/// /// A door: who comes before it is open waits.
/// #[derive(Default)]
/// struct Door {
///     open: bool,
///     waiting: Vec<Reply<()>>,
/// }
///
/// #[places_rpc::server]
/// impl Door {
///     fn enter(&mut self, reply: Reply<()>) {
///         if self.open { reply.send(()) } else { self.waiting.push(reply) }
///     }
///
///     fn open(&mut self) {
///         self.open = true;
///         self.waiting.drain(..).for_each(|reply| reply.send(()));
///     }
/// }
/// # }
/// # fn main() {}
/// ```
#[must_use = "a reply that is dropped tells its caller that there is no answer"]
pub struct Reply<T> {
    call: Call,
    types: PhantomData<fn(T)>,
}

impl<T> Reply<T> {
    /// Answers. Who has gone, or waits no longer, gets nothing.
    pub fn send(self, value: impl Argument<T>) {
        let Call { desk, client, number } = &self.call;
        let mut desk = desk.borrow_mut();
        if desk.settle(*client, *number) {
            desk.answer(*client, *number, &value);
        }
    }

    /// Whether somebody still waits for it: the client is there and has not given up.
    pub fn is_wanted(&self) -> bool {
        let Call { desk, client, number } = &self.call;
        desk.borrow().is_wanted(*client, *number)
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        let Call { desk, client, number } = &self.call;
        // What is dropped with the whole server, whose desk may be in use, is told by the end of the channel.
        if let Ok(mut desk) = desk.try_borrow_mut()
            && desk.settle(*client, *number)
        {
            desk.fail(*client, *number, &Failure::Unanswered);
        }
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reply").field(&self.call).finish()
    }
}
