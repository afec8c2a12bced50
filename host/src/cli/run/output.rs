//! What comes from the place: what it prints, and its messages as lines of JSON.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;

use placehost::channel::{Accept, Taken};
use placehost::{Channel, Message, Sink, json};
use tokio::runtime::Handle;
use tokio::sync::{SetOnce, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Messages are written together up to about this many bytes: a system call for each would be most of the work.
const TOGETHER: usize = 64 << 10;

/// Our standard output, which places and the printer share. It notes that nobody reads any more: the run is over then.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Stdout(Arc<SetOnce<io::Error>>);

impl Stdout {
    /// Waits until there is no point in printing; mostly for ever.
    pub(in crate::cli) async fn is_lost(&self) {
        self.0.wait().await;
    }

    /// Why there is no point in printing.
    pub(in crate::cli) fn error(&self) -> Option<&io::Error> {
        self.0.get()
    }

    fn lose(&self, error: &io::Error) {
        // The first one is what happened; the others follow from it.
        let _ = self.0.set(copy(error));
    }
}

impl Sink for Stdout {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let written = Sink::write(&io::stdout(), bytes);
        // Any other error the place may deal with itself.
        written.inspect_err(|error| {
            if error.kind() == ErrorKind::BrokenPipe {
                self.lose(error)
            }
        })
    }

    fn is_terminal(&self) -> bool {
        Sink::is_terminal(&io::stdout())
    }
}

/// An error cannot be cloned, for it may hold anything. Those of writing have a number.
fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// The task that prints messages, on a thread where it may block.
#[derive(Debug)]
pub(super) struct Printer {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Printer {
    /// Starts printing what comes out of this channel.
    pub(super) fn start(channel: Channel, stdout: Stdout, runtime: &Handle) -> Self {
        let (end, ended) = oneshot::channel();
        let handle = runtime.clone();
        let task = runtime.spawn_blocking(move || {
            let printed = handle.block_on(print(&channel, ended));
            printed.unwrap_or_else(|error| stdout.lose(&error));
        });
        Self { end, task }
    }

    /// Prints the messages that are there, and ends. From another node some may be `late`: for so long the end of them is waited for.
    pub(super) async fn finish(mut self, late: Option<Duration>) {
        if let Some(late) = late
            && timeout(late, &mut self.task).await.is_ok()
        {
            return;
        }
        // The task may have ended before, and it does not panic.
        let _ = self.end.send(());
        let _ = self.task.await;
    }
}

/// Prints messages until told to end, and then those that are there: there need be no end of them, for a place may have sent the
/// other end of the channel to somebody who keeps it.
async fn print(channel: &Channel, mut ended: oneshot::Receiver<()>) -> io::Result<()> {
    loop {
        let message = tokio::select! {
            biased;
            message = channel.get() => message.ok(),
            _ = &mut ended => None,
        };
        let more = message.is_some();
        write_all(channel, message)?;
        if !more {
            return Ok(());
        }
    }
}

/// Writes this message and those that are there already.
fn write_all(channel: &Channel, first: Option<Message>) -> io::Result<()> {
    let mut next = first.or_else(|| take(channel));
    while next.is_some() {
        let mut lines = Vec::new();
        while let Some(message) = next.take() {
            writeln!(lines, "{}", json::from_message(&message))?;
            next = if lines.len() < TOGETHER { take(channel) } else { None };
        }
        Sink::write(&io::stdout(), &lines)?;
        next = take(channel);
    }
    Ok(())
}

fn take(channel: &Channel) -> Option<Message> {
    match channel.try_take(Accept::Any) {
        Some(Taken::Message(message)) => Some(message),
        _ => None,
    }
}
