//! What goes on at once in one place, and who starts again what has ended. The claims are made by the guests; here is what they need to
//! be run with, and what only the outside can see.

use std::net::UdpSocket;

use crate::far::Talk;
use crate::harness::{Run, guest};
use crate::lab::{Lab, Node};

claims! { "tasks":
    every_event_can_be_awaited,
    futures_that_wait_go_on_together,
    of_many_that_wait_each_gets_what_is_its_own,
    an_end_that_a_future_waited_at_closes_when_both_are_dropped,
    a_call_that_stops_the_place_gets_what_a_future_waits_for_too,
    of_many_that_wait_at_one_channel_each_message_is_ones,
    waits_outlive_the_selector_that_looks_after_them,
    a_place_that_may_register_no_more_waits_all_the_same,
    of_futures_that_are_joined_only_those_go_on_that_can,
    a_wait_that_is_dropped_loses_no_message,
    putting_waits_for_room_and_others_go_on,
    a_busy_channel_leaves_turns_to_timers_and_others,
    a_handler_that_waits_does_not_stop_the_others,
    handlers_of_all_kinds_are_called,
    every_begins_at_once_and_makes_up_for_nothing,
    timers_fire_in_the_order_of_their_times,
    handlers_come_and_go,
    an_error_of_a_handler_ends_the_loop,
    what_could_never_end_panics,
    a_future_may_block_on_another,
}

claims! { "supervision":
    one_for_one_starts_who_ended,
    one_for_all_stops_all_in_reverse_and_starts_them_in_order,
    rest_for_one_stops_who_came_later,
    a_transient_child_that_returns_is_not_started_again,
    restart_storms_stop_at_the_intensity,
    what_cannot_be_started_counts_as_failed,
    back_off_waits_before_a_restart,
    who_can_never_be_started_keeps_nobody_from_being_heard,
    retry_is_one_start_and_so_many_restarts,
    who_gives_up_is_started_again_from_above_until_that_gives_up,
    who_does_not_end_when_asked_is_killed,
    a_child_may_be_asked_by_a_message,
    children_are_added_ended_and_listed,
    a_supervisor_elsewhere_obeys_commands,
    what_a_child_keeps_its_successor_gets,
}

/// `placehost run supervision CLAIM -- ADDRESSES`, by a machine of the cluster that soon notices a loss.
fn on_nodes(lab: &Lab, start: &str, addresses: &[&str]) -> Run {
    let module = guest("supervision");
    let module = module.to_str().expect("its path is text");
    lab.placehost(&[&["run", module, start, "--allow-nodes", "--timeout", "1s", "--"], addresses].concat())
}

#[test]
fn a_child_of_a_lost_node_goes_to_the_next() {
    let lab = Lab::new();
    let [a, b] = [(); 2].map(|()| lab.node(&[]));
    on_nodes(&lab, "a-child-of-a-lost-node-goes-to-the-next", &[&a.address, &b.address]).prints("");
    assert_eq!(a.end().code, Some(0));
    lab.has_places(&b, 0);
}

#[test]
fn a_node_that_cannot_be_reached_is_passed_over() {
    let lab = Lab::new();
    let [a, b] = [(); 2].map(|()| lab.node(&[]));
    let nobody = a.address.clone();
    a.signal("-TERM");
    assert_eq!(a.end().code, Some(0));
    on_nodes(&lab, "a-node-that-cannot-be-reached-is-passed-over", &[&nobody, &b.address]).prints("");
}

#[test]
fn a_node_that_is_dialled_stops_only_those_who_rely_on_it() {
    let lab = Lab::new();
    let silent = UdpSocket::bind("127.0.0.1:0").expect("there is a socket");
    let address = silent.local_addr().expect("it is bound").to_string();
    for start in ["others-are-served-while-a-node-is-dialled", "who-relies-on-one-that-is-dialled-for-waits"] {
        on_nodes(&lab, start, &[&address]).prints("");
    }
}

#[test]
fn a_child_of_a_killed_node_is_found_on_the_next_by_its_name() {
    let lab = Lab::new();
    let nodes = [(); 2].map(|()| lab.node(&[]));
    let [a, b]: &[Node; 2] = &nodes;
    let mut talk = Talk::start(on_nodes(&lab, "follows-a-child-from-node-to-node", &[&a.address, &b.address]));
    assert_eq!(talk.get(), "0");
    a.signal("-KILL");
    talk.put("null");
    assert_eq!(talk.get(), "1");
    drop(talk);
    drop(nodes);
}

#[test]
fn a_thousand_who_watch_a_place_elsewhere_are_each_told() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    on_nodes(&lab, "a-thousand-who-watch-a-place-elsewhere-are-each-told", &[&node.address]).prints("");
    lab.has_places(&node, 0);
}

#[test]
fn a_death_that_hits_a_thousand_links_ends_each() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    on_nodes(&lab, "a-death-that-hits-a-thousand-links-ends-each", &[&node.address]).prints("");
    lab.has_places(&node, 0);
}
