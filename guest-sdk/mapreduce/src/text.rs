//! Results as lines: the key, a tab, the value.
//!
//! Text stands as it is, with tabs, ends of lines and backslashes as `\t`, `\n`, `\r`, `\\`; everything else as JSON. Of a value `()`
//! nothing stands there, and no tab.

use serde::Serialize;

use crate::key::plain::{See, see};

pub(crate) fn line<K: Serialize + ?Sized, V: Serialize + ?Sized>(key: &K, value: &V, bytes: &mut Vec<u8>) -> Result<(), String> {
    field(key, bytes)?;
    let before = bytes.len();
    bytes.push(b'\t');
    if !field(value, bytes)? {
        bytes.truncate(before);
    }
    bytes.push(b'\n');
    Ok(())
}

/// Whether there was anything.
fn field<T: Serialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) -> Result<bool, String> {
    if see(value, Text(bytes)).is_some() {
        return Ok(true);
    }
    let start = bytes.len();
    serde_json::to_writer(&mut *bytes, value).map_err(|error| format!("a result cannot be written: {error}"))?;
    if bytes.get(start) == Some(&b'"') {
        // Such as the name of a variant.
        let text: String = serde_json::from_slice(&bytes[start..]).map_err(|error| error.to_string())?;
        bytes.truncate(start);
        append(&text, bytes);
        return Ok(true);
    }
    Ok(&bytes[start..] != b"null")
}

/// Appends what is text.
struct Text<'a>(&'a mut Vec<u8>);

impl See for Text<'_> {
    const FOR_PEOPLE: bool = true;
    type Seen = ();

    fn text(self, text: &str) -> Option<()> {
        append(text, self.0);
        Some(())
    }

    fn bytes(self, _: &[u8]) -> Option<()> {
        None
    }

    fn number(self, _: &[u8]) -> Option<()> {
        None
    }
}

fn append(text: &str, bytes: &mut Vec<u8>) {
    let escaped = |byte: u8| matches!(byte, b'\t' | b'\n' | b'\r' | b'\\');
    // It looks at all of them, which takes less time than to look whether that is needed.
    if !text.bytes().fold(false, |any, byte| any | escaped(byte)) {
        return bytes.extend_from_slice(text.as_bytes());
    }
    for byte in text.bytes() {
        match byte {
            b'\t' => bytes.extend_from_slice(b"\\t"),
            b'\n' => bytes.extend_from_slice(b"\\n"),
            b'\r' => bytes.extend_from_slice(b"\\r"),
            b'\\' => bytes.extend_from_slice(b"\\\\"),
            other => bytes.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_a_line_whatever_is_in_it() {
        let text = |key: &str, value: &dyn Fn(&str, &mut Vec<u8>)| {
            let mut bytes = Vec::new();
            value(key, &mut bytes);
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(text("word", &|key, bytes| line(key, &3u64, bytes).unwrap()), "word\t3\n");
        assert_eq!(text("a\tb\\\n\"ü", &|key, bytes| line(key, &[1, 2], bytes).unwrap()), "a\\tb\\\\\\n\"ü\t[1,2]\n");
        assert_eq!(text("line", &|key, bytes| line(key, &(), bytes).unwrap()), "line\n");
        assert_eq!(text("line", &|key, bytes| line(key, "null", bytes).unwrap()), "line\tnull\n");
        assert_eq!(text("line", &|key, bytes| line(key, &Some('\n'), bytes).unwrap()), "line\t\\n\n");
        assert_eq!(text("line", &|key, bytes| line(key, &std::net::Ipv4Addr::LOCALHOST, bytes).unwrap()), "line\t127.0.0.1\n");
    }
}
