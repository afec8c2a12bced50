//! Messages as people write them: JSON for typed messages, base64 for what is not one.
//!
//! The SDK's typed messages are CBOR (RFC 8949) behind the tag 55799, which says "this is CBOR". What JSON lacks is written as an
//! object with one key that begins with `$`:
//!
//! | JSON | message |
//! | --- | --- |
//! | `{"$raw": "SGk="}` | bytes that are no typed message, in base64; only as a whole message |
//! | `{"$bytes": "SGk="}` | a byte string inside a typed message, in base64 |
//! | `{"$channel": 0}`, `{"$blob": 0}` | an end of a channel, or a blob, that travels with the message; read only |

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ciborium::Value as Cbor;
use serde_json::{Map, Number, Value, json};

use crate::channel::Message;

/// Tag 55799, "self-described CBOR": three bytes that begin neither text nor any other known format.
const TYPED: [u8; 3] = [0xd9, 0xd9, 0xf7];
/// How deeply a message may nest. Beyond it is shown as raw bytes, for reading it would need as much stack.
const DEPTH: usize = 128;

/// Why JSON is no message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// What stands behind `$raw` or `$bytes` is no base64.
    #[error("`{key}` wants a string in base64")]
    Base64 {
        /// `$raw` or `$bytes`.
        key: &'static str,
    },
    /// It cannot be encoded.
    #[error("cannot be encoded")]
    Encode(#[source] ciborium::ser::Error<std::io::Error>),
}

/// The message that a person wrote.
///
/// # Errors
/// [`JsonError`].
pub fn to_message(json: &Value) -> Result<Message, JsonError> {
    if let Some(bytes) = marked(json, "$raw") {
        return Ok(bytes?.into());
    }
    let mut data = TYPED.to_vec();
    ciborium::into_writer(&to_cbor(json)?, &mut data).map_err(JsonError::Encode)?;
    Ok(data.into())
}

/// The message as a person reads it. Every message can be shown.
pub fn from_message(message: &Message) -> Value {
    let decode = |typed: &[u8]| ciborium::de::from_reader_with_recursion_limit(typed, DEPTH).ok();
    match message.data.strip_prefix(&TYPED).and_then(decode) {
        Some(cbor) => from_cbor(&cbor),
        None => json!({ "$raw": BASE64.encode(&message.data) }),
    }
}

fn to_cbor(json: &Value) -> Result<Cbor, JsonError> {
    if let Some(bytes) = marked(json, "$bytes") {
        return Ok(Cbor::Bytes(bytes?));
    }
    Ok(match json {
        Value::Null => Cbor::Null,
        Value::Bool(value) => Cbor::Bool(*value),
        Value::Number(number) => number_to_cbor(number),
        Value::String(text) => Cbor::Text(text.clone()),
        Value::Array(items) => Cbor::Array(items.iter().map(to_cbor).collect::<Result<_, _>>()?),
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| Ok((Cbor::Text(key.clone()), to_cbor(value)?));
            Cbor::Map(fields.iter().map(field).collect::<Result<_, _>>()?)
        }
    })
}

fn number_to_cbor(number: &Number) -> Cbor {
    if let Some(value) = number.as_i64() {
        return Cbor::Integer(value.into());
    }
    if let Some(value) = number.as_u64() {
        return Cbor::Integer(value.into());
    }
    Cbor::Float(number.as_f64().unwrap_or(f64::NAN))
}

fn from_cbor(cbor: &Cbor) -> Value {
    match cbor {
        Cbor::Null => Value::Null,
        Cbor::Bool(value) => Value::Bool(*value),
        Cbor::Integer(value) => integer(i128::from(*value)),
        // JSON has no infinities; they are written as their names.
        Cbor::Float(value) => Number::from_f64(*value).map_or_else(|| Value::String(value.to_string()), Value::Number),
        Cbor::Text(text) => Value::String(text.clone()),
        Cbor::Bytes(bytes) => json!({ "$bytes": BASE64.encode(bytes) }),
        Cbor::Array(items) => Value::Array(items.iter().map(from_cbor).collect()),
        Cbor::Map(fields) => Value::Object(fields.iter().map(|(key, value)| (key_text(key), from_cbor(value))).collect::<Map<_, _>>()),
        Cbor::Tag(_, inner) => from_cbor(inner),
        _ => Value::Null,
    }
}

fn integer(value: i128) -> Value {
    let number = i64::try_from(value).map(Number::from).or_else(|_| u64::try_from(value).map(Number::from));
    number.map_or_else(|_| Value::String(value.to_string()), Value::Number)
}

/// JSON's keys are text; any other key is written as the JSON it would be.
fn key_text(key: &Cbor) -> String {
    match key {
        Cbor::Text(text) => text.clone(),
        other => from_cbor(other).to_string(),
    }
}

/// The bytes of an object whose only key is `key`.
fn marked(json: &Value, key: &'static str) -> Option<Result<Vec<u8>, JsonError>> {
    let fields = json.as_object().filter(|fields| fields.len() == 1)?;
    let text = fields.get(key)?.as_str();
    Some(text.and_then(|text| BASE64.decode(text).ok()).ok_or(JsonError::Base64 { key }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_comes_back_as_it_went() {
        for json in [
            json!(null),
            json!(true),
            json!(-7),
            json!(u64::MAX),
            json!(1.5),
            json!("Grüße"),
            json!([1, [2, []], {"a": {"$bytes": "AAEC"}}]),
            json!({"$raw": "SGVsbG8="}),
        ] {
            assert_eq!(from_message(&to_message(&json).unwrap()), json);
        }
    }

    #[test]
    fn what_is_not_typed_is_shown_in_base64() {
        for data in [&b"Hello"[..], b"", b"\xd9\xd9\xf7", b"\xd9\xd9\xf7\xff", &[&TYPED[..], &[0x81; 10_000]].concat()] {
            let shown = from_message(&data.to_vec().into());
            assert_eq!(shown, json!({ "$raw": BASE64.encode(data) }));
        }
    }

    #[test]
    fn bad_base64_is_named() {
        assert_eq!(to_message(&json!({"$raw": "%"})).unwrap_err().to_string(), "`$raw` wants a string in base64");
        assert_eq!(to_message(&json!([{"$bytes": 1}])).unwrap_err().to_string(), "`$bytes` wants a string in base64");
    }
}
