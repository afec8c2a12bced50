//! What goes to the place: `--send`, then the lines of stdin.
//!
//! A plain thread does it, because a read of stdin blocks and nothing can end it but the end of the process.

use std::io::{self, BufRead, Read};
use std::thread;

use placehost::channel::PutError;
use placehost::{Channel, Message, json};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::parse;

/// A line that is longer is no message: the longest one, in base64, with room to spare. So input without line breaks does not
/// fill the memory.
const LONGEST_LINE: u64 = 2 * placehost::channel::MAX_MESSAGE as u64;
/// What most people get wrong first.
const HINT: &str = "every message is JSON, so a text has quotes of its own: '\"World\"'";

/// The thread that feeds the place.
#[derive(Debug)]
pub(super) struct Input {
    failed: oneshot::Receiver<CliError>,
}

impl Input {
    /// Starts putting messages: these, then the lines of stdin if `lines`. At the end it closes that direction of the channel, so
    /// that the place does not wait for more.
    pub(super) fn start(channel: Channel, sends: Vec<Message>, lines: bool, runtime: Handle) -> Result<Self, CliError> {
        let (fail, failed) = oneshot::channel();
        let feed = move || match feed(&channel, sends, lines, &runtime) {
            Ok(()) => channel.close(),
            // Nobody hears it only where the run is ending anyway.
            Err(error) => drop(fail.send(error)),
        };
        let thread = thread::Builder::new().name("input".into()).spawn(feed);
        thread.map_err(|error| CliError::new(ExitCode::CANNOT, "cannot start a thread to read stdin").because(&error))?;
        Ok(Self { failed })
    }

    /// Waits for bad input; for ever if there is none.
    pub(super) async fn failed(&mut self) -> CliError {
        match (&mut self.failed).await {
            Ok(error) => error,
            Err(_) => std::future::pending().await,
        }
    }
}

fn feed(channel: &Channel, sends: Vec<Message>, lines: bool, runtime: &Handle) -> Result<(), CliError> {
    for (index, message) in sends.into_iter().enumerate() {
        if !put(channel, message, runtime).map_err(|error| refused(&format!("the value of --send number {}", index + 1), &error))? {
            return Ok(());
        }
    }
    let mut stdin = io::stdin().lock();
    let mut line = Vec::new();
    for number in 1.. {
        if !lines || !next_line(&mut stdin, &mut line, number)? {
            break;
        }
        let Some(message) = parse_line(&line, number)? else { continue };
        if !put(channel, message, runtime).map_err(|error| refused(&format!("line {number} of stdin"), &error))? {
            break;
        }
    }
    Ok(())
}

/// Puts a message, waiting for room; false if the place reads no more, which is its right.
fn put(channel: &Channel, message: Message, runtime: &Handle) -> Result<bool, PutError> {
    match runtime.block_on(channel.put(message)) {
        Ok(()) => Ok(true),
        Err(PutError::Closed) => Ok(false),
        Err(error) => Err(error),
    }
}

fn refused(what: &str, error: &PutError) -> CliError {
    match error {
        PutError::OverBudget(_) => {
            CliError::new(ExitCode::LIMIT, format!("cannot send {what}: {error}")).hint("give the place more with `--memory`")
        }
        _ => CliError::new(ExitCode::CANNOT, format!("cannot send {what}: {error}")),
    }
}

/// Reads a line; false at the end of input.
fn next_line(stdin: &mut impl BufRead, line: &mut Vec<u8>, number: u64) -> Result<bool, CliError> {
    line.clear();
    let read = stdin.take(LONGEST_LINE).read_until(b'\n', line);
    match read.map_err(|error| CliError::new(ExitCode::CANNOT, "cannot read standard input").because(&error))? {
        0 => Ok(false),
        length if length as u64 == LONGEST_LINE => {
            Err(CliError::new(ExitCode::CANNOT, format!("line {number} of stdin is longer than {LONGEST_LINE} bytes")))
        }
        _ => Ok(true),
    }
}

/// The message on a line; none where the line is blank.
fn parse_line(line: &[u8], number: u64) -> Result<Option<Message>, CliError> {
    let text = line.trim_ascii();
    if text.is_empty() {
        return Ok(None);
    }
    message(&format!("line {number} of stdin"), text, ExitCode::CANNOT).map(Some)
}

/// The message that a person wrote.
///
/// # Errors
/// It is no JSON, or no message; the error names `what` it was in and shows it.
pub(super) fn message(what: &str, text: &[u8], code: ExitCode) -> Result<Message, CliError> {
    let shown = || parse::shorten(&String::from_utf8_lossy(text));
    let value: Value = serde_json::from_slice(text)
        .map_err(|error| CliError::new(code, format!("{what} is not JSON: {}", parse::json_error(&error))).cause(shown()).hint(HINT))?;
    json::to_message(&value).map_err(|error| CliError::new(code, format!("{what} is no message: {error}")).cause(shown()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_is_named_and_shown() {
        let error = parse_line(b" World\n", 3).unwrap_err();
        assert_eq!(error.message(), "line 3 of stdin is not JSON: expected value at column 1");
        assert_eq!(error.causes(), ["World"]);
        assert_eq!(
            parse_line(b"{\"$raw\": 1}\n", 1).unwrap_err().message(),
            "line 1 of stdin is no message: `$raw` wants a string in base64"
        );
        assert!(parse_line(b"\"\xff\"", 1).is_err());
    }

    #[test]
    fn a_blank_line_is_no_message() {
        assert!(parse_line(b" \r\n", 1).unwrap().is_none());
        assert!(parse_line(b"null\r\n", 1).unwrap().is_some());
    }

    #[test]
    fn the_last_line_needs_no_line_break() {
        let (mut stdin, mut line) = (&b"1\n2"[..], Vec::new());
        assert!(next_line(&mut stdin, &mut line, 1).unwrap());
        assert!(next_line(&mut stdin, &mut line, 2).unwrap());
        assert_eq!(line, b"2");
        assert!(!next_line(&mut stdin, &mut line, 3).unwrap());
    }
}
