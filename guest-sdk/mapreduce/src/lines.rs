//! The lines of a split of a file.
//!
//! A line belongs to the split in which its first byte lies. So a split that does not begin the file reads one byte before it, and passes
//! over everything up to the first end of a line; and the last line may reach beyond its end.

use std::io::Read;

/// How much is read at a time.
const CHUNK: usize = 512 << 10;
/// A line that is longer is an error: it would not fit the memory of a place.
const LONGEST: usize = 24 << 20;

/// Reads lines from a reader that stands at `start`, or one byte before it where that is not 0.
pub(crate) struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    /// What has been read and not given out.
    from: usize,
    to: usize,
    /// Where in the input `from` is.
    offset: u64,
    /// Lines that begin here or later belong to others.
    end: u64,
    /// The rest of a line of the split before is still to be passed over.
    skip: bool,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(reader: R, start: u64, end: u64) -> Self {
        Self { reader, buffer: vec![0; CHUNK], from: 0, to: 0, offset: start.saturating_sub(1), end, skip: start > 0 }
    }

    /// The next line, without its end, and where it begins.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(u64, &[u8])>, String> {
        if self.skip {
            self.skip = false;
            if self.line()?.is_none() {
                return Ok(None);
            }
        }
        if self.offset >= self.end {
            return Ok(None);
        }
        let begin = self.offset;
        let Some((from, to)) = self.line()? else { return Ok(None) };
        let line = &self.buffer[from..to];
        Ok(Some((begin, line.strip_suffix(b"\r").unwrap_or(line))))
    }

    /// Finds the next end of a line; where the line lies in the buffer.
    #[inline]
    fn line(&mut self) -> Result<Option<(usize, usize)>, String> {
        let mut searched = 0;
        loop {
            let unread = &self.buffer[self.from..self.to];
            if let Some(at) = memchr::memchr(b'\n', &unread[searched..]) {
                let line = (self.from, self.from + searched + at);
                self.offset += (searched + at + 1) as u64;
                self.from = line.1 + 1;
                return Ok(Some(line));
            }
            searched = unread.len();
            if self.fill()? == 0 {
                let line = (self.from, self.to);
                self.offset += searched as u64;
                self.from = self.to;
                return Ok((searched > 0).then_some(line));
            }
        }
    }

    #[cold]
    fn fill(&mut self) -> Result<usize, String> {
        self.buffer.copy_within(self.from..self.to, 0);
        self.to -= self.from;
        self.from = 0;
        if self.to == self.buffer.len() {
            if self.to >= LONGEST {
                return Err(format!("a line is longer than {LONGEST} bytes"));
            }
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        loop {
            match self.reader.read(&mut self.buffer[self.to..]) {
                Ok(count) => {
                    self.to += count;
                    return Ok(count);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    /// Gives a few bytes at a time.
    struct Slow(Cursor<Vec<u8>>, usize);

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let len = buffer.len().min(self.1);
            self.0.read(&mut buffer[..len])
        }
    }

    fn lines(text: &[u8], start: usize, end: usize, step: usize) -> Vec<(u64, Vec<u8>)> {
        let mut reader = Cursor::new(text.to_vec());
        reader.set_position(start.saturating_sub(1) as u64);
        let mut lines = Lines::new(Slow(reader, step), start as u64, end as u64);
        let mut all = Vec::new();
        while let Some((offset, line)) = lines.next().unwrap() {
            all.push((offset, line.to_vec()));
        }
        all
    }

    proptest! {
        #[test]
        fn each_line_is_in_one_split_wherever_they_are_cut(text in "[a\n\r]{0,40}", cuts in prop::collection::vec(0..41usize, 0..5), step in 1..9usize) {
            let text = text.into_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut < text.len()).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            cuts.dedup();
            let split: Vec<_> = cuts.windows(2).flat_map(|ends| lines(&text, ends[0], ends[1], step)).collect();
            let mut expected = Vec::new();
            let mut offset = 0;
            for line in text.split_inclusive(|byte| *byte == b'\n') {
                let bare = line.strip_suffix(b"\n").unwrap_or(line);
                expected.push((offset, bare.strip_suffix(b"\r").unwrap_or(bare).to_vec()));
                offset += line.len() as u64;
            }
            prop_assert_eq!(split, expected);
        }
    }

    #[test]
    fn a_line_longer_than_the_buffer_is_read_whole() {
        let text = [vec![b'a'; 3 * CHUNK], b"\nb".to_vec()].concat();
        let found = lines(&text, 0, text.len(), usize::MAX);
        assert_eq!((found[0].1.len(), &found[1].1[..]), (3 * CHUNK, &b"b"[..]));
    }
}
