//! Where QUIC's own tasks run: on tokio, each behind those that are ready already.
//!
//! A connection's task sends what its streams have to send. Tokio runs a task that another one woke directly after that one; so what
//! the first of many links has written would go alone, in a packet of its own, which costs sender and receiver more than all else
//! about a message. Behind the others, it finds what they have written too, and sends that together.

use std::future::Future;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};

/// Tokio, as quinn needs it.
#[derive(Debug)]
pub(super) struct Behind;

impl Runtime for Behind {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        TokioRuntime.spawn(Box::pin(Patient { task, waited: false }));
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

/// A task that goes to the end of the queue once, each time it is woken.
struct Patient {
    task: Pin<Box<dyn Future<Output = ()> + Send>>,
    waited: bool,
}

impl Future for Patient {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.waited = !self.waited;
        if self.waited {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.task.as_mut().poll(cx)
    }
}
