//! Servers and their clients, on one node and over several. Most claims are made by the guests; here is what they need to be run with,
//! and what happens to nodes meanwhile.

use crate::far::Talk;
use crate::harness::{Run, guest, run};
use crate::lab::{Lab, Node};

claims! { "rpc":
    requests_of_one_client_are_handled_in_order,
    clients_share_the_state_and_never_mix,
    a_thousand_clients_are_served,
    calls_are_joined_in_any_order,
    more_calls_than_the_mailboxes_hold_are_under_way,
    arguments_and_results_are_of_any_kind,
    ends_of_channels_are_arguments_and_results,
    an_unknown_method_is_answered_with_what_there_is,
    older_clients_use_what_was_added_to,
    a_version_that_breaks_is_refused,
    what_changed_without_a_word_is_an_error_at_the_caller,
    a_client_that_babbles_loses_its_own_connection,
    a_cast_that_fails_is_told_by_the_next_call,
    a_panic_is_told_to_its_caller_and_ends_every_other_call,
    what_was_answered_before_a_panic_has_been_answered,
    a_server_that_is_killed_ends_every_call,
    a_call_waits_no_longer_than_it_may,
    a_call_that_was_cancelled_in_time_is_not_handled,
    a_slow_handler_delays_its_callers_and_loses_nothing,
    calls_are_awaited_while_others_go_on,
    an_answer_may_come_after_other_requests,
    a_client_that_vanishes_is_not_waited_for,
    a_private_server_ends_with_its_clients,
    a_server_begins_as_it_says,
    a_client_finds_the_successor_where_it_asked_for_that,
    a_keeper_has_the_state_of_every_answer,
    a_server_without_its_keeper_ends,
    a_call_of_a_cast_is_answered_with_null,
    two_servers_that_call_each_other_are_both_answered,
    a_handler_that_waits_stops_nobody,
    a_handler_that_nobody_waits_for_is_dropped,
    a_handler_that_waited_and_panics_is_told_of,
    a_handler_that_waits_has_its_change_kept,
}

/// A test for each claim, with two nodes; each has nothing left of it afterwards.
macro_rules! far_claims {
    ($($claim:ident,)+) => {$(
        #[test]
        fn $claim() {
            let lab = Lab::new();
            let nodes = [(); 2].map(|()| lab.node(&["--allow-nodes"]));
            far(&lab, stringify!($claim), &[], &nodes).prints("");
            nodes.iter().for_each(|node| lab.has_places(node, 0));
        }
    )+};
}

far_claims! {
    a_server_on_one_node_has_clients_on_many,
    errors_come_from_afar_as_they_are,
    a_keeper_here_keeps_the_state_of_a_server_there,
}

/// `placehost run rpc_far CLAIM OPTIONS -- ADDRESSES`, by a machine of the cluster.
fn far(lab: &Lab, start: &str, options: &[&str], nodes: &[Node]) -> Run {
    let module = guest("rpc_far");
    let addresses: Vec<_> = nodes.iter().map(|node| &*node.address).collect();
    let module = module.to_str().expect("its path is text");
    lab.placehost(&[&["run", module, start, "--allow-nodes"], options, &["--"], &addresses].concat())
}

#[test]
fn a_node_that_is_killed_in_mid_call_ends_every_call() {
    let lab = Lab::new();
    let nodes = [lab.node(&[])];
    let mut talk = Talk::start(far(&lab, "calls-until-the-node-is-gone", &["--timeout", "1s"], &nodes));
    assert_eq!(talk.get(), r#""calling""#);
    nodes[0].signal("-KILL");
    assert_eq!(talk.get(), r#""Err(Lost(NodeLost)) Err(Lost(NodeLost)) Err(Lost(NodeLost))""#);
    talk.ends_well();
}

#[test]
fn a_client_that_vanishes_with_its_node_is_not_waited_for() {
    let lab = Lab::new();
    let nodes = [lab.node(&[])];
    let mut talk = Talk::start(far(&lab, "has-a-client-there-that-vanishes", &["--timeout", "1s"], &nodes));
    assert_eq!(talk.get(), r#""waiting""#);
    nodes[0].signal("-KILL");
    assert_eq!(talk.get(), r#""released""#);
    talk.ends_well();
}

#[test]
fn a_client_follows_a_server_to_the_next_node() {
    let lab = Lab::new();
    let nodes = [lab.node(&[]), lab.node(&[])];
    let mut talk = Talk::start(far(&lab, "follows-a-server-from-node-to-node", &["--timeout", "1s"], &nodes));
    assert_eq!(talk.get(), "2");
    nodes[0].signal("-KILL");
    talk.put("null");
    assert_eq!(talk.get(), "1");
    talk.ends_well();
}

/// What a server speaks is what `PROTOCOL.md` says: here are the bytes of a person at a terminal.
#[test]
fn a_server_answers_what_is_typed() {
    let sent = ["--send", r#"["note", [7]]"#, "--send", r#"[1, "all", []]"#, "--send", r#"[2, "count", []]"#];
    run("rpc", "log", &sent).prints("[1,0,[7]]\n[2,0,1]\n");
}

#[test]
fn an_argument_that_was_added_may_be_given_or_left_out() {
    let sent = [r#"[1, "set", ["a", 5]]"#, r#"[2, "set", ["a", 6, true]]"#, r#"[3, "set", ["a", 7, null]]"#, r#"[4, "len", []]"#];
    let options: Vec<_> = sent.iter().flat_map(|line| ["--send", line]).collect();
    run("rpc_other", "table", &options).prints("[1,0,5]\n[2,0,5]\n[3,0,7]\n[4,0,1]\n");
}
