//! Bytes from the wire: whatever they are, they are frames or an error, and take no more memory than they are worth.

#[path = "codec/frames.rs"]
mod frames;
#[path = "codec/streams.rs"]
mod streams;

use std::fmt::Debug;

use placehost_proto::codec::{
    self, Attachments, ControlFrame, DecodeError, Decoder, Frame, HEADER, LinkFrame, MAX_LOG, MAX_OUTPUT, OutputFrame, Piece, Posted,
};
use placehost_proto::frame::{Head, MAX_ATTACHMENTS, MAX_CONTROL, MAX_MESSAGE, MAX_POSTED, VERSIONS};
use placehost_proto::{LinkId, node};
use proptest::collection::vec;
use proptest::prelude::*;

/// What is allocated for a frame before it has arrived.
const AHEAD: usize = 1 << 20;

/// Decodes a stream that comes in pieces of these lengths, over and over, and holds it to its memory.
fn decode<F: Frame>(bytes: &[u8], pieces: &[usize]) -> (Vec<F>, Result<(), DecodeError>) {
    let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
    let (mut rest, mut arrived) = (bytes, 0);
    let mut lengths = pieces.iter().cycle();
    while !rest.is_empty() {
        let length = lengths.next().copied().unwrap_or(usize::MAX).clamp(1, rest.len());
        let (mut piece, left) = rest.split_at(length);
        (rest, arrived) = (left, arrived + length);
        loop {
            match decoder.next(&mut piece) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
        assert!(piece.is_empty(), "all is used where no frame comes of it");
        assert!(decoder.held() <= arrived + arrived.max(AHEAD) + 2 * HEADER, "{} held of {arrived}", decoder.held());
    }
    let end = decoder.finish();
    (frames, end)
}

/// The same frames come of the same bytes, however they are cut; then the same end.
fn survives<F: Frame + Debug + PartialEq>(bytes: &[u8], pieces: &[usize]) {
    let whole = decode::<F>(bytes, &[]);
    assert_eq!(decode::<F>(bytes, pieces), whole);
    assert_eq!(decode::<F>(bytes, &[1]), whole);
}

fn comes_back<F: Frame + Debug + PartialEq>(frames: Vec<F>, put: impl Fn(&mut Vec<u8>, &F), pieces: &[usize]) {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| put(&mut bytes, frame));
    assert_eq!(decode::<F>(&bytes, pieces), (frames, Ok(())));
}

fn put_link_frame(out: &mut Vec<u8>, frame: &LinkFrame) {
    match frame {
        LinkFrame::Message(bytes) => {
            codec::put_message_header(out, bytes.len());
            out.extend(bytes);
        }
        LinkFrame::Attached(attachments, bytes) => {
            codec::put_attached_header(out, attachments, bytes.len());
            out.extend(bytes);
        }
        LinkFrame::End(end) => codec::put_end(out, *end),
    }
}

fn put_posted(out: &mut Vec<u8>, Posted { link, piece }: &Posted) {
    match piece {
        Piece::Frame(LinkFrame::Message(bytes)) => codec::put_posted(out, *link, bytes),
        Piece::Frame(LinkFrame::Attached(attachments, bytes)) => codec::put_posted_attached(out, *link, attachments, bytes),
        Piece::Frame(LinkFrame::End(end)) => codec::put_posted_end(out, *link, *end),
        Piece::Rest => codec::put_posted_rest(out, *link),
    }
}

fn header(kind: u8, length: u32) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(length.to_le_bytes());
    bytes
}

/// Bytes that look like frames: a kind that there is, a length that is about right, and anything.
fn nearly_frames() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![4 => 1..13_u8, 2 => Just(0x48), 1 => any::<u8>()];
    let length = prop_oneof![8 => 0..40_u32, 1 => any::<u32>()];
    let frame = (kind, length, vec(any::<u8>(), 0..40)).prop_map(|(kind, length, body)| {
        let mut bytes = header(kind, length);
        bytes.extend(body.into_iter().chain(std::iter::repeat(0)).take(length.min(60) as usize));
        bytes
    });
    vec(frame, 0..6).prop_map(|frames| frames.concat())
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    vec(1..30_usize, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_are_frames_or_an_error(bytes in vec(any::<u8>(), 0..200), pieces in pieces()) {
        survives::<ControlFrame>(&bytes, &pieces);
        survives::<Head>(&bytes, &pieces);
        survives::<LinkFrame>(&bytes, &pieces);
        survives::<OutputFrame>(&bytes, &pieces);
        survives::<Posted>(&bytes, &pieces);
    }

    #[test]
    fn bytes_that_look_like_frames_are_frames_or_an_error(bytes in nearly_frames(), pieces in pieces()) {
        survives::<ControlFrame>(&bytes, &pieces);
        survives::<Head>(&bytes, &pieces);
        survives::<LinkFrame>(&bytes, &pieces);
        survives::<OutputFrame>(&bytes, &pieces);
        survives::<Posted>(&bytes, &pieces);
    }

    #[test]
    fn a_frame_with_a_byte_changed_is_a_frame_or_an_error(
        control in frames::control(), at in any::<prop::sample::Index>(), byte: u8, pieces in pieces(),
    ) {
        let mut bytes = Vec::new();
        codec::put_control(&mut bytes, &control);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        survives::<ControlFrame>(&bytes, &pieces);
    }

    #[test]
    fn control_frames_come_back(control in vec(frames::control(), 0..5), hello in streams::hello(), pieces in pieces()) {
        let mut all = vec![ControlFrame::Hello(hello)];
        all.extend(control.into_iter().map(ControlFrame::Control));
        let put = |out: &mut Vec<u8>, frame: &ControlFrame| match frame {
            ControlFrame::Hello(hello) => codec::put_hello(out, hello),
            ControlFrame::Control(control) => codec::put_control(out, control),
        };
        comes_back(all, put, &pieces);
    }

    #[test]
    fn messages_come_back(all in vec(streams::link_frame(), 0..6), pieces in pieces()) {
        comes_back(all, put_link_frame, &pieces);
    }

    #[test]
    fn what_is_posted_comes_back(all in vec(streams::posted(), 0..6), pieces in pieces()) {
        comes_back(all, put_posted, &pieces);
    }

    #[test]
    fn heads_come_back(head in streams::head(), pieces in pieces()) {
        comes_back(vec![head], codec::put_head, &pieces);
    }

    #[test]
    fn output_comes_back(all in vec(streams::output_frame(), 0..6), pieces in pieces()) {
        let put = |out: &mut Vec<u8>, frame: &OutputFrame| match frame {
            OutputFrame::Stdout(bytes) => codec::put_output(out, false, bytes),
            OutputFrame::Stderr(bytes) => codec::put_output(out, true, bytes),
            OutputFrame::Log(line) => codec::put_log(out, line),
        };
        comes_back(all, put, &pieces);
    }

    #[test]
    fn a_hello_of_another_version_says_which_and_of_what_release(
        hello in streams::hello(), from in VERSIONS.1 + 1.., more: u8, tail in vec(any::<u8>(), 0..100), pieces in pieces(),
    ) {
        let versions = (from, from.saturating_add(more.into()));
        let mut bytes = Vec::new();
        codec::put_hello(&mut bytes, &placehost_proto::Hello { versions, ..hello.clone() });
        // What follows the release may be anything by then.
        let fixed = HEADER + 4 + 4 + 1 + hello.release.len();
        bytes.truncate(fixed);
        bytes.extend(tail);
        let length = (bytes.len() - HEADER) as u32;
        bytes[1..HEADER].copy_from_slice(&length.to_le_bytes());
        let (frames, end) = decode::<ControlFrame>(&bytes, &pieces);
        prop_assert_eq!(end, Ok(()));
        let [ControlFrame::Hello(decoded)] = &frames[..] else { panic!("{frames:?}") };
        prop_assert_eq!(node::common(decoded.versions), None);
        prop_assert_eq!((decoded.versions, &decoded.release), (versions, &hello.release));
    }

    #[test]
    fn a_length_over_the_limit_is_refused_on_the_header_alone(over in 1..1_000_000_u32, cut in 1..HEADER) {
        fn refused<F: Frame + Debug + PartialEq>(kind: u8, limit: u32, length: u32, cut: usize) {
            let error = Err(DecodeError::TooLong { length, limit });
            assert_eq!(decode::<F>(&header(kind, length), &[cut]), (Vec::new(), error));
        }
        refused::<ControlFrame>(0x48, 64 << 10, (64 << 10) + over, cut);
        refused::<ControlFrame>(1, MAX_CONTROL, MAX_CONTROL + over, cut);
        refused::<Head>(2, 256, 256 + over, cut);
        refused::<LinkFrame>(3, MAX_MESSAGE, MAX_MESSAGE + over, cut);
        let attached = MAX_MESSAGE + MAX_ATTACHMENTS + 4;
        refused::<LinkFrame>(4, attached, attached + over, cut);
        refused::<LinkFrame>(5, 1, 1 + over, cut);
        // With the channel's name, of ten bytes at most.
        for kind in [9, 10] {
            refused::<Posted>(kind, MAX_POSTED + 10, MAX_POSTED + 10 + over, cut);
        }
        refused::<Posted>(11, 11, 11 + over, cut);
        refused::<Posted>(12, 10, 10 + over, cut);
        refused::<OutputFrame>(6, MAX_OUTPUT, MAX_OUTPUT + over, cut);
        refused::<OutputFrame>(7, MAX_OUTPUT, MAX_OUTPUT + over, cut);
        refused::<OutputFrame>(8, MAX_LOG, MAX_LOG + over, cut);
    }

    #[test]
    fn a_kind_that_has_no_place_on_a_stream_is_refused(kind: u8) {
        fn refused<F: Frame + Debug + PartialEq>(kind: u8, known: &[u8]) {
            if !known.contains(&kind) {
                assert_eq!(decode::<F>(&header(kind, 0), &[]), (Vec::new(), Err(DecodeError::Kind(kind))));
            }
        }
        refused::<ControlFrame>(kind, &[0x48, 1]);
        refused::<Head>(kind, &[2]);
        refused::<LinkFrame>(kind, &[3, 4, 5]);
        refused::<OutputFrame>(kind, &[6, 7, 8]);
        refused::<Posted>(kind, &[9, 10, 11, 12]);
    }
}

#[test]
fn a_blob_is_not_posted() {
    let (mut bytes, attachments) = (Vec::new(), Attachments { links: vec![LinkId(2)], blobs: vec![(0, 3)] });
    codec::put_posted_attached(&mut bytes, LinkId(300), &attachments, b"abc");
    assert_eq!(decode::<Posted>(&bytes, &[]), (Vec::new(), Err(DecodeError::Body)));
}

#[test]
fn the_largest_message_takes_memory_only_as_it_arrives() {
    let mut bytes = header(3, MAX_MESSAGE);
    let mut decoder = Decoder::default();
    let mut arrived = 0;
    for _ in 0..(MAX_MESSAGE as usize).div_ceil(100_000) {
        bytes.resize(bytes.len().max(100_000), 7);
        let missing = MAX_MESSAGE as usize + HEADER - arrived;
        let mut piece = &bytes[..missing.min(100_000)];
        arrived += piece.len();
        if let Some(frame) = decoder.next::<LinkFrame>(&mut piece).expect("no error") {
            assert_eq!(frame, LinkFrame::Message(vec![7; MAX_MESSAGE as usize]));
            assert_eq!(arrived, MAX_MESSAGE as usize + HEADER);
            return;
        }
        assert!(decoder.held() <= arrived + arrived.max(AHEAD) + 2 * HEADER);
        bytes = Vec::new();
    }
    panic!("the message did not come");
}

#[test]
fn something_else_on_this_port_is_noticed() {
    let mut bytes = header(0x48, 8);
    bytes.extend(b"GET / HT");
    assert_eq!(decode::<ControlFrame>(&bytes, &[]).1, Err(DecodeError::Magic));
    assert_eq!(decode::<ControlFrame>(b"GET / HTTP/1.1\r\n", &[]).1, Err(DecodeError::Kind(b'G')));
}
