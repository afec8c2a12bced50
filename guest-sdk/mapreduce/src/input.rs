//! What a map task reads: a value, or a split of a file or of an object, unpacked if need be.

use std::fs::File;
use std::io::{self, BufReader, Chain, Cursor, Read, Seek, SeekFrom};

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use crate::function::{Line, Record, Records};
use crate::lines::Lines;
use crate::objects::{Part, is_url, unreadable};
use crate::slot::Position;
use crate::wire::{Input, Packing};

/// How a file that begins so is packed.
pub(crate) fn packing(head: &[u8]) -> Packing {
    match head {
        [0x1f, 0x8b, 8, ..] => Packing::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Zstd,
        _ => Packing::None,
    }
}

/// Opens what a task works on.
pub(crate) fn open(input: Input) -> Result<Box<dyn Records>, String> {
    match input {
        Input::Value(value) => Ok(Box::new(One(Some(value.0)))),
        Input::Split { path, offset, len, size, packing } => {
            // Until a line is read, it is at the beginning of its split.
            Position::set(offset);
            let (packing, reader) = bytes(&path, offset, len, size, packing).map_err(|error| unreadable(&path, &error))?;
            let buffered = |reader| BufReader::with_capacity(256 << 10, reader);
            let (reader, start, end): (Box<dyn Read>, _, _) = match packing {
                Packing::None | Packing::Unseen => (reader, offset, offset + len),
                Packing::Gzip => (Box::new(MultiGzDecoder::new(buffered(reader))), 0, u64::MAX),
                Packing::Zstd => (Box::new(Zstd::new(buffered(reader))), 0, u64::MAX),
            };
            Ok(Box::new(OfFile { lines: Lines::new(reader, start, end), path }))
        }
    }
}

/// What a split is read from, one byte before it and beyond its end; and how it is packed.
fn bytes(path: &str, offset: u64, len: u64, size: u64, packing: Packing) -> io::Result<(Packing, Box<dyn Read>)> {
    let from = offset.saturating_sub(1);
    if !is_url(path) {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(from))?;
        return Ok((packing, Box::new(file)));
    }
    let mut part = Part::open(path, from, offset + len, size)?;
    if packing != Packing::Unseen {
        return Ok((packing, Box::new(part)));
    }
    let mut head = Vec::new();
    (&mut part).take(4).read_to_end(&mut head)?;
    Ok((self::packing(&head), Box::new(Cursor::new(head).chain(part))))
}

/// One value.
struct One(Option<Vec<u8>>);

impl Records for One {
    fn next(&mut self, take: &mut dyn FnMut(Record<'_>) -> Result<(), String>) -> Result<bool, String> {
        let Some(value) = self.0.take() else { return Ok(false) };
        take(Record::Value(&value)).map(|()| true)
    }
}

struct OfFile {
    lines: Lines<Box<dyn Read>>,
    path: String,
}

impl Records for OfFile {
    fn next(&mut self, take: &mut dyn FnMut(Record<'_>) -> Result<(), String>) -> Result<bool, String> {
        let path = &self.path;
        let Some((offset, bytes)) = self.lines.next().map_err(|error| format!("cannot read `{path}`: {error}"))? else {
            return Ok(false);
        };
        Position::set(offset);
        take(Record::Line(Line { bytes, offset, path })).map(|()| true)
    }
}

/// A file of zstd frames, one after another.
struct Zstd<R: Read> {
    state: State<R>,
}

/// What of a frame was looked at, and the rest.
type Frame<R> = Chain<Cursor<Vec<u8>>, R>;

enum State<R: Read> {
    Between(R),
    Inside(Box<StreamingDecoder<Frame<R>, FrameDecoder>>),
    Ended,
}

impl<R: Read> Zstd<R> {
    fn new(reader: R) -> Self {
        Self { state: State::Between(reader) }
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Ok(0),
                State::Between(mut reader) => {
                    let mut first = [0];
                    if reader.read(&mut first)? == 0 {
                        return Ok(0);
                    }
                    let frame = Cursor::new(first.to_vec()).chain(reader);
                    match StreamingDecoder::new(frame) {
                        Ok(decoder) => self.state = State::Inside(Box::new(decoder)),
                        // It has nothing for us; what follows it is not looked for.
                        Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { .. })) => {
                            return Err(io::Error::other("a zstd frame of application data is not supported"));
                        }
                        Err(error) => return Err(io::Error::other(error)),
                    }
                }
                State::Inside(mut decoder) => {
                    let count = decoder.read(buffer)?;
                    if count > 0 || buffer.is_empty() {
                        self.state = State::Inside(decoder);
                        return Ok(count);
                    }
                    self.state = State::Between(decoder.into_inner().into_inner().1);
                }
            }
        }
    }
}
