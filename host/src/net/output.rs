//! What a place prints and logs, on its way to the node that started it.
//!
//! A place has one stream for it, opened when it first prints. What waits to be sent is bounded, and a place that prints more waits;
//! so it neither fills this node's memory nor holds a thread. One that logs more does not wait: those lines are lost, and it is said how
//! many.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use placehost_proto::RequestId;
use placehost_proto::codec::{self, Decoder, MAX_OUTPUT, OutputFrame};
use placehost_proto::frame::{Head, LogLevel, LogLine};
use quinn::SendStream;
use tokio::sync::{Notify, watch};

use super::hub::Hub;
use super::session::{self, Incoming, Session};
use crate::config::{Output, Sink};
use crate::log::{self, Forward, LogTo};

/// What may wait to be sent.
const ROOM: usize = 256 << 10;

/// Where a place prints that somebody on another node started.
pub(crate) struct Printer {
    queue: Mutex<Queue>,
    more: Notify,
    hub: Hub,
    session: Arc<Session>,
    request: RequestId,
}

#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    /// How many can still print.
    halves: usize,
    /// The stream has been asked for.
    opened: bool,
    /// Nobody reads.
    broken: bool,
    /// How many lines of the log found no room, and the last of them.
    lost: Option<(u64, LogLine)>,
    waiting: Vec<Waker>,
}

/// One of the two streams of a place.
struct Half {
    printer: Arc<Printer>,
    error: bool,
}

/// Standard output and error of a place that this request of the peer's starts, and what knows of them. When both are dropped the
/// stream ends.
pub(crate) fn printer(hub: &Hub, session: &Arc<Session>, request: RequestId) -> (Output, Output, Arc<Printer>) {
    let queue = Mutex::new(Queue { halves: 2, ..Queue::default() });
    let printer = Arc::new(Printer { queue, more: Notify::new(), hub: hub.clone(), session: Arc::clone(session), request });
    let half = |error| Output::new(Half { printer: Arc::clone(&printer), error });
    (half(false), half(true), printer)
}

impl Printer {
    /// Where what the place logs may go on to.
    pub(crate) fn log(self: &Arc<Self>) -> LogTo {
        LogTo(Arc::new(Lines(Arc::clone(self))))
    }

    /// There is something to send. The session waits for that from now on, before it says goodbye.
    fn added(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue>) {
        let first = !std::mem::replace(&mut queue.opened, true);
        drop(queue);
        // Most places print nothing, so nothing waits for that.
        match first {
            true => drop(self.hub.runtime().spawn(send(Arc::clone(self), self.session.sending()))),
            false => self.more.notify_one(),
        }
    }

    /// Whether there is, or will be, a stream.
    pub(crate) fn has_printed(&self) -> bool {
        self.queue().opened
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be sent, and whether more may come.
    fn take(&self) -> (Vec<u8>, bool) {
        let mut queue = self.queue();
        let mut bytes = std::mem::take(&mut queue.bytes);
        if let Some((count, last)) = queue.lost.take() {
            let message = format!("{count} lines that were logged here are lost: they came faster than they went");
            codec::put_log(&mut bytes, &LogLine { level: LogLevel::Warn, message, ..last });
        }
        let more = queue.halves > 0;
        let waiting = std::mem::take(&mut queue.waiting);
        drop(queue);
        waiting.into_iter().for_each(Waker::wake);
        (bytes, more)
    }

    fn broke(&self) {
        let mut queue = self.queue();
        queue.broken = true;
        queue.bytes.clear();
        let waiting = std::mem::take(&mut queue.waiting);
        drop(queue);
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// What a place logs, in the stream of what it prints.
struct Lines(Arc<Printer>);

impl Forward for Lines {
    fn forward(&self, line: LogLine) {
        let mut queue = self.0.queue();
        if queue.broken {
            return;
        }
        if queue.bytes.len() < ROOM {
            codec::put_log(&mut queue.bytes, &line);
        } else {
            let count = queue.lost.take().map_or(0, |(count, _)| count);
            queue.lost = Some((count + 1, LogLine { message: String::new(), ..line }));
        }
        self.0.added(queue);
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        self.printer.queue().halves -= 1;
        self.printer.more.notify_one();
    }
}

impl Sink for Half {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut queue = self.printer.queue();
        if queue.broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        for piece in bytes.chunks(MAX_OUTPUT as usize) {
            codec::put_output(&mut queue.bytes, self.error, piece);
        }
        self.printer.added(queue);
        Ok(())
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut queue = self.printer.queue();
        if queue.bytes.len() < ROOM || queue.broken {
            return Poll::Ready(());
        }
        queue.waiting.push(cx.waker().clone());
        Poll::Pending
    }
}

/// Sends what is printed, until nobody can print any more.
async fn send(printer: Arc<Printer>, _sending: watch::Receiver<()>) {
    let (hub, session, request) = (&printer.hub, &printer.session, printer.request);
    let mut stream: Option<SendStream> = None;
    loop {
        let (bytes, more) = printer.take();
        if bytes.is_empty() {
            if !more {
                break;
            }
            tokio::select! {
                () = printer.more.notified() => {}
                _ = session.lost() => {
                    printer.broke();
                    break;
                }
            }
            continue;
        }
        let sent = async {
            if stream.is_none() {
                stream = Some(session.open(&Head::Output(request)).await?);
            }
            match &mut stream {
                Some(stream) => stream.write_all(&bytes).await,
                None => Ok(()),
            }
        };
        if sent.await.is_err() {
            printer.broke();
            break;
        }
    }
    if let Some(stream) = stream {
        session.finish(hub, stream);
    }
}

/// Where the output of this node's places elsewhere is to appear, by the request that started each.
#[derive(Default)]
pub(crate) struct Outputs(Mutex<HashMap<RequestId, Waiting>>);

struct Waiting {
    stdout: Output,
    stderr: Output,
    /// Where what it logs goes, beside this host's log.
    log: Option<LogTo>,
    ended: watch::Sender<bool>,
}

impl Outputs {
    /// Output of this request's place appears here.
    pub(crate) fn expect(&self, request: RequestId, stdout: Output, stderr: Output, log: Option<LogTo>) {
        self.map().insert(request, Waiting { stdout, stderr, log, ended: watch::Sender::new(false) });
    }

    /// Waits until all that it printed has appeared, if it printed, and forgets it.
    pub(crate) async fn finish(&self, request: RequestId, printed: bool) {
        let ended = self.map().get(&request).map(|waiting| waiting.ended.subscribe());
        if let Some(mut ended) = ended.filter(|_| printed) {
            // It ends, at the latest, with the session.
            let _ = ended.wait_for(|ended| *ended).await;
        }
        self.map().remove(&request);
    }

    /// Nobody waits for what this request's place prints.
    pub(crate) fn forget(&self, request: RequestId) {
        self.map().remove(&request);
    }

    pub(super) fn clear(&self) {
        self.map().clear();
    }

    fn map(&self) -> MutexGuard<'_, HashMap<RequestId, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a place's output appear, and what it logs.
pub(super) async fn receive(hub: &Hub, session: &Arc<Session>, mut stream: Incoming, request: RequestId) {
    let found = session.outputs.map().get(&request).map(|waiting| (waiting.stdout.clone(), waiting.stderr.clone(), waiting.log.clone()));
    // Its place has ended without: whoever started it wanted no more.
    let Some((stdout, stderr, log)) = found else { return };
    let mut decoder = Decoder::default();
    while let Ok(chunks) = stream.chunks().await
        && !chunks.is_empty()
    {
        let mut frames = Vec::new();
        if let Err(error) = session::decode(&mut decoder, &chunks, &mut frames) {
            hub.act(|node, _| node.handle_breach(session.key(), error.to_string()));
            return;
        }
        for frame in frames {
            // Output that nobody can read is not the other place's fault.
            let _ = match frame {
                OutputFrame::Stdout(bytes) => stdout.0.write(&bytes),
                OutputFrame::Stderr(bytes) => stderr.0.write(&bytes),
                OutputFrame::Log(line) => {
                    log::there(&line);
                    if let Some(log) = &log {
                        log.0.forward(line);
                    }
                    Ok(())
                }
            };
        }
    }
    if let Some(waiting) = session.outputs.map().get(&request) {
        waiting.ended.send_replace(true);
    }
}
