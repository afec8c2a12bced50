//! Frames as bytes, and back.
//!
//! Every frame is a header of five bytes (its kind, and its length as a little-endian u32) and a body: postcard, but for messages
//! and output, whose bytes are as they are. The length is checked against the limit of the kind before anything is allocated, and
//! memory grows with what has arrived, not with what was announced.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::frame::{Control, End, Head, Hello, LogLine, MAX_ATTACHMENTS, MAX_CONTROL, MAX_MESSAGE, MAX_POSTED};
use crate::id::{LinkId, NodeId};

/// The bytes of a header.
pub const HEADER: usize = 5;
/// What a hello begins with, so that something else on this port is noticed at once.
const MAGIC: [u8; 4] = *b"PLCH";
/// The longest hello.
const MAX_HELLO: u32 = 64 << 10;
/// The longest piece of output.
pub const MAX_OUTPUT: u32 = 64 << 10;
/// The longest line of a log, encoded.
pub const MAX_LOG: u32 = 64 << 10;
/// The longest name of a channel, encoded.
const LONGEST_NAME: u32 = 10;
/// How much is allocated for a body before any of it has arrived.
const AT_ONCE: usize = 1 << 20;

/// The kinds of frames: the first byte.
mod kind {
    pub(super) const HELLO: u8 = 0x48;
    pub(super) const CONTROL: u8 = 1;
    pub(super) const HEAD: u8 = 2;
    pub(super) const MESSAGE: u8 = 3;
    pub(super) const ATTACHED: u8 = 4;
    pub(super) const END: u8 = 5;
    pub(super) const STDOUT: u8 = 6;
    pub(super) const STDERR: u8 = 7;
    pub(super) const LOG: u8 = 8;
    pub(super) const POSTED_MESSAGE: u8 = 9;
    pub(super) const POSTED_ATTACHED: u8 = 10;
    pub(super) const POSTED_END: u8 = 11;
    pub(super) const POSTED_REST: u8 = 12;
}

/// What is wrong with bytes from the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A first byte that means nothing here.
    #[error("a frame of the unknown kind {0}")]
    Kind(u8),
    /// Longer than its kind may be.
    #[error("a frame of {length} bytes, where at most {limit} are allowed")]
    TooLong {
        /// As announced.
        length: u32,
        /// In bytes.
        limit: u32,
    },
    /// The body is not what its kind says.
    #[error("a frame that makes no sense")]
    Body,
    /// The other side is not placehost.
    #[error("it does not speak this protocol")]
    Magic,
    /// The stream ended within a frame.
    #[error("a stream that ends within a frame")]
    Short,
}

/// What goes over a stream of one kind.
pub trait Frame: Sized {
    /// The longest body of this kind.
    ///
    /// # Errors
    /// [`DecodeError::Kind`] where the kind has no place on this stream.
    fn limit(kind: u8) -> Result<u32, DecodeError>;

    /// The frame with this body.
    ///
    /// # Errors
    /// The body makes no sense.
    fn decode(kind: u8, body: Vec<u8>) -> Result<Self, DecodeError>;
}

/// A frame of the control stream.
#[derive(Clone, Debug, PartialEq)]
pub enum ControlFrame {
    /// The first.
    Hello(Hello),
    /// The others.
    Control(Control),
}

/// A frame of a stream of messages.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkFrame {
    /// A message of bytes alone.
    Message(Vec<u8>),
    /// A message with ends of channels and blobs.
    Attached(Attachments, Vec<u8>),
    /// The last frame.
    End(End),
}

/// A frame of the stream that all channels share: a [`LinkFrame`] after the channel's name, a variable-length number.
#[derive(Clone, Debug, PartialEq)]
pub struct Posted {
    /// The channel.
    pub link: LinkId,
    /// What comes by it.
    pub piece: Piece,
}

/// What comes by a channel whose messages are posted.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// A message without blobs, or the last frame.
    Frame(LinkFrame),
    /// What follows comes by a stream of its own, that begins with [`Head::Rest`].
    Rest,
}

/// What a message carries beside its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Attachments {
    /// Ends of channels, each on a link that is new.
    pub links: Vec<LinkId>,
    /// Blobs, by the number of the stream that brings them, and their size.
    pub blobs: Vec<(u64, u64)>,
}

/// A frame of a stream of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputFrame {
    /// To standard output.
    Stdout(Vec<u8>),
    /// To standard error.
    Stderr(Vec<u8>),
    /// To the log.
    Log(LogLine),
}

impl Frame for ControlFrame {
    fn limit(kind: u8) -> Result<u32, DecodeError> {
        match kind {
            kind::HELLO => Ok(MAX_HELLO),
            kind::CONTROL => Ok(MAX_CONTROL),
            other => Err(DecodeError::Kind(other)),
        }
    }

    fn decode(kind: u8, body: Vec<u8>) -> Result<Self, DecodeError> {
        match kind {
            kind::HELLO => hello(&body).map(Self::Hello),
            _ => plain(&body).map(Self::Control),
        }
    }
}

impl Frame for Head {
    fn limit(kind: u8) -> Result<u32, DecodeError> {
        if kind == kind::HEAD { Ok(256) } else { Err(DecodeError::Kind(kind)) }
    }

    fn decode(_: u8, body: Vec<u8>) -> Result<Self, DecodeError> {
        plain(&body)
    }
}

impl Frame for LinkFrame {
    fn limit(kind: u8) -> Result<u32, DecodeError> {
        match kind {
            kind::MESSAGE => Ok(MAX_MESSAGE),
            kind::ATTACHED => Ok(MAX_MESSAGE + MAX_ATTACHMENTS + 4),
            kind::END => Ok(1),
            other => Err(DecodeError::Kind(other)),
        }
    }

    fn decode(kind: u8, mut body: Vec<u8>) -> Result<Self, DecodeError> {
        match kind {
            kind::MESSAGE => Ok(Self::Message(body)),
            kind::END => plain(&body).map(Self::End),
            _ => {
                let (length, rest) = body.split_first_chunk::<4>().ok_or(DecodeError::Body)?;
                let length = u32::from_le_bytes(*length);
                if length > MAX_ATTACHMENTS || rest.len() - (length as usize).min(rest.len()) > MAX_MESSAGE as usize {
                    return Err(DecodeError::Body);
                }
                let attachments = rest.get(..length as usize).ok_or(DecodeError::Body)?;
                let attachments = plain(attachments)?;
                body.drain(..4 + length as usize);
                Ok(Self::Attached(attachments, body))
            }
        }
    }
}

impl Frame for Posted {
    fn limit(kind: u8) -> Result<u32, DecodeError> {
        match kind {
            kind::POSTED_MESSAGE | kind::POSTED_ATTACHED => Ok(MAX_POSTED + LONGEST_NAME),
            kind::POSTED_END => Ok(1 + LONGEST_NAME),
            kind::POSTED_REST => Ok(LONGEST_NAME),
            other => Err(DecodeError::Kind(other)),
        }
    }

    fn decode(kind: u8, mut body: Vec<u8>) -> Result<Self, DecodeError> {
        let (link, rest) = postcard::take_from_bytes(&body).map_err(|_| DecodeError::Body)?;
        body.drain(..body.len() - rest.len());
        let frame = match kind {
            kind::POSTED_MESSAGE => LinkFrame::Message(body),
            kind::POSTED_ATTACHED => match LinkFrame::decode(kind::ATTACHED, body)? {
                LinkFrame::Attached(attachments, _) if !attachments.blobs.is_empty() => return Err(DecodeError::Body),
                frame => frame,
            },
            kind::POSTED_END => LinkFrame::decode(kind::END, body)?,
            _ if body.is_empty() => return Ok(Self { link, piece: Piece::Rest }),
            _ => return Err(DecodeError::Body),
        };
        Ok(Self { link, piece: Piece::Frame(frame) })
    }
}

impl Frame for OutputFrame {
    fn limit(kind: u8) -> Result<u32, DecodeError> {
        match kind {
            kind::STDOUT | kind::STDERR => Ok(MAX_OUTPUT),
            kind::LOG => Ok(MAX_LOG),
            other => Err(DecodeError::Kind(other)),
        }
    }

    fn decode(kind: u8, body: Vec<u8>) -> Result<Self, DecodeError> {
        Ok(match kind {
            kind::STDOUT => Self::Stdout(body),
            kind::STDERR => Self::Stderr(body),
            _ => Self::Log(plain(&body)?),
        })
    }
}

fn plain<T: DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        _ => Err(DecodeError::Body),
    }
}

/// The versions first and by hand, then the release: what follows them may change from version to version.
fn hello(body: &[u8]) -> Result<Hello, DecodeError> {
    let rest = body.strip_prefix(&MAGIC).ok_or(DecodeError::Magic)?;
    let (versions, rest) = rest.split_first_chunk::<4>().ok_or(DecodeError::Body)?;
    let [a, b, c, d] = *versions;
    let versions = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
    let (release, rest) = postcard::take_from_bytes(rest).map_err(|_| DecodeError::Body)?;
    let (node, name, addresses) = match crate::node::common(versions) {
        Some(_) => plain(rest)?,
        None => (NodeId(0), String::new(), Vec::new()),
    };
    Ok(Hello { versions, release, node, name, addresses })
}

/// Writes a hello.
pub fn put_hello(out: &mut Vec<u8>, hello: &Hello) {
    let mut body = MAGIC.to_vec();
    body.extend(hello.versions.0.to_le_bytes());
    body.extend(hello.versions.1.to_le_bytes());
    body.extend(encode(&hello.release));
    body.extend(encode(&(hello.node, &hello.name, &hello.addresses)));
    put(out, kind::HELLO, &body);
}

/// Writes a control frame.
pub fn put_control(out: &mut Vec<u8>, control: &Control) {
    put(out, kind::CONTROL, &encode(control));
}

/// Writes the head of a stream.
pub fn put_head(out: &mut Vec<u8>, head: &Head) {
    put(out, kind::HEAD, &encode(head));
}

/// Writes the last frame of a stream of messages.
pub fn put_end(out: &mut Vec<u8>, end: End) {
    put(out, kind::END, &encode(&end));
}

/// Writes the header of a message of bytes alone, which are to follow.
pub fn put_message_header(out: &mut Vec<u8>, length: usize) {
    header(out, kind::MESSAGE, length);
}

/// Writes all of a message with attachments but its bytes, `length` of them, which are to follow.
pub fn put_attached_header(out: &mut Vec<u8>, attachments: &Attachments, length: usize) {
    let attachments = encode(attachments);
    header(out, kind::ATTACHED, 4 + attachments.len() + length);
    out.extend((attachments.len() as u32).to_le_bytes());
    out.extend(attachments);
}

/// Writes a message of bytes alone to the post.
pub fn put_posted(out: &mut Vec<u8>, link: LinkId, data: &[u8]) {
    let (name, length) = name(link);
    header(out, kind::POSTED_MESSAGE, length + data.len());
    out.extend_from_slice(&name[..length]);
    out.extend_from_slice(data);
}

/// Writes a message with ends of channels, and without blobs, to the post.
pub fn put_posted_attached(out: &mut Vec<u8>, link: LinkId, attachments: &Attachments, data: &[u8]) {
    let (name, length) = name(link);
    let attachments = encode(attachments);
    header(out, kind::POSTED_ATTACHED, length + 4 + attachments.len() + data.len());
    out.extend_from_slice(&name[..length]);
    out.extend((attachments.len() as u32).to_le_bytes());
    out.extend(attachments);
    out.extend_from_slice(data);
}

/// Writes the last frame of a channel to the post.
pub fn put_posted_end(out: &mut Vec<u8>, link: LinkId, end: End) {
    put(out, kind::POSTED_END, &encode(&(link, end)));
}

/// Writes to the post that what follows on this channel comes by a stream of its own.
pub fn put_posted_rest(out: &mut Vec<u8>, link: LinkId) {
    put(out, kind::POSTED_REST, &encode(&link));
}

/// A channel's name as it is in the post, and how long that is.
fn name(link: LinkId) -> ([u8; LONGEST_NAME as usize], usize) {
    let mut name = [0; LONGEST_NAME as usize];
    // There is room for each.
    let length = postcard::to_slice(&link, &mut name).map_or(0, |name| name.len());
    (name, length)
}

/// Writes a piece of output, at most [`MAX_OUTPUT`] bytes of it.
pub fn put_output(out: &mut Vec<u8>, error: bool, bytes: &[u8]) {
    put(out, if error { kind::STDERR } else { kind::STDOUT }, bytes);
}

/// Writes a line of a log, whose texts together are shorter than [`MAX_LOG`].
pub fn put_log(out: &mut Vec<u8>, line: &LogLine) {
    put(out, kind::LOG, &encode(line));
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    // Fails only for sequences of unknown length, which no frame has.
    postcard::to_stdvec(value).unwrap_or_default()
}

fn put(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    header(out, kind, body.len());
    out.extend_from_slice(body);
}

fn header(out: &mut Vec<u8>, kind: u8, length: usize) {
    out.push(kind);
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

/// Makes frames of the bytes of one stream, however they are cut.
#[derive(Debug, Default)]
pub struct Decoder {
    header: Vec<u8>,
    body: Vec<u8>,
}

impl Decoder {
    /// The next frame, if `bytes` complete it; takes what it uses from their front. With nothing returned all are used.
    ///
    /// # Errors
    /// The bytes are no frame of this stream. There is no way on from there.
    pub fn next<F: Frame>(&mut self, bytes: &mut &[u8]) -> Result<Option<F>, DecodeError> {
        loop {
            if self.header.is_empty()
                && let Some((header, rest)) = bytes.split_first_chunk::<HEADER>()
            {
                let (kind, length) = check::<F>(header)?;
                if let Some((body, rest)) = rest.split_at_checked(length) {
                    *bytes = rest;
                    return F::decode(kind, body.to_vec()).map(Some);
                }
            }
            if self.header.len() < HEADER {
                let taken = bytes.len().min(HEADER - self.header.len());
                self.header.extend_from_slice(&bytes[..taken]);
                *bytes = &bytes[taken..];
            }
            let Some((header, [])) = self.header.split_first_chunk::<HEADER>() else { return Ok(None) };
            let (kind, length) = check::<F>(header)?;
            let missing = length - self.body.len();
            if self.body.capacity() == 0 {
                self.body.reserve_exact(length.min(AT_ONCE.max(bytes.len())));
            } else if self.body.len() == self.body.capacity() && missing > 0 && !bytes.is_empty() {
                // Doubles what has arrived, but never past the end.
                self.body.reserve_exact(missing.min(self.body.len().max(AT_ONCE)));
            }
            let room = self.body.capacity().max(1) - self.body.len();
            let taken = bytes.len().min(missing).min(if missing == 0 { 0 } else { room });
            self.body.extend_from_slice(&bytes[..taken]);
            *bytes = &bytes[taken..];
            if self.body.len() == length {
                self.header.clear();
                return F::decode(kind, std::mem::take(&mut self.body)).map(Some);
            }
            if bytes.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Whether the stream may end here.
    ///
    /// # Errors
    /// [`DecodeError::Short`] within a frame.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.header.is_empty() { Ok(()) } else { Err(DecodeError::Short) }
    }

    /// The bytes that are kept of a frame that is not whole.
    pub fn held(&self) -> usize {
        self.header.capacity() + self.body.capacity()
    }
}

fn check<F: Frame>(&[kind, a, b, c, d]: &[u8; HEADER]) -> Result<(u8, usize), DecodeError> {
    let length = u32::from_le_bytes([a, b, c, d]);
    let limit = F::limit(kind)?;
    if length > limit {
        return Err(DecodeError::TooLong { length, limit });
    }
    Ok((kind, length as usize))
}
