//! Arbitrary greetings, and frames of the streams beside the control stream.

use placehost_proto::codec::{Attachments, LinkFrame, OutputFrame, Piece, Posted};
use placehost_proto::frame::{Head, LogLevel, LogLine, VERSIONS};
use placehost_proto::{Hello, LinkId, NodeId, RequestId};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::frames::{digest, end, link, number, place, text};

pub(crate) fn hello() -> impl Strategy<Value = Hello> {
    (text(), any::<u128>(), text(), vec(text(), 0..4)).prop_map(|(release, node, name, addresses)| Hello {
        versions: VERSIONS,
        release,
        node: NodeId(node),
        name,
        addresses,
    })
}

pub(crate) fn head() -> impl Strategy<Value = Head> {
    prop_oneof![
        any::<u64>().prop_map(|id| Head::Link(LinkId(id))),
        any::<u64>().prop_map(|id| Head::Rest(LinkId(id))),
        Just(Head::Post),
        (digest(), any::<u64>()).prop_map(|(digest, size)| Head::Module { digest, size }),
        (any::<u64>(), digest(), any::<u64>()).prop_map(|(number, digest, size)| Head::Blob { number, digest, size }),
        any::<u64>().prop_map(|id| Head::Output(RequestId(id))),
    ]
}

pub(crate) fn link_frame() -> impl Strategy<Value = LinkFrame> {
    let attachments = (vec(link(), 0..4), vec((number(), number()), 0..4)).prop_map(|(links, blobs)| Attachments { links, blobs });
    prop_oneof![
        vec(any::<u8>(), 0..600).prop_map(LinkFrame::Message),
        (attachments, vec(any::<u8>(), 0..600)).prop_map(|(attachments, bytes)| LinkFrame::Attached(attachments, bytes)),
        end().prop_map(LinkFrame::End),
    ]
}

/// What may be posted: no blobs are.
pub(crate) fn posted() -> impl Strategy<Value = Posted> {
    let piece = link_frame().prop_map(|frame| match frame {
        LinkFrame::Attached(attachments, bytes) => LinkFrame::Attached(Attachments { blobs: Vec::new(), ..attachments }, bytes),
        frame => frame,
    });
    let piece = prop_oneof![5 => piece.prop_map(Piece::Frame), 1 => Just(Piece::Rest)];
    (prop_oneof![link(), any::<u64>().prop_map(LinkId)], piece).prop_map(|(link, piece)| Posted { link, piece })
}

pub(crate) fn output_frame() -> impl Strategy<Value = OutputFrame> {
    prop_oneof![
        vec(any::<u8>(), 0..600).prop_map(OutputFrame::Stdout),
        vec(any::<u8>(), 0..600).prop_map(OutputFrame::Stderr),
        log_line().prop_map(OutputFrame::Log),
    ]
}

fn log_line() -> impl Strategy<Value = LogLine> {
    let levels = [LogLevel::Trace, LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error];
    let names = (text(), text(), "\\PC{0,300}");
    (prop::sample::select(levels.to_vec()), place(), names, any::<u64>()).prop_map(|(level, place, (start, node, message), time)| LogLine {
        level,
        place,
        start,
        node,
        time,
        message,
    })
}
