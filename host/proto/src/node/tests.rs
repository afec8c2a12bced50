//! Laws of sessions, by name; the virtual network tests what follows from them.

use super::*;

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
        assert_eq!(text, "this node speaks versions 1 to 1 of the protocol (placehost 0.1.0), the other 7 to 9 (placehost 4.2.0)");
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
