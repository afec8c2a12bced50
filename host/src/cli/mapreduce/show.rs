//! What a person, or a program, sees of a job while it runs: a bar on a terminal, lines elsewhere, or JSON.

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use indicatif::{BinaryBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use placehost::{Output, Sink};
use serde_json::Value;

use super::report::{self, count, number, place, task, text, time};
use crate::cli::error::CliError;
use crate::cli::terminal;

/// Shows a job. Clones are the same display.
#[derive(Clone)]
pub(super) struct Show(Arc<Inner>);

struct Inner {
    how: How,
    /// Whether each task is said.
    tasks: bool,
    seen: Mutex<Seen>,
}

enum How {
    Json,
    Lines,
    Bar(ProgressBar),
}

#[derive(Default)]
struct Seen {
    /// The tasks are planned.
    begun: bool,
    /// How far a line has said it is, in tenths of the maps and of the reduces.
    tenths: (u64, u64),
}

impl Show {
    /// Nothing is shown yet.
    pub(super) fn new(json: bool, verbose: u8) -> Self {
        let how = match json {
            true => How::Json,
            false if IsTerminal::is_terminal(&io::stderr()) => How::Bar(bar()),
            false => How::Lines,
        };
        Self(Arc::new(Inner { how, tasks: verbose > 0, seen: Mutex::default() }))
    }

    /// Shows what the job says.
    ///
    /// # Errors
    /// Nobody reads it any more.
    pub(super) fn event(&self, event: &Value) -> Result<(), CliError> {
        let Some((kind, of)) = event.as_object().and_then(|event| event.iter().next()) else { return Ok(()) };
        if kind == "planned" {
            self.seen().begun = true;
        }
        match &self.0.how {
            How::Json => return terminal::answer(event),
            How::Bar(bar) if kind == "progress" => show_on(bar, of),
            How::Lines if kind == "progress" => {
                if self.seen().moves_on(of) {
                    self.say(&progress(of));
                }
            }
            _ => {
                if let Some(line) = line(kind, of, self.0.tasks) {
                    self.say(&line);
                }
            }
        }
        Ok(())
    }

    /// Whether the job has got as far as to plan its tasks.
    pub(super) fn has_begun(&self) -> bool {
        self.seen().begun
    }

    /// Says at the end what the job did; programs have been told.
    pub(super) fn summary(&self, done: &Value) {
        if !matches!(self.0.how, How::Json) {
            self.say(&report::summary(done));
        }
    }

    /// Takes the bar away.
    pub(super) fn clear(&self) {
        if let How::Bar(bar) = &self.0.how {
            bar.finish_and_clear();
        }
    }

    /// Output that goes on while a bar is shown, and past it.
    pub(super) fn beside(&self, sink: impl Sink) -> Output {
        match &self.0.how {
            How::Bar(bar) => Output::new(Beside { bar: bar.clone(), sink }),
            _ => Output::new(sink),
        }
    }

    fn say(&self, line: &str) {
        match &self.0.how {
            How::Bar(bar) => bar.suspend(|| terminal::say(&line)),
            _ => terminal::say(&line),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Whether so much more is done than was said that another line is due.
    fn moves_on(&mut self, progress: &Value) -> bool {
        let tenth = |kind: &str| number(&progress[kind], "done") * 10 / number(&progress[kind], "of").max(1);
        let now = (tenth("maps"), tenth("reduces"));
        std::mem::replace(&mut self.tenths, now) != now
    }
}

struct Beside<S> {
    bar: ProgressBar,
    sink: S,
}

impl<S: Sink> Sink for Beside<S> {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.bar.suspend(|| self.sink.write(bytes))
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.sink.poll_room(cx)
    }

    fn is_terminal(&self) -> bool {
        self.sink.is_terminal()
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
    bar.set_style(ProgressStyle::with_template("{bar:10} {wide_msg}").expect("the template is well-formed"));
    bar
}

fn show_on(bar: &ProgressBar, of: &Value) {
    let both = |name| number(&of["maps"], name) + number(&of["reduces"], name);
    bar.set_length(both("of"));
    bar.set_position(both("done"));
    bar.set_message(progress(of));
}

/// How far a job is: `maps 3/8, reduces 0/2, shuffled 1.20 MiB, 12.0 s left, 3 workers, 1 retry`.
fn progress(of: &Value) -> String {
    let tasks = |kind: &str| format!("{kind} {}/{}", number(&of[kind], "done"), number(&of[kind], "of"));
    let mut parts = vec![tasks("maps"), tasks("reduces"), format!("shuffled {}", BinaryBytes(number(of, "shuffled")))];
    parts.extend(of["left"].as_u64().map(|left| format!("{} left", time(left))));
    parts.push(count(number(of, "workers"), "worker"));
    match number(of, "retries") {
        0 => {}
        1 => parts.push("1 retry".into()),
        retries => parts.push(format!("{retries} retries")),
    }
    parts.join(", ")
}

/// What else is said of a job, in a line; some of it only where each task is.
fn line(kind: &str, of: &Value, tasks: bool) -> Option<String> {
    let ran = || format!("{}, attempt {}, on {}", task(of), number(of, "attempt"), place(of));
    match kind {
        "joined" if tasks => Some(format!("{} joined, for {} at a time", place(of), count(number(of, "slots"), "task"))),
        "planned" => {
            let bytes = match number(of, "bytes") {
                0 => String::new(),
                bytes => format!(" over {}", BinaryBytes(bytes)),
            };
            Some(format!("{}{bytes} and {}", count(number(of, "maps"), "map task"), count(number(of, "reduces"), "reduce task")))
        }
        "lost" => {
            let again = again(of);
            Some(format!("{}warning:{:#} {} is lost: {}{again}", terminal::YELLOW, terminal::YELLOW, place(of), text(of, "why")))
        }
        "restarted" => {
            let (new, again) = (number(of, "new"), again(of));
            let why = format!("the agent on {} has ended: {}", place(of), text(of, "why"));
            Some(format!("{}warning:{:#} {why}; another one is worker {new}{again}", terminal::YELLOW, terminal::YELLOW))
        }
        "task-failed" => {
            let then = if of["again"] == true { "; it is tried again" } else { "" };
            Some(format!("{}warning:{:#} {}{then}", terminal::YELLOW, terminal::YELLOW, report::failure_of(of)))
        }
        "straggler" if tasks => {
            let copy = number(of, "copy-on");
            Some(format!("{} has taken {} and gets a second copy on worker {copy}", task(of), time(number(of, "millis"))))
        }
        "task-began" if tasks => Some(format!("{} began: {}", ran(), text(of, "input"))),
        "task-ended" if tasks => {
            let flow = |records, bytes| format!("{}, {}", count(number(of, records), "record"), BinaryBytes(number(of, bytes)));
            let spilled = match number(of, "spilled") {
                0 => String::new(),
                bytes => format!(", spilled {}", BinaryBytes(bytes)),
            };
            let (took, read, wrote) = (time(number(of, "millis")), flow("records-in", "bytes-in"), flow("records-out", "bytes-out"));
            Some(format!("{} ended after {took}: in {read}; out {wrote}{spilled}", ran()))
        }
        _ => None,
    }
}

/// How many map tasks run again whose outputs went with their worker.
fn again(of: &Value) -> String {
    match number(of, "again") {
        0 => String::new(),
        1 => "; 1 map task that had ended runs again".into(),
        again => format!("; {} that had ended run again", count(again, "map task")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn progress_is_one_line() {
        let of = json!({ "at": 900, "maps": { "of": 8, "done": 3, "running": 2 }, "reduces": { "of": 2, "done": 0, "running": 0 },
            "bytes-in": 10, "shuffled": 1536, "bytes-out": 0, "workers": 3, "retries": 1, "left": 12_000 });
        assert_eq!(progress(&of), "maps 3/8, reduces 0/2, shuffled 1.50 KiB, 12.0 s left, 3 workers, 1 retry");
    }

    #[test]
    fn lines_are_said_when_a_tenth_more_is_done() {
        let mut seen = Seen::default();
        let at = |maps, reduces| json!({ "maps": { "of": 40, "done": maps }, "reduces": { "of": 0, "done": reduces } });
        let said: Vec<_> = [0, 3, 4, 5, 7, 8, 40, 40].map(|maps| seen.moves_on(&at(maps, 0))).into();
        assert_eq!(said, [false, false, true, false, false, true, true, false]);
    }

    #[test]
    fn what_others_wrote_commands_no_terminal() {
        let failed = json!({ "kind": "map", "task": 0, "attempt": 1, "worker": 0, "name": "a\u{1b}[2J", "input": "b", "offset": null,
            "error": "c\u{7}", "backtrace": [], "again": true });
        let line = line("task-failed", &failed, false).unwrap();
        assert_eq!(
            anstream::adapter::strip_str(&line).to_string(),
            "warning: map task 0, attempt 1, on worker `a\u{fffd}[2J`, of `b`: c\u{fffd}; it is tried again"
        );
    }

    #[test]
    fn tasks_are_said_to_who_asks() {
        let began = json!({ "at": 1, "kind": "map", "task": 2, "attempt": 1, "worker": 0, "slot": 0, "input": "x" });
        assert_eq!(line("task-began", &began, true).unwrap(), "map task 2, attempt 1, on worker 0 began: x");
        assert_eq!(line("task-began", &began, false), None);
        assert_eq!(line("something-new", &began, true), None);
    }
}
