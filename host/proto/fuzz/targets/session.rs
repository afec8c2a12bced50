//! A peer that sends arbitrary bytes on its control stream: the node never panics, and its other session stays.
//!
//! From `host/proto`, with nightly and `cargo install cargo-fuzz`: `cargo +nightly fuzz run session`. What is found is kept in
//! `fuzz/artifacts`, and is run alone by naming the file after the target. The corpus is not committed.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use placehost_proto::codec::{ControlFrame, Decoder};
use placehost_proto::frame::{Ask, Goodbye, VERSIONS};
use placehost_proto::node::{Action, Config, Event};
use placehost_proto::{Control, Fingerprint, Hello, Link, LinkKey, Node, NodeId, Route, SessionKey};

const NOW: Duration = Duration::from_secs(1);
const GOOD: SessionKey = SessionKey(1);
const BAD: SessionKey = SessionKey(2);

fn connect(node: &mut Node, session: SessionKey, dialled: bool) {
    node.handle_connected(NOW, session, dialled, Fingerprint([session.0 as u8; 32]));
    let hello = Hello {
        versions: VERSIONS,
        release: "0.1.0".into(),
        node: NodeId(session.0.into()),
        name: "peer".into(),
        addresses: vec!["peer:6340".into()],
    };
    node.handle_hello(NOW, session, hello);
    node.handle_control(NOW, session, Control::Ping(1));
}

fuzz_target!(|input: (bool, bool, &[u8])| {
    let (dialled, met, bytes) = input;
    let timeout = Duration::from_secs(10);
    let config = Config { id: NodeId(9), name: "n9".into(), release: "0.1.0".into(), addresses: vec!["n9:6340".into()], timeout };
    let mut node = Node::new(config);
    connect(&mut node, GOOD, true);
    connect(&mut node, BAD, dialled);
    let mut links: Vec<(LinkKey, Link)> = Vec::new();
    for session in [GOOD, BAD, GOOD, BAD] {
        if let Some((key, id)) = node.open_link(session) {
            links.push((key, Link::new(Route { session, id })));
        }
    }
    if met {
        node.links_met(links[0].0, links[1].0);
    }
    let (mut decoder, mut rest) = (Decoder::default(), bytes);
    while let Ok(Some(frame)) = decoder.next(&mut rest) {
        match frame {
            ControlFrame::Hello(hello) => node.handle_hello(NOW, BAD, hello),
            ControlFrame::Control(control) => node.handle_control(NOW, BAD, control),
        }
        while let Some(action) = node.poll_action() {
            match action {
                Action::Close(GOOD, why) => panic!("the good peer's session was closed: {why}"),
                Action::Event(GOOD, Event::Down(why)) => panic!("the good peer's session was lost: {why}"),
                Action::Event(BAD, Event::Asked(_, Ask::Lookup { link: id, .. })) => match node.accept_link(BAD, id) {
                    Ok(key) => links.push((key, Link::new(Route { session: BAD, id }))),
                    Err(breach) => node.handle_breach(BAD, breach.into()),
                },
                Action::Link(key, command) => {
                    let link = links.iter_mut().find(|(other, _)| *other == key);
                    link.into_iter().for_each(|(_, link)| link.command(command, &mut Vec::new()));
                }
                Action::Dial { attempt, .. } => node.handle_dialled(attempt, (attempt % 2 == 0).then_some(GOOD)),
                _ => {}
            }
        }
    }
    node.handle_lost(BAD, Goodbye::Done);
    assert!(node.peers().any(|(session, _)| session == GOOD));
});
