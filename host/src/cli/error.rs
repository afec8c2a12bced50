//! The one error of the command: what went wrong, why, what to do next, and the exit code.

use std::error::Error;
use std::fmt;
use std::iter::successors;

use super::exit_code::ExitCode;
use super::terminal::{self, CYAN, RED};

/// Why `placehost` does not end with success.
#[derive(Debug)]
pub(crate) struct CliError {
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
    code: ExitCode,
}

impl CliError {
    /// An error with a message: a fragment in lower case without a full stop.
    pub(crate) fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self { message: message.into(), causes: Vec::new(), hints: Vec::new(), code }
    }

    /// An error of which nothing is said, because whoever would care knows.
    pub(crate) fn silent(code: ExitCode) -> Self {
        Self::new(code, "")
    }

    /// Adds a line about why, or one of several things that are wrong.
    pub(crate) fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds an error and what caused it, each on a line.
    pub(crate) fn because(mut self, error: &(dyn Error + 'static)) -> Self {
        let first: &dyn Error = error;
        for error in successors(Some(first), |&error| error.source()) {
            let text = error.to_string();
            // Libraries that print their cause in their own message would have it said twice.
            if !self.causes.last().is_some_and(|before| before.contains(&text)) {
                self.causes.push(text);
            }
        }
        self
    }

    /// Adds what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same, with another exit code.
    pub(crate) fn with_code(mut self, code: ExitCode) -> Self {
        self.code = code;
        self
    }

    /// What went wrong, in one line.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The lines about why.
    pub(crate) fn causes(&self) -> &[String] {
        &self.causes
    }

    /// What to do next.
    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// Says it on stderr, and returns the exit code.
    pub(crate) fn report(self) -> ExitCode {
        if !self.message.is_empty() {
            terminal::say(&self);
        }
        self.code
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{RED}error:{RED:#} {}", self.message)?;
        for line in self.causes.iter().flat_map(|cause| cause.lines()) {
            write!(f, "\n    {line}")?;
        }
        if !self.hints.is_empty() {
            writeln!(f)?;
        }
        for hint in &self.hints {
            write!(f, "\n{CYAN}hint:{CYAN:#} {hint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn hints_stand_apart_from_the_error() {
        let error = CliError::new(ExitCode::CANNOT, "it is broken").cause("so it said").hint("mend it").hint("or get another");
        let text = anstream::adapter::strip_str(&error.to_string()).to_string();
        assert_eq!(text, "error: it is broken\n    so it said\n\nhint: mend it\nhint: or get another");
    }

    #[test]
    fn an_error_without_hints_is_one_line() {
        let text = CliError::new(ExitCode::FAILED, "no").to_string();
        assert_eq!(anstream::adapter::strip_str(&text).to_string(), "error: no");
    }

    #[test]
    fn a_cause_is_not_said_twice() {
        let error = CliError::new(ExitCode::CANNOT, "no").because(&io::Error::other(io::Error::other("disk on fire")));
        assert_eq!(error.causes, ["disk on fire"]);
    }
}
