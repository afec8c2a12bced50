//! Results as lines: the key, a tab, the value.
//!
//! Text stands as it is, with tabs, ends of lines and backslashes as `\t`, `\n`, `\r`, `\\`; everything else as JSON. Of a value `()`
//! nothing stands there, and no tab.

use serde::Serialize;

pub(crate) fn line<K: Serialize + ?Sized, V: Serialize + ?Sized>(key: &K, value: &V, bytes: &mut Vec<u8>) -> Result<(), String> {
    field(key, bytes)?;
    let before = bytes.len();
    bytes.push(b'\t');
    field(value, bytes)?;
    if &bytes[before + 1..] == b"null" {
        bytes.truncate(before);
    }
    bytes.push(b'\n');
    Ok(())
}

fn field<T: Serialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) -> Result<(), String> {
    let start = bytes.len();
    serde_json::to_writer(&mut *bytes, value).map_err(|error| format!("a result cannot be written: {error}"))?;
    if bytes.get(start) != Some(&b'"') {
        return Ok(());
    }
    if !bytes[start..].contains(&b'\\') {
        // Text without anything that JSON escapes.
        bytes.remove(start);
        bytes.pop();
        return Ok(());
    }
    let text: String = serde_json::from_slice(&bytes[start..]).map_err(|error| error.to_string())?;
    bytes.truncate(start);
    for byte in text.bytes() {
        match byte {
            b'\t' => bytes.extend_from_slice(b"\\t"),
            b'\n' => bytes.extend_from_slice(b"\\n"),
            b'\r' => bytes.extend_from_slice(b"\\r"),
            b'\\' => bytes.extend_from_slice(b"\\\\"),
            other => bytes.push(other),
        }
    }
    Ok(())
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
    }
}
