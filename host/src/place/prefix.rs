//! Output with something before each line: which of many places said it.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use crate::config::{Output, Sink};

/// A line that is longer is broken here, so that a place cannot make the host keep more.
const LONGEST_LINE: usize = 64 << 10;

/// A sink that puts whole lines into another one, each with the prefix. A line that has no end gets one when the sink goes.
pub(crate) struct Prefixed {
    prefix: Vec<u8>,
    /// What came of the line that has no end yet.
    begun: Mutex<Vec<u8>>,
    to: Output,
}

impl Prefixed {
    pub(crate) fn output(prefix: &str, to: Output) -> Output {
        Output::new(Self { prefix: prefix.into(), begun: Mutex::default(), to })
    }

    fn add(&self, lines: &mut Vec<u8>, line: &mut Vec<u8>) {
        lines.extend_from_slice(&self.prefix);
        lines.append(line);
        if lines.last() != Some(&b'\n') {
            lines.push(b'\n');
        }
    }
}

impl Sink for Prefixed {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            for part in part.chunks(LONGEST_LINE) {
                begun.extend_from_slice(part);
                if begun.ends_with(b"\n") || begun.len() >= LONGEST_LINE {
                    self.add(&mut lines, &mut begun);
                }
            }
        }
        // With the lock, so that lines stay in order.
        if lines.is_empty() { Ok(()) } else { self.to.0.write(&lines) }
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.to.0.poll_room(cx)
    }

    fn is_terminal(&self) -> bool {
        self.to.0.is_terminal()
    }
}

impl Drop for Prefixed {
    fn drop(&mut self) {
        let begun = self.begun.get_mut().unwrap_or_else(PoisonError::into_inner);
        let (mut line, mut lines) = (std::mem::take(begun), Vec::new());
        if !line.is_empty() {
            self.add(&mut lines, &mut line);
            // Who cannot be printed to any more is not told either.
            let _ = self.to.0.write(&lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<String>>>);

    impl Sink for Kept {
        fn write(&self, bytes: &[u8]) -> io::Result<()> {
            self.0.lock().unwrap().push(String::from_utf8_lossy(bytes).into_owned());
            Ok(())
        }
    }

    #[test]
    fn whole_lines_are_written_and_the_last_gets_an_end() {
        let kept = Kept::default();
        let output = Prefixed::output("[3] ", Output::new(kept.clone()));
        for text in ["a", "b\nc\n", "", "\nd"] {
            output.0.write(text.as_bytes()).unwrap();
        }
        assert_eq!(*kept.0.lock().unwrap(), ["[3] ab\n[3] c\n", "[3] \n"]);
        drop(output);
        assert_eq!(kept.0.lock().unwrap().last().unwrap(), "[3] d\n");
    }

    #[test]
    fn a_line_without_end_is_broken() {
        let kept = Kept::default();
        let output = Prefixed::output("> ", Output::new(kept.clone()));
        output.0.write(&vec![b'x'; 2 * LONGEST_LINE + 1]).unwrap();
        assert_eq!(kept.0.lock().unwrap().concat().lines().map(str::len).collect::<Vec<_>>(), [LONGEST_LINE + 2; 2]);
    }
}
