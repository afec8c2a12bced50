//! Laws of sessions, by name; the virtual network tests what follows from them.

use super::*;
use crate::frame::Introduce;

fn node(id: u128) -> Node {
    let addresses = vec![format!("n{id}:6340")];
    let timeout = Duration::from_secs(10);
    Node::new(Config { id: NodeId(id), name: format!("n{id}"), release: "0.1.0".into(), addresses, timeout })
}

fn key(id: u128) -> Fingerprint {
    Fingerprint([id as u8; 32])
}

fn hello(id: u128) -> Hello {
    node(id).hello()
}

fn actions(node: &mut Node) -> Vec<Action> {
    std::iter::from_fn(|| node.poll_action()).collect()
}

/// How a session was closed by this node.
fn closed(actions: &[Action], session: SessionKey) -> Option<&Goodbye> {
    actions.iter().find_map(|action| match action {
        Action::Close(key, why) if *key == session => Some(why),
        _ => None,
    })
}

fn is_up(node: &Node, session: SessionKey) -> bool {
    node.peers().any(|(key, _)| key == session)
}

const NOW: Duration = Duration::from_secs(1);
const OURS: SessionKey = SessionKey(1);
const THEIRS: SessionKey = SessionKey(2);

/// A node that has dialled this one and been called by it at once; each has greeted on both.
fn both_dialled(own: u128, other: u128) -> Node {
    let mut node = node(own);
    node.handle_connected(NOW, OURS, true, key(other));
    node.handle_connected(NOW, THEIRS, false, key(other));
    node.handle_hello(NOW, THEIRS, hello(other));
    node.handle_hello(NOW, OURS, hello(other));
    node
}

#[test]
fn the_call_of_the_smaller_id_stays() {
    let mut smaller = both_dialled(1, 2);
    assert!(is_up(&smaller, OURS));
    assert_eq!(closed(&actions(&mut smaller), THEIRS), None, "who dialled hangs up");
    smaller.handle_control(NOW, THEIRS, Control::Goodbye(Goodbye::Duplicate));
    assert!(is_up(&smaller, OURS) && smaller.peers().count() == 1);

    let mut larger = both_dialled(2, 1);
    assert_eq!(larger.peers().count(), 0, "neither is certain");
    larger.handle_control(NOW, THEIRS, Control::Ping(1));
    let told = actions(&mut larger);
    assert_eq!(closed(&told, OURS), Some(&Goodbye::Duplicate));
    assert!(told.contains(&Action::Event(OURS, Event::Duplicate(THEIRS))));
    assert!(is_up(&larger, THEIRS) && larger.peers().count() == 1);
}

#[test]
fn where_the_other_call_comes_to_nothing_ours_stays() {
    let mut larger = both_dialled(2, 1);
    larger.handle_lost(THEIRS, Goodbye::Silent);
    assert!(is_up(&larger, OURS));
}

#[test]
fn a_second_call_is_hung_up() {
    let mut node = node(1);
    for session in [OURS, THEIRS] {
        node.handle_connected(NOW, session, true, key(2));
    }
    node.handle_hello(NOW, OURS, hello(2));
    actions(&mut node);
    node.handle_hello(NOW, THEIRS, hello(2));
    assert_eq!(closed(&actions(&mut node), THEIRS), Some(&Goodbye::Duplicate));
    assert!(is_up(&node, OURS));
}

#[test]
fn who_is_called_uses_no_session_that_may_be_hung_up() {
    let mut node = node(1);
    node.handle_connected(NOW, THEIRS, false, key(2));
    node.handle_hello(NOW, THEIRS, hello(2));
    assert!(matches!(actions(&mut node)[..], [Action::Greet(..)]));
    assert!(!is_up(&node, THEIRS));
    node.handle_control(NOW, THEIRS, Control::Ping(1));
    assert!(is_up(&node, THEIRS));
}

#[test]
fn another_version_is_refused_with_both_versions_named() {
    let theirs = Hello { versions: (7, 9), release: "4.2.0".into(), ..hello(2) };
    for dialled in [true, false] {
        let mut node = node(1);
        node.handle_connected(NOW, OURS, dialled, key(2));
        node.handle_hello(NOW, OURS, theirs.clone());
        let told = actions(&mut node);
        assert_eq!(told.iter().filter(|action| matches!(action, Action::Greet(..))).count(), 1, "each greets even so");
        let Some(Goodbye::Version(text)) = closed(&told, OURS) else { panic!("{told:?}") };
        let (oldest, newest) = VERSIONS;
        let ours = format!("this node speaks versions {oldest} to {newest} of the protocol (placehost 0.1.0)");
        assert_eq!(*text, format!("{ours}, the other 7 to 9 (placehost 4.2.0)"));
        assert!(node.is_idle());
    }
}

#[test]
fn a_goodbye_before_the_greeting_is_heard() {
    let mut node = node(1);
    node.handle_connected(NOW, OURS, true, key(2));
    node.handle_control(NOW, OURS, Control::Goodbye(Goodbye::Untrusted("revoked".into())));
    let down = Event::Down(Goodbye::Untrusted("revoked".into()));
    assert!(actions(&mut node).contains(&Action::Event(OURS, down)));
}

#[test]
fn an_id_has_one_key() {
    let mut node = node(1);
    node.handle_connected(NOW, OURS, true, key(2));
    node.handle_hello(NOW, OURS, hello(2));
    node.handle_connected(NOW, THEIRS, false, key(3));
    node.handle_hello(NOW, THEIRS, hello(2));
    assert!(matches!(closed(&actions(&mut node), THEIRS), Some(Goodbye::Untrusted(_))));
    assert!(is_up(&node, OURS));
}

#[test]
fn a_node_does_not_talk_to_itself() {
    let mut node = node(1);
    node.handle_connected(NOW, OURS, true, key(1));
    node.handle_hello(NOW, OURS, hello(1));
    assert_eq!(closed(&actions(&mut node), OURS), Some(&Goodbye::Itself));
}

#[test]
fn a_silent_peer_is_lost_in_the_time_out() {
    let timeout = Duration::from_secs(10);
    let mut node = node(1);
    node.handle_connected(NOW, OURS, true, key(2));
    node.handle_hello(NOW, OURS, hello(2));
    let mut pings = 0;
    while let Some(due) = node.poll_timeout() {
        assert!(due <= NOW + timeout);
        node.handle_time(due);
        pings += actions(&mut node).iter().filter(|action| matches!(action, Action::Send(OURS, Control::Ping(_)))).count();
        if node.is_idle() {
            assert_eq!(due, NOW + timeout);
        }
    }
    assert_eq!(pings, 1 + 3, "at once, and at each quarter before the last");
}

#[test]
fn who_never_greets_is_lost_in_the_time_out() {
    let mut node = node(1);
    node.handle_connected(NOW, THEIRS, false, key(2));
    let due = NOW + Duration::from_secs(10);
    assert_eq!(node.poll_timeout(), Some(due));
    node.handle_time(due);
    assert!(actions(&mut node).contains(&Action::Close(THEIRS, Goodbye::Silent)));
}

/// A node that forwards between a link by a session with 2 and one by a session with 3, and has begun to introduce them.
fn introducer(own: u128) -> (Node, [(LinkKey, LinkId); 2]) {
    let mut node = node(own);
    let links = [(OURS, 2), (THEIRS, 3)].map(|(session, id)| {
        node.handle_connected(NOW, session, true, key(id));
        node.handle_hello(NOW, session, hello(id));
        node.open_link(session).expect("a link")
    });
    node.links_met(links[0].0, links[1].0);
    assert!(matches!(actions(&mut node)[..], [.., Action::Send(THEIRS, Control::Introduce(Introduce::Expect { number: 1, .. }))]));
    (node, links)
}

/// What the node says to this when it comes by that session.
fn said(node: &mut Node, session: SessionKey, introduce: Introduce) -> Vec<Action> {
    node.handle_control(NOW, session, Control::Introduce(introduce));
    actions(node)
}

fn expect(number: u64, link: LinkId) -> Introduce {
    Introduce::Expect { number, link, node: NodeId(7), key: key(7) }
}

fn meet(number: u64, link: LinkId) -> Introduce {
    Introduce::Meet { number, link, node: NodeId(7), key: key(7), addresses: vec!["n7:6340".into()] }
}

fn send(session: SessionKey, introduce: Introduce) -> Action {
    Action::Send(session, Control::Introduce(introduce))
}

#[test]
fn the_introduction_by_the_smaller_id_goes_on() {
    let (mut smaller, [_, (_, link)]) = introducer(1);
    assert_eq!(said(&mut smaller, THEIRS, expect(9, link)), [send(THEIRS, Introduce::Expecting { number: 9, yes: false })]);
    let (mut larger, [_, (_, link)]) = introducer(4);
    let yields = [send(THEIRS, Introduce::Forget { number: 1 }), send(THEIRS, Introduce::Expecting { number: 9, yes: true })];
    assert_eq!(said(&mut larger, THEIRS, expect(9, link)), yields);
}

#[test]
fn an_introduction_that_has_come_to_meet_goes_on() {
    // The other has: even the smaller id gives way.
    let (mut node, [_, (_, link)]) = introducer(1);
    let told = said(&mut node, THEIRS, meet(9, link));
    assert!(matches!(&told[..], [forget, Action::Dial { .. }] if *forget == send(THEIRS, Introduce::Forget { number: 1 })), "{told:?}");
    // This one has: even the larger id does not.
    let (mut node, [(_, link), _]) = introducer(4);
    let told = said(&mut node, THEIRS, Introduce::Expecting { number: 1, yes: true });
    assert!(matches!(told[..], [Action::Send(OURS, Control::Introduce(Introduce::Meet { .. }))]), "{told:?}");
    assert_eq!(said(&mut node, OURS, expect(9, link)), [send(OURS, Introduce::Expecting { number: 9, yes: false })]);
    // Both have: the smaller id does.
    let gives_way = said(&mut node, OURS, meet(9, link));
    assert!(matches!(&gives_way[..], [forget, Action::Dial { .. }] if *forget == send(THEIRS, Introduce::Forget { number: 1 })));
}

#[test]
fn a_link_whose_introduction_was_cut_off_takes_part_in_no_other() {
    let (mut node, [(_, from), (to, _)]) = introducer(4);
    said(&mut node, THEIRS, Introduce::Expecting { number: 1, yes: true });
    node.link_done(to);
    assert_eq!(said(&mut node, OURS, meet(9, from)), [send(OURS, Introduce::Unreachable { number: 9 })]);
    assert_eq!(said(&mut node, OURS, expect(9, from)), [send(OURS, Introduce::Expecting { number: 9, yes: false })]);
}

#[test]
fn an_introduction_waits_for_its_link() {
    let mut node = node(1);
    node.handle_connected(NOW, OURS, true, key(2));
    node.handle_hello(NOW, OURS, hello(2));
    actions(&mut node);
    let link = LinkId(1);
    assert_eq!(said(&mut node, OURS, expect(9, link)), []);
    assert_eq!(said(&mut node, OURS, Introduce::Forget { number: 9 }), []);
    assert_eq!(said(&mut node, OURS, expect(10, link)), []);
    node.accept_link(OURS, link).expect("a link");
    assert_eq!(actions(&mut node), [send(OURS, Introduce::Expecting { number: 10, yes: true })]);
}

#[test]
fn how_a_link_ended_waits_for_its_name() {
    let mut node = node(1);
    node.handle_connected(NOW, OURS, true, key(2));
    node.handle_hello(NOW, OURS, hello(2));
    let route = Route { session: OURS, id: LinkId(1) };
    node.handle_control(NOW, OURS, Control::Finish(route.id, End::Closed));
    node.handle_control(NOW, OURS, Control::Gone(route.id, End::NodeLost));
    actions(&mut node);
    let link = node.accept_link(OURS, route.id).expect("a link");
    let told = [Command::Gone(route, End::NodeLost), Command::Finish(route, End::Closed)];
    assert_eq!(actions(&mut node), told.map(|command| Action::Link(link, command)));
}

#[test]
fn another_life_at_the_address_is_not_who_was_looked_for() {
    let mut node = node(1);
    node.handle_connected(NOW, OURS, true, key(2));
    node.handle_hello(NOW, OURS, hello(2));
    let (_, link) = node.open_link(OURS).expect("a link");
    actions(&mut node);
    let told = said(&mut node, OURS, meet(9, link));
    let [Action::Dial { attempt, .. }] = told[..] else { panic!("{told:?}") };
    // By the same key, but not with the same id.
    node.handle_connected(NOW, THEIRS, true, key(7));
    node.handle_hello(NOW, THEIRS, hello(8));
    actions(&mut node);
    node.handle_dialled(attempt, Some(THEIRS));
    assert_eq!(actions(&mut node), [send(OURS, Introduce::Unreachable { number: 9 })]);
}

#[test]
fn who_is_a_stranger_stays_and_says_so() {
    let mut node = node(1);
    for (session, id) in [(OURS, 2), (THEIRS, 7)] {
        node.handle_connected(NOW, session, true, key(id));
        node.handle_hello(NOW, session, hello(id));
    }
    let (link, id) = node.open_link(OURS).expect("a link");
    actions(&mut node);
    let by = Route { session: THEIRS, id: LinkId(0) };
    let attach = Introduce::Attach { introducer: NodeId(2), number: 9, link: by.id };
    assert_eq!(said(&mut node, OURS, meet(9, id)), [Action::Link(link, Command::Expect(by)), send(THEIRS, attach)]);
    let stays = [Action::Link(link, Command::Forget(by)), send(OURS, Introduce::Unreachable { number: 9 })];
    assert_eq!(said(&mut node, THEIRS, Introduce::Stranger { introducer: NodeId(2), number: 9 }), stays);
    assert_eq!(node.link_at(by), None);
    // And may be introduced again.
    assert_eq!(said(&mut node, OURS, expect(10, id)), [send(OURS, Introduce::Expecting { number: 10, yes: true })]);
}

#[test]
fn an_introduction_that_failed_is_tried_again_ever_more_rarely() {
    let timeout = Duration::from_secs(10);
    let (mut node, [(from, _), _]) = introducer(1);
    said(&mut node, THEIRS, Introduce::Expecting { number: 1, yes: true });
    // It is tried the other way round, and then not before some time has passed.
    let forget = send(THEIRS, Introduce::Forget { number: 1 });
    let told = said(&mut node, OURS, Introduce::Unreachable { number: 1 });
    assert!(matches!(&told[..], [first, Action::Send(OURS, Control::Introduce(Introduce::Expect { number: 2, .. }))] if *first == forget));
    said(&mut node, OURS, Introduce::Expecting { number: 2, yes: true });
    let told = said(&mut node, THEIRS, Introduce::Unreachable { number: 2 });
    assert_eq!(told, [send(OURS, Introduce::Forget { number: 2 })]);

    let (mut now, mut last, mut waits) = (NOW, NOW, Vec::new());
    while waits.len() < 9 {
        now = node.poll_timeout().expect("there are sessions");
        node.handle_time(now);
        for action in actions(&mut node) {
            match action {
                Action::Send(session, Control::Ping(number)) => node.handle_control(now, session, Control::Pong(number)),
                Action::Send(session, Control::Introduce(Introduce::Expect { number, .. })) => {
                    waits.push((now - last).as_secs() / timeout.as_secs());
                    last = now;
                    node.handle_control(now, session, Control::Introduce(Introduce::Expecting { number, yes: false }));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
    // Where the link goes another way, that is another matter; and with the link all is forgotten.
    node.link_moved(from, Route { session: OURS, id: LinkId(100) });
    assert!(matches!(actions(&mut node)[..], [Action::Send(_, Control::Introduce(Introduce::Expect { .. }))]));
    node.link_done(from);
    assert!(node.introductions.is_empty());
    assert!(now > NOW);
}
