//! What goes on at once in one place, and who starts again what has ended. The claims are made by the guests; here is what they need to
//! be run with, and what only the outside can see.

claims! { "tasks":
    every_event_can_be_awaited,
    futures_that_wait_go_on_together,
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
