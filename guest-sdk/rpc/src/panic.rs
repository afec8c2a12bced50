//! What a panic of a handler does before it ends the place: its caller is told the message.

use std::cell::{Cell, OnceCell};
use std::panic;
use std::rc::Rc;

use crate::error::Failure;
use crate::server::Shared;

thread_local! {
    static DESK: OnceCell<Shared> = const { OnceCell::new() };
    /// Whose request is being handled: the client, and the number of the call.
    static CALLER: Cell<Option<(u32, u64)>> = const { Cell::new(None) };
}

/// Says whose request is being handled.
pub(crate) fn set_caller(caller: Option<(u32, u64)>) {
    CALLER.set(caller);
}

/// From now on a panic tells the caller of what is being handled; everybody else learns by the end of the channel.
pub(crate) fn tell_callers(desk: &Shared) {
    // A place serves once.
    let _ = DESK.with(|cell| cell.set(Rc::clone(desk)));
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let message = info.payload_as_str().unwrap_or("a value that is no text").to_owned();
        DESK.with(|desk| {
            // Where the panic came from the desk itself, it is in use, and the caller learns by the end of the channel.
            if let (Some(Ok(mut desk)), Some((client, call))) = (desk.get().map(|desk| desk.try_borrow_mut()), CALLER.get()) {
                // What they say has not been kept, and never will be.
                desk.forget_held();
                desk.fail(client, call, &Failure::Panicked(message));
                desk.flush();
            }
        });
        before(info);
    }));
}
