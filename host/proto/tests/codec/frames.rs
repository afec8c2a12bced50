//! Arbitrary frames of the control stream.

use placehost_proto::frame::{Answer, Ask, Before, End, Exit, Goodbye, Introduce, PeerRow, PlaceRow, Refusal, Spawn, SpawnGrants};
use placehost_proto::{Control, Digest, Fingerprint, LinkId, NodeId, PlaceId, RequestId};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub(crate) fn text() -> impl Strategy<Value = String> {
    "[a-zé:0-9]{0,12}"
}

/// Small numbers, so that frames speak of the same things, and any.
pub(crate) fn number() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..12_u64, 1 => any::<u64>()]
}

pub(crate) fn link() -> impl Strategy<Value = LinkId> {
    number().prop_map(LinkId)
}

fn request() -> impl Strategy<Value = RequestId> {
    number().prop_map(RequestId)
}

fn node() -> impl Strategy<Value = NodeId> {
    prop_oneof![4 => 1..5_u128, 1 => any::<u128>()].prop_map(NodeId)
}

fn key() -> impl Strategy<Value = Fingerprint> {
    (1..5_u8).prop_map(|byte| Fingerprint([byte; 32]))
}

pub(crate) fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

pub(crate) fn place() -> impl Strategy<Value = PlaceId> {
    (node(), number()).prop_map(|(node, seq)| PlaceId { node, seq })
}

pub(crate) fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Closed), Just(End::NodeLost), Just(End::Moved)]
}

fn goodbye() -> impl Strategy<Value = Goodbye> {
    prop_oneof![
        Just(Goodbye::Done),
        Just(Goodbye::Duplicate),
        Just(Goodbye::Silent),
        text().prop_map(Goodbye::Version),
        text().prop_map(Goodbye::Protocol),
        text().prop_map(Goodbye::Untrusted),
        Just(Goodbye::Stopping),
    ]
}

fn spawn() -> impl Strategy<Value = Spawn> {
    let grants = (any::<bool>(), vec((text(), any::<bool>()), 0..3), vec((text(), text()), 0..3), any::<bool>(), any::<bool>())
        .prop_map(|(explicit, dirs, env, network, nodes)| SpawnGrants { explicit, dirs, env, network, nodes });
    let module = (digest(), number(), text(), text(), vec(text(), 0..3));
    let limits = (number(), option::of(number()), option::of(number()), (number(), number()));
    (module, limits, grants, option::of(text()), any::<(bool, bool)>(), option::of(number()), link()).prop_map(
        |(module, limits, grants, name, flags, seq, link)| {
            let (detached, log_to_parent) = flags;
            let (module, size, file, start, args) = module;
            let (memory, deadline, fuel, bounds) = limits;
            Spawn { module, size, file, start, args, memory, deadline, fuel, bounds, grants, name, detached, log_to_parent, seq, link }
        },
    )
}

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        spawn().prop_map(|spawn| Ask::Spawn(Box::new(spawn))),
        (text(), link()).prop_map(|(name, link)| Ask::Lookup { name, link }),
        place().prop_map(Ask::Watch),
        Just(Ask::List),
        Just(Ask::Peers),
        place().prop_map(Ask::KillPlace),
        Just(Ask::Stop),
    ]
}

fn place_row() -> impl Strategy<Value = PlaceRow> {
    let names = (place(), option::of(text()), text(), text(), option::of(text()));
    let counts = (any::<bool>(), number(), number(), number(), number(), number());
    (names, counts).prop_map(|((id, name, module, start, label), (running, age, memory, received, sent, mailbox))| PlaceRow {
        id,
        name,
        module,
        start,
        running,
        label,
        age,
        memory,
        received,
        sent,
        mailbox,
    })
}

fn peer_row() -> impl Strategy<Value = PeerRow> {
    (node(), text(), text(), any::<bool>(), number(), number(), number()).prop_map(
        |(id, name, address, dialled_us, links, places, round_trip)| PeerRow { id, name, address, dialled_us, links, places, round_trip },
    )
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        (place(), option::of(number())).prop_map(|(place, spare)| Answer::Started { place, spare }),
        Just(Answer::Done),
        (vec(place_row(), 0..3), vec(peer_row(), 0..3), any::<bool>()).prop_map(|(places, peers, last)| Answer::Listing {
            places,
            peers,
            last
        }),
        text().prop_map(|why| Answer::Refused(Refusal::NotFound(why))),
        text().prop_map(|why| Answer::Refused(Refusal::BadModule(why))),
        text().prop_map(|why| Answer::Refused(Refusal::Denied(why))),
        text().prop_map(|why| Answer::Refused(Refusal::Limit(why))),
        text().prop_map(|why| Answer::Refused(Refusal::Exists(why))),
        Just(Answer::Refused(Refusal::Stopping)),
    ]
}

fn exit() -> impl Strategy<Value = Exit> {
    prop_oneof![
        Just(Exit::Returned),
        any::<u8>().prop_map(Exit::Exited),
        text().prop_map(Exit::Failed),
        (text(), text()).prop_map(|(message, trace)| Exit::Trapped(message, trace)),
        Just(Exit::Killed),
        text().prop_map(Exit::Limit),
        text().prop_map(Exit::Linked),
        Just(Exit::NodeLost),
    ]
}

fn introduce() -> impl Strategy<Value = Introduce> {
    let meet = (number(), link(), node(), key(), vec(text(), 0..3));
    prop_oneof![
        (number(), link(), node(), key()).prop_map(|(number, link, node, key)| Introduce::Expect { number, link, node, key }),
        (number(), any::<bool>()).prop_map(|(number, yes)| Introduce::Expecting { number, yes }),
        number().prop_map(|number| Introduce::Forget { number }),
        meet.prop_map(|(number, link, node, key, addresses)| Introduce::Meet { number, link, node, key, addresses }),
        number().prop_map(|number| Introduce::Unreachable { number }),
        (node(), number(), link()).prop_map(|(introducer, number, link)| Introduce::Attach { introducer, number, link }),
        (node(), number()).prop_map(|(introducer, number)| Introduce::Attached { introducer, number }),
        (node(), number()).prop_map(|(introducer, number)| Introduce::Stranger { introducer, number }),
    ]
}

/// Any frame of the control stream but the greeting.
pub(crate) fn control() -> impl Strategy<Value = Control> {
    prop_oneof![
        2 => (request(), ask()).prop_map(|(request, ask)| Control::Ask(request, ask)),
        2 => (request(), answer()).prop_map(|(request, answer)| Control::Answer(request, answer)),
        1 => digest().prop_map(Control::Want),
        1 => (digest(), text()).prop_map(|(digest, why)| Control::CannotShip(digest, why)),
        1 => (vec(request(), 0..40), proptest::option::of(text())).prop_map(|(requests, linked)| Control::Kill(requests, linked)),
        1 => request().prop_map(Control::Unwatch),
        1 => (vec(request(), 0..40), exit(), any::<(bool, bool, bool)>()).prop_map(|(requests, reason, (output, channel, reader))| Control::Exited { requests, reason, before: Before { output, channel, reader } }),
        2 => (link(), end()).prop_map(|(link, end)| Control::Finish(link, end)),
        2 => (link(), end()).prop_map(|(link, end)| Control::Gone(link, end)),
        2 => (link(), any::<u64>()).prop_map(|(link, bytes)| Control::Credit(link, bytes)),
        8 => introduce().prop_map(Control::Introduce),
        1 => vec(any::<u8>(), 0..40).prop_map(Control::Revoked),
        1 => number().prop_map(Control::Ping),
        1 => number().prop_map(Control::Pong),
        1 => goodbye().prop_map(Control::Goodbye),
    ]
}
