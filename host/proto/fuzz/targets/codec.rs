//! Arbitrary bytes, cut in two: the same frames or the same error come of them as of the whole, and no more memory is held than
//! allowed.
//!
//! From `host/proto`, with nightly and `cargo install cargo-fuzz`: `cargo +nightly fuzz run codec`. What is found is kept in
//! `fuzz/artifacts`, and is run alone by naming the file after the target. The corpus is not committed.

#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use placehost_proto::codec::{ControlFrame, DecodeError, Decoder, Frame, HEADER, LinkFrame, OutputFrame, Posted};
use placehost_proto::frame::Head;

/// What may be held of a frame before it has arrived.
const AHEAD: usize = 1 << 20;

fn decode<F: Frame>(pieces: &[&[u8]]) -> (Vec<F>, Result<(), DecodeError>) {
    let (mut decoder, mut frames, mut arrived) = (Decoder::default(), Vec::new(), 0);
    for mut piece in pieces.iter().copied() {
        arrived += piece.len();
        loop {
            match decoder.next(&mut piece) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
        assert!(piece.is_empty());
        assert!(decoder.held() <= arrived + arrived.max(AHEAD) + 2 * HEADER);
    }
    let end = decoder.finish();
    (frames, end)
}

fn survives<F: Frame + Debug + PartialEq>(bytes: &[u8], at: usize) {
    let (one, other) = bytes.split_at(at.min(bytes.len()));
    assert_eq!(decode::<F>(&[bytes]), decode::<F>(&[one, other]));
}

fuzz_target!(|input: (u8, &[u8])| {
    let (at, bytes) = input;
    let at = usize::from(at);
    survives::<ControlFrame>(bytes, at);
    survives::<Head>(bytes, at);
    survives::<LinkFrame>(bytes, at);
    survives::<OutputFrame>(bytes, at);
    survives::<Posted>(bytes, at);
});
