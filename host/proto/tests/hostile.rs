//! Peers that say anything: a node holds to its limits, and its other sessions do not notice.

#[path = "codec/frames.rs"]
mod frames;

use std::time::Duration;

use placehost_proto::frame::{Ask, Goodbye, Introduce, VERSIONS};
use placehost_proto::link::Command;
use placehost_proto::node::{Action, Config, Event, MAX_LINKS};
use placehost_proto::{Control, Fingerprint, Hello, LinkId, LinkKey, Node, NodeId, RequestId, Route, SessionKey};
use proptest::collection::vec;
use proptest::prelude::*;

const NOW: Duration = Duration::from_secs(1);
const GOOD: SessionKey = SessionKey(1);
const BAD: SessionKey = SessionKey(2);

fn node() -> Node {
    Node::new(Config {
        id: NodeId(3),
        name: "n3".into(),
        release: "0.1.0".into(),
        addresses: vec!["n3:6340".into()],
        timeout: Duration::from_secs(10),
    })
}

fn connect(node: &mut Node, session: SessionKey, dialled: bool, id: u128) {
    let hello = Hello {
        versions: VERSIONS,
        release: "0.1.0".into(),
        node: NodeId(id),
        name: format!("n{id}"),
        addresses: vec![format!("n{id}:6340")],
    };
    node.handle_connected(NOW, session, dialled, Fingerprint([id as u8; 32]));
    node.handle_hello(NOW, session, hello);
    node.handle_control(NOW, session, Control::Ping(1));
}

/// A node with a good peer, 1, and a bad one, 2, and some links by each.
fn connected(bad_dialled: bool) -> (Node, Vec<LinkKey>, Vec<LinkKey>) {
    let mut node = node();
    connect(&mut node, GOOD, true, 1);
    connect(&mut node, BAD, !bad_dialled, 2);
    let mut links = |session| (0..4).map(|_| node.open_link(session).expect("a link").0).collect::<Vec<_>>();
    let (good, bad) = (links(GOOD), links(BAD));
    actions(&mut node);
    (node, good, bad)
}

fn actions(node: &mut Node) -> Vec<Action> {
    std::iter::from_fn(|| node.poll_action()).collect()
}

/// What the owner of the node does with what a bad peer says.
fn obey(node: &mut Node, actions: Vec<Action>) {
    for action in actions {
        match action {
            Action::Event(BAD, Event::Asked(_, Ask::Lookup { link, .. })) => {
                if let Err(breach) = node.accept_link(BAD, link) {
                    node.handle_breach(BAD, breach.into());
                }
            }
            Action::Dial { attempt, .. } if attempt % 2 == 0 => node.handle_dialled(attempt, None),
            Action::Dial { attempt, .. } => node.handle_dialled(attempt, Some(GOOD)),
            Action::Link(key, Command::Move(to)) => node.link_moved(key, to),
            Action::Link(key, Command::Gone(..)) => node.link_done(key),
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn whatever_a_peer_says_the_other_session_is_unharmed(all in vec(frames::control(), 0..60), met: bool, bad_dialled: bool) {
        let (mut node, good, bad) = connected(bad_dialled);
        if met {
            node.links_met(good[0], bad[0]);
            node.links_met(bad[1], good[1]);
        }
        let request = node.ask(GOOD, Ask::List).expect("a request");
        for control in all {
            node.handle_control(NOW, BAD, control);
            for _ in 0..3 {
                let actions = actions(&mut node);
                prop_assert!(!actions.iter().any(|it| matches!(it, Action::Close(GOOD, _) | Action::Event(GOOD, Event::Down(_)))));
                obey(&mut node, actions);
            }
        }
        prop_assert!(node.peers().any(|(session, _)| session == GOOD));
        // Links that have not met those of the bad peer are as they were.
        for &link in &good[2..] {
            let there = (0..4).any(|id| node.link_at(Route { session: GOOD, id: LinkId(2 * id) }) == Some(link));
            prop_assert!(there, "a link of the good peer is gone");
        }
        node.handle_control(NOW, GOOD, Control::Answer(request, placehost_proto::frame::Answer::Listing {
            places: Vec::new(), peers: Vec::new(), last: true,
        }));
        prop_assert!(actions(&mut node).iter().any(|it| matches!(it, Action::Event(GOOD, Event::Answered(..)))));
        node.handle_lost(BAD, Goodbye::Done);
        for link in good.into_iter().chain(bad) {
            node.link_done(link);
        }
        node.close(GOOD, Goodbye::Done);
        for _ in 0..4 {
            let actions = actions(&mut node);
            obey(&mut node, actions);
        }
        prop_assert!(node.poll_timeout().is_none());
    }

    #[test]
    fn before_the_greeting_a_peer_says_nothing(all in vec(frames::control(), 1..4), dialled: bool) {
        let mut node = node();
        node.handle_connected(NOW, BAD, dialled, Fingerprint([2; 32]));
        for control in all {
            node.handle_control(NOW, BAD, control);
        }
        let told = actions(&mut node);
        prop_assert!(told.iter().all(|it| matches!(it, Action::Greet(..) | Action::Close(..) | Action::Event(_, Event::Down(_)))));
        prop_assert!(node.is_idle());
    }
}

fn closed(node: &mut Node, session: SessionKey) -> Option<Goodbye> {
    actions(node).into_iter().find_map(|action| match action {
        Action::Close(closed, why) if closed == session => Some(why),
        _ => None,
    })
}

#[test]
fn a_peer_names_no_more_links_than_it_may() {
    let (mut node, ..) = connected(true);
    let far = LinkId(2 * (MAX_LINKS as u64 + 2));
    assert!(!node.is_to_come(Route { session: BAD, id: far }));
    assert!(!node.is_to_come(Route { session: BAD, id: LinkId(u64::MAX - 1) }));
    assert!(node.accept_link(BAD, far).is_err());
    for id in 0..(MAX_LINKS - 4) as u64 {
        node.accept_link(BAD, LinkId(2 * id)).expect("a link");
    }
    assert!(node.accept_link(BAD, LinkId(2 * MAX_LINKS as u64)).is_err());
    assert!(node.accept_link(BAD, LinkId(0)).is_err(), "a name is used once");
    assert!(node.accept_link(BAD, LinkId(1)).is_err(), "odd ones are ours");
}

#[test]
fn what_is_said_of_links_to_come_is_bounded() {
    let (mut node, ..) = connected(true);
    for id in 0..4 * MAX_LINKS as u64 {
        let expect = Introduce::Expect { number: id, link: LinkId(2 * id), node: NodeId(1), key: Fingerprint([1; 32]) };
        node.handle_control(NOW, BAD, Control::Introduce(expect));
        node.handle_control(NOW, BAD, Control::Gone(LinkId(2 * id), placehost_proto::frame::End::Closed));
    }
    // Those that are kept are not answered yet.
    let refused = actions(&mut node).len();
    assert!(refused >= 4 * MAX_LINKS - (1 << 14), "{refused}");
}

#[test]
fn a_peer_asks_no_more_than_it_may_at_once() {
    let (mut node, ..) = connected(true);
    for request in 0..=(1 << 16) {
        assert_eq!(closed(&mut node, BAD), None);
        node.handle_control(NOW, BAD, Control::Ask(RequestId(request), Ask::List));
    }
    assert!(matches!(closed(&mut node, BAD), Some(Goodbye::Protocol(_))));
}

#[test]
fn a_watch_that_was_given_up_counts_no_more() {
    let (mut node, ..) = connected(true);
    let place = placehost_proto::PlaceId { node: NodeId(3), seq: 1 };
    for request in (0..1 << 17).map(RequestId) {
        node.handle_control(NOW, BAD, Control::Ask(request, Ask::Watch(place)));
        node.answer(BAD, request, placehost_proto::frame::Answer::Started { place, spare: None }, true);
        node.handle_control(NOW, BAD, Control::Unwatch(request));
        assert_eq!(closed(&mut node, BAD), None);
    }
}

#[test]
fn many_introductions_to_one_node_dial_it_once() {
    let mut node = node();
    connect(&mut node, BAD, true, 2);
    let links: Vec<_> = (0..1000).map(|_| node.open_link(BAD).expect("a link").1).collect();
    actions(&mut node);
    for (number, link) in (0..).zip(links) {
        let addresses = vec!["n5:6340".into()];
        let meet = Introduce::Meet { number, link, node: NodeId(5), key: Fingerprint([5; 32]), addresses };
        node.handle_control(NOW, BAD, Control::Introduce(meet));
    }
    let dials: Vec<_> = actions(&mut node).into_iter().filter(|action| matches!(action, Action::Dial { .. })).collect();
    assert_eq!(dials.len(), 1);
    let Action::Dial { attempt, .. } = dials[0] else { panic!("it dials") };
    connect(&mut node, GOOD, true, 5);
    node.handle_dialled(attempt, Some(GOOD));
    let attached = |action: &Action| matches!(action, Action::Send(GOOD, Control::Introduce(Introduce::Attach { .. })));
    assert_eq!(actions(&mut node).iter().filter(|action| attached(action)).count(), 1000);
}

#[test]
fn an_answer_has_to_fit_what_was_asked() {
    let (mut node, ..) = connected(true);
    let request = node.ask(BAD, Ask::List).expect("a request");
    let place = placehost_proto::PlaceId { node: NodeId(2), seq: 1 };
    node.handle_control(NOW, BAD, Control::Answer(request, placehost_proto::frame::Answer::Started { place, spare: None }));
    assert!(matches!(closed(&mut node, BAD), Some(Goodbye::Protocol(_))));
}
