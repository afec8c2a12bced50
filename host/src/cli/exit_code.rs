//! What the process says by its exit code.

use placehost::ExitReason;

/// An exit code of `placehost`. The codes from 124 on are those of `timeout` and of shells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExitCode(u8);

impl ExitCode {
    /// It worked; the place returned.
    pub(crate) const SUCCESS: Self = Self(0);
    /// The start function returned an error; or a command other than `run` and `inspect` could not do its work.
    pub(crate) const FAILED: Self = Self(1);
    /// The command line makes no sense. The number is clap's.
    pub(crate) const USAGE: Self = Self(2);
    /// The node that the place ran on was lost: EX_UNAVAILABLE of BSD's sysexits.
    pub(crate) const UNAVAILABLE: Self = Self(69);
    /// The place went over its memory, deadline or fuel.
    pub(crate) const LIMIT: Self = Self(124);
    /// placehost itself could not: a bad module, bad input, no room.
    pub(crate) const CANNOT: Self = Self(125);
    /// Ctrl-C: 128 and the number of SIGINT.
    pub(crate) const INTERRUPTED: Self = Self(130);
    /// The place trapped: 128 and the number of SIGABRT, as a native program that panics so.
    pub(crate) const TRAPPED: Self = Self(134);
    /// The place was killed, by somebody or by a link: 128 and the number of SIGKILL.
    pub(crate) const KILLED: Self = Self(137);
    /// Nobody reads standard output any more: 128 and the number of SIGPIPE.
    pub(crate) const CLOSED: Self = Self(141);
    /// 128 and the number of SIGTERM.
    pub(crate) const TERMINATED: Self = Self(143);

    /// The codes for people, as a part of the long help.
    pub(crate) const TABLE: &str = "\
Exit codes:
  the place's own code, where it called exit; and else
    0  the start function returned
    1  the start function returned an error
    2  the command line is wrong
   69  the node it ran on was lost
  124  a limit was reached: memory, deadline or fuel
  125  placehost could not run it: a bad module, bad input, no room
  130  Ctrl-C
  134  the place trapped: it panicked, or did what WebAssembly forbids
  137  the place was killed, or went with one that it was linked to
  141  nobody reads standard output any more
  143  SIGTERM";

    /// The code for how a place ended.
    pub(crate) fn of(reason: &ExitReason) -> Self {
        match reason {
            ExitReason::Returned => Self::SUCCESS,
            ExitReason::Exited(code) => Self(*code),
            ExitReason::Trapped { .. } => Self::TRAPPED,
            ExitReason::Killed | ExitReason::Linked(_) => Self::KILLED,
            ExitReason::NodeLost => Self::UNAVAILABLE,
            ExitReason::Limit(_) => Self::LIMIT,
            _ => Self::FAILED,
        }
    }
}

impl From<ExitCode> for i32 {
    fn from(code: ExitCode) -> Self {
        code.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_code() {
        let codes = [
            ExitCode::SUCCESS,
            ExitCode::FAILED,
            ExitCode::USAGE,
            ExitCode::UNAVAILABLE,
            ExitCode::LIMIT,
            ExitCode::CANNOT,
            ExitCode::INTERRUPTED,
            ExitCode::TRAPPED,
            ExitCode::KILLED,
            ExitCode::CLOSED,
            ExitCode::TERMINATED,
        ];
        for ExitCode(code) in codes {
            assert!(ExitCode::TABLE.contains(&format!("\n{code:>5}  ")), "{code}");
        }
    }

    #[test]
    fn the_code_of_the_place_passes_through() {
        assert_eq!(ExitCode::of(&ExitReason::Exited(42)), ExitCode(42));
        assert_eq!(ExitCode::of(&ExitReason::Returned), ExitCode::SUCCESS);
        assert_eq!(ExitCode::of(&ExitReason::Failed("no".into())), ExitCode::FAILED);
        assert_eq!(ExitCode::of(&ExitReason::Limit("its fuel".into())), ExitCode::LIMIT);
    }
}
