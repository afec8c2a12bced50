//! What channels, messages, places and `sync` promise. The claims are made by the guests; here is what they need to be run with,
//! and what only the outside can see.

use crate::harness::run;

claims! { "channels":
    messages_keep_their_order_in_both_directions,
    messages_sent_before_death_are_read_and_then_it_is_closed,
    putting_to_a_dead_place_is_closed,
    a_full_mailbox_makes_put_wait_and_try_put_say_so,
    many_writers_of_a_small_mailbox_all_get_through,
    try_get_says_that_there_is_nothing_yet,
    many_messages_in_one_call_keep_their_order,
    put_get_is_a_request_and_its_reply,
    pending_counts_what_waits_to_be_read,
    a_closed_direction_leaves_the_other_one_open,
    an_end_is_open_until_its_last_handle_is_dropped,
    of_competing_readers_exactly_one_gets_each_message,
}

claims! { "messages":
    every_kind_of_value_comes_back_equal,
    a_reader_may_know_fewer_fields_than_the_writer,
    what_nests_too_deeply_is_an_error,
    raw_bytes_come_as_they_are,
    a_message_of_another_type_is_an_error_and_the_next_one_is_read,
    a_message_may_be_as_long_as_the_limit_and_no_longer with ["--memory", "512MiB"],
    ends_of_channels_travel_anywhere_in_a_message,
    an_end_travels_through_two_places,
    an_end_put_by_reference_is_shared_and_by_value_moves,
    an_end_cannot_be_sent_to_itself,
    ends_that_come_to_a_reader_of_bytes_are_closed,
    plain_messages_and_those_with_ends_keep_their_order,
    a_blob_is_read_sliced_and_shared,
}

claims! { "lives":
    waiting_any_number_of_times_gives_the_same,
    a_parent_learns_how_its_child_ended,
    leaving_by_std_is_an_exit,
    a_place_that_waits_is_killed,
    a_place_that_computes_is_killed,
    a_place_that_starts_others_is_killed,
    a_place_that_ended_keeps_its_reason_when_killed,
    what_a_place_held_is_gone_when_its_end_is_told,
    the_end_of_a_place_ends_its_children_and_theirs,
    a_place_outlives_the_handle_to_it,
    no_two_places_have_the_same_name,
    a_start_function_is_named_with_either_dash,
    places_that_compute_leave_time_to_others,
}

claims! { "waiting":
    a_message_comes_before_a_timer,
    the_first_timer_fires_where_nothing_comes,
    the_end_of_a_place_is_an_event,
    of_several_that_are_ready_each_has_its_turn,
    of_several_pollables_each_has_its_turn,
    a_message_that_was_not_chosen_stays,
    a_closed_channel_is_ready,
    a_place_that_dies_while_it_is_waited_for_closes_its_channel,
    many_channels_are_waited_for_at_once,
    an_arm_is_left_as_any_code_is,
    an_end_of_a_channel_that_was_chosen_works,
    pollables_of_channels_and_places_stand_beside_those_of_wasi,
    a_pollable_and_a_channel_are_waited_for_together,
}

claims! { "selecting":
    one_wait_brings_messages_of_many_channels,
    a_message_too_large_for_the_rest_of_a_batch_comes_with_the_next,
    a_busy_channel_leaves_others_their_turn,
    what_is_put_goes_out_with_the_next_wait,
    who_does_not_read_is_not_read_from_and_stops_nobody,
    ends_of_channels_keep_their_order_among_plain_messages,
    what_comes_once_is_told_once_and_frees_its_key,
    a_closed_channel_is_told_once_and_can_still_be_put_to,
    a_removed_channel_is_its_owners_again,
    a_key_is_taken_once,
    a_wait_ends_with_its_time_and_over_nothing_is_refused,
    what_is_registered_counts_towards_the_memory_limit,
    many_places_are_served_from_one_wait_to_the_next,
    a_place_that_ends_while_it_is_waited_for_wakes,
    room_is_an_event,
}

#[test]
fn the_program_ends_when_main_does() {
    run("lives", "the-program-ends-when-main-does", &[]).prints("main is done\n");
}

#[test]
fn another_module_is_started_by_its_path() {
    run("lives", "another-module-is-started-by-its-path", &[]).prints("hello-world received: Hello\nhello-world sent: Hello World\n");
}

#[test]
fn the_code_of_the_program_says_how_main_ended() {
    run("lives", "returns", &[]).fails(0, &[]);
    run("lives", "exits-with-seven", &[]).fails(7, &[]);
    run("lives", "exits", &["--send", "0"]).fails(0, &[]);
    run("lives", "exits", &["--send", "255"]).fails(255, &[]);
    run("lives", "leaves-by-std", &["--send", "0"]).fails(0, &[]);
    run("lives", "leaves-by-std", &["--send", "1"]).fails(1, &[]);
    run("lives", "fails", &[]).fails(1, &["no luck today"]);
    run("lives", "panics", &[]).fails(134, &["lives.rs", "it is over"]);
}

#[test]
fn the_names_in_the_macros_are_not_the_authors() {
    run("waiting", "start", &[]).fails(0, &[]);
}
