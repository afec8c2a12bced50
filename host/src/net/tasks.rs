//! What is done for one session, in one task.
//!
//! A packet brings messages for many links, and a place that answers many sets as many links going; who starts a place says so by a
//! control frame and sends it a message. As tasks of their own each would have to be scheduled, often on another core, which costs more
//! than the work itself; here they take turns, and what they send goes together.

use std::future::Future;
use std::pin::Pin;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Takes work, until it is dropped and all is done.
pub(super) struct Tasks(mpsc::UnboundedSender<Work>);

impl Tasks {
    pub(super) fn start(runtime: &Handle) -> Self {
        let (sender, mut more) = mpsc::unbounded_channel();
        runtime.spawn(async move {
            let mut all = FuturesUnordered::new();
            loop {
                tokio::select! {
                    biased;
                    work = more.recv() => match work {
                        Some(work) => all.push(work),
                        None => break,
                    },
                    Some(()) = all.next() => {}
                }
            }
            // A link may have moved to another session, and outlives this one.
            while all.next().await.is_some() {}
        });
        Self(sender)
    }

    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        // The task ends after this.
        let _ = self.0.send(Box::pin(work));
    }
}
