//! How a job went, as sentences for people.

use std::fmt::Write as _;
use std::time::Duration;

use indicatif::{BinaryBytes, HumanCount};
use serde_json::Value;

use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::terminal::plain;

/// A number of an event; nothing is zero.
pub(super) fn number(event: &Value, name: &str) -> u64 {
    event[name].as_u64().unwrap_or(0)
}

/// A text of an event, without what a terminal would obey.
pub(super) fn text(event: &Value, name: &str) -> String {
    plain(event[name].as_str().unwrap_or_default())
}

/// `1 map task`, `2 map tasks`.
pub(super) fn count(number: u64, what: &str) -> String {
    format!("{} {what}{}", HumanCount(number), if number == 1 { "" } else { "s" })
}

/// A time of an event: `250 ms`, `2.5 s`, `3 min 20 s`.
pub(super) fn time(millis: u64) -> String {
    let time = Duration::from_millis(millis);
    match time.as_secs() {
        0 => format!("{millis} ms"),
        seconds @ 1..120 => format!("{seconds}.{} s", time.subsec_millis() / 100),
        seconds @ 120..7200 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// A task of an event: `map task 3`.
pub(super) fn task(event: &Value) -> String {
    format!("{} task {}", text(event, "kind"), number(event, "task"))
}

/// Where a task of an event ran: its worker's name, or number.
pub(super) fn place(event: &Value) -> String {
    match event["name"].as_str() {
        Some(name) => format!("worker `{}`", plain(name)),
        None => format!("worker {}", number(event, "worker")),
    }
}

/// What a task of an event failed of, with its input and the place in that.
pub(super) fn failure_of(event: &Value) -> String {
    let offset = event["offset"].as_u64().map(|offset| format!(", at byte {offset}")).unwrap_or_default();
    let attempt = number(event, "attempt");
    format!("{}, attempt {attempt}, on {}, of `{}`{offset}: {}", task(event), place(event), text(event, "input"), text(event, "error"))
}

/// The error for a job that failed; before it had planned its tasks it has not begun.
pub(super) fn failure(failed: &Value, begun: bool) -> CliError {
    let code = if begun { ExitCode::FAILED } else { ExitCode::CANNOT };
    let why = failed["error"].as_str().map_or_else(|| failed.to_string(), plain);
    let error = CliError::new(code, format!("the job failed: {why}"));
    let task = &failed["task"];
    if task.is_null() {
        return error;
    }
    let error = error.cause(failure_of(task));
    let lines = match &task["backtrace"] {
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).map(plain).collect(),
        Value::String(lines) => lines.lines().map(plain).collect(),
        _ => Vec::new(),
    };
    lines.into_iter().fold(error, CliError::cause)
}

/// What a job that is done did.
pub(super) fn summary(done: &Value) -> String {
    let n = |name| number(done, name);
    let mut text = format!(
        "Done in {}: {} and {} on {}",
        time(n("millis")),
        count(n("maps"), "map task"),
        count(n("reduces"), "reduce task"),
        count(n("workers"), "worker")
    );
    let mishaps =
        [("lost", "worker lost", "workers lost"), ("retries", "retry", "retries"), ("speculated", "second copy", "second copies")];
    for (name, one, many) in mishaps {
        match n(name) {
            0 => {}
            1 => text += &format!(", 1 {one}"),
            number => text += &format!(", {} {many}", HumanCount(number)),
        }
    }
    let flows = [
        ("in", Some(n("records-in")), n("bytes-in")),
        ("shuffled", Some(n("records-shuffled")), n("shuffled")),
        ("out", Some(n("records-out")), n("bytes-out")),
        ("spilled", None, n("spilled")),
    ];
    for (name, records, bytes) in flows {
        let records = records.map(|records| count(records, "record") + ", ").unwrap_or_default();
        // Writing into a text does not fail.
        let _ = write!(text, "\n{name:<11}{records}{}", BinaryBytes(bytes));
    }
    for (index, slow) in done["slowest"].as_array().into_iter().flatten().enumerate() {
        let heading = if index == 0 { "slowest" } else { "" };
        let took = time(number(slow, "millis"));
        let _ = write!(text, "\n{heading:<11}{took:<9}{} on {}: {}", task(slow), place(slow), self::text(slow, "input"));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_failure_names_task_worker_input_and_offset() {
        let task = json!({ "at": 5, "kind": "map", "task": 3, "attempt": 4, "worker": 1, "name": "host2", "input": "/data/a.txt @ 0 + 9",
            "offset": 7, "error": "no number", "backtrace": ["frame one", "frame two"], "again": false });
        let error = failure(&json!({ "error": "map task 3 failed 4 times", "task": task }), true);
        assert_eq!(error.message(), "the job failed: map task 3 failed 4 times");
        assert_eq!(
            error.causes(),
            ["map task 3, attempt 4, on worker `host2`, of `/data/a.txt @ 0 + 9`, at byte 7: no number", "frame one", "frame two"]
        );
        assert_eq!(error.report(), ExitCode::FAILED);
        let early = failure(&json!({ "error": "there is no input" }), false);
        assert_eq!(early.report(), ExitCode::CANNOT);
    }

    #[test]
    fn a_summary_has_what_went_in_and_out() {
        let slow = json!({ "kind": "reduce", "task": 1, "worker": 0, "name": "host1", "input": "partition 1", "millis": 1500 });
        let done = json!({ "millis": 2345, "maps": 1, "reduces": 2, "records-in": 1234, "bytes-in": 2048, "records-shuffled": 10,
            "shuffled": 300, "records-out": 1, "bytes-out": 5, "spilled": 0, "retries": 2, "speculated": 1, "workers": 3, "lost": 1,
            "slowest": [slow], "files": [] });
        let expected = "\
Done in 2.3 s: 1 map task and 2 reduce tasks on 3 workers, 1 worker lost, 2 retries, 1 second copy
in         1,234 records, 2.00 KiB
shuffled   10 records, 300 B
out        1 record, 5 B
spilled    0 B
slowest    1.5 s    reduce task 1 on worker `host1`: partition 1";
        assert_eq!(summary(&done), expected);
    }

    #[test]
    fn times_are_as_exact_as_they_matter() {
        for (millis, shown) in [(7, "7 ms"), (1_250, "1.2 s"), (119_900, "119.9 s"), (200_000, "3 min 20 s"), (7_260_000, "2 h 1 min")] {
            assert_eq!(time(millis), shown);
        }
    }
}
