//! Objects of stores as input: which ones a pattern names, and parts of them.
//!
//! A store lists all that lies under a prefix, so a pattern costs as much as there is below the names before its first wildcard.

use std::io::{self, Read};

use places::Error;
use places::objects::{Reader, Store};

use crate::glob;
use crate::input::packing;
use crate::wire::Found;

/// What is asked for with a split beyond its end, where its last line ends. What else that needs is asked for then, each time twice as much.
const BEYOND: u64 = 64 << 10;
/// The most that is asked for beyond it at a time.
const MOST: u64 = 4 << 20;

/// Whether a path names objects.
pub(crate) fn is_url(path: &str) -> bool {
    path.contains("://")
}

/// The objects that a pattern names, in order. One that has no wildcards is an object, or all that lie directly under it.
pub(crate) fn find(pattern: &str, split: u64) -> Result<Vec<Found>, String> {
    let (base, parts) = split_pattern(pattern);
    let wrong = |error: Error| format!("cannot read the input `{pattern}`: {error}");
    let store = open(base, "cannot read the input", ":ro")?;
    let mut found = Vec::new();
    // A bucket is no object.
    if parts.is_empty() && !is_bucket(base) {
        match store.head("") {
            Ok(object) => return Ok(vec![look(base.to_owned(), object.size, split)?]),
            // What may be a folder.
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(wrong(error)),
        }
    }
    let parts = if parts.is_empty() { vec!["*"] } else { parts };
    for object in store.list("").map_err(wrong)? {
        let object = object.map_err(wrong)?;
        let names: Vec<&str> = object.key.split('/').collect();
        if names.len() == parts.len() && parts.iter().zip(&names).all(|(part, name)| is_meant(part, name)) {
            found.push((format!("{base}/{}", object.key), object.size));
        }
    }
    if found.is_empty() {
        return Err(format!("no object matches the input `{pattern}`"));
    }
    found.sort();
    found.into_iter().map(|(url, size)| look(url, size, split)).collect()
}

fn is_meant(part: &str, name: &str) -> bool {
    if glob::is_pattern(part) { !glob::is_hidden(name) && glob::matches(part, name) } else { part == name }
}

/// That this worker may read what a pattern names; whether anything is there is not asked.
pub(crate) fn check(pattern: &str) -> Result<(), String> {
    open(split_pattern(pattern).0, "cannot read the input", ":ro").map(drop)
}

/// What is at a URL, if it was granted.
pub(crate) fn open(url: &str, what: &str, mode: &str) -> Result<Store, String> {
    Store::open(url).map_err(|error| refused(url, what, mode, &error))
}

/// Why it cannot be, and who could change that.
pub(crate) fn refused(url: &str, what: &str, mode: &str, error: &Error) -> String {
    let hint = match error {
        Error::Denied(_) => format!("; who runs it, or its node, grants it with `--objects {url}{mode}`"),
        _ => String::new(),
    };
    format!("{what} `{url}`: {error}{hint}")
}

/// The part of a URL before its first name with a wildcard, and the names from there on.
fn split_pattern(url: &str) -> (&str, Vec<&str>) {
    let url = url.trim_end_matches('/');
    let from = url.find("://").map_or(0, |scheme| scheme + 3);
    let mut at = from;
    for part in url[from..].split('/') {
        if glob::is_pattern(part) {
            // Of `file:///*` the root is left, with its slash.
            let base = url[..at].strip_suffix('/').filter(|base| base.len() > from).unwrap_or(&url[..at]);
            return (base, url[at..].split('/').collect());
        }
        at += part.len() + 1;
    }
    (url, Vec::new())
}

fn is_bucket(url: &str) -> bool {
    url.strip_prefix("s3://").is_some_and(|rest| !rest.contains('/'))
}

/// How an object is packed, where that matters for how it is split.
fn look(url: String, size: u64, split: u64) -> Result<Found, String> {
    if size <= split {
        return Ok(Found { path: url, size, packing: crate::wire::Packing::Unseen });
    }
    let mut head = Vec::new();
    let store = open(&url, "cannot read the input", ":ro")?;
    range(&store, 0, 4, size).and_then(|mut reader| reader.read_to_end(&mut head)).map_err(|error| unreadable(&url, &error))?;
    Ok(Found { path: url, size, packing: packing(&head) })
}

pub(crate) fn unreadable(path: &str, error: &io::Error) -> String {
    format!("cannot read `{path}`: {error}")
}

/// A part of an object, and beyond its end as much as is read.
pub(crate) struct Part {
    store: Store,
    reader: Reader,
    /// Where the next range begins.
    next: u64,
    step: u64,
    size: u64,
}

impl Part {
    /// From `from` to `to`, of an object that had so many bytes when the job began.
    pub(crate) fn open(url: &str, from: u64, to: u64, size: u64) -> io::Result<Self> {
        let store = Store::open(url).map_err(io::Error::other)?;
        let to = size.min(to.saturating_add(BEYOND));
        let reader = range(&store, from, to, size)?;
        Ok(Self { store, reader, next: to, step: 2 * BEYOND, size })
    }
}

fn range(store: &Store, from: u64, to: u64, size: u64) -> io::Result<Reader> {
    let reader = store.read_range("", from..to).map_err(io::Error::other)?;
    if reader.size() != size {
        let now = reader.size();
        return Err(io::Error::other(format!("it was written again since the job began: it had {size} bytes, and has {now}")));
    }
    Ok(reader)
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.reader.read(buffer)?;
            if count > 0 || buffer.is_empty() || self.next >= self.size {
                return Ok(count);
            }
            let to = self.size.min(self.next + self.step);
            self.reader = range(&self.store, self.next, to, self.size)?;
            self.next = to;
            self.step = MOST.min(2 * self.step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_lies_before_the_first_wildcard() {
        for (url, base, parts) in [
            ("s3://bucket/a/b.txt", "s3://bucket/a/b.txt", &[][..]),
            ("s3://bucket/a/", "s3://bucket/a", &[]),
            ("s3://bucket", "s3://bucket", &[]),
            ("s3://bucket/*", "s3://bucket", &["*"]),
            ("s3://bucket/a/[bc]/d*.txt", "s3://bucket/a", &["[bc]", "d*.txt"]),
            ("file:///srv/data/*/x", "file:///srv/data", &["*", "x"]),
            ("file:///*", "file:///", &["*"]),
        ] {
            assert_eq!(split_pattern(url), (base, parts.to_vec()), "{url}");
        }
        assert!(is_meant("*", "a") && !is_meant("*", ".a") && !is_meant("_*", "_a") && is_meant("_a", "_a"));
    }
}
