//! Every example prints what its documentation says.

use crate::harness::{GREETED, guest, program, run};

/// What examples print on however many nodes.
pub(crate) const NAMED: &str = "100\n200\n100\n200\n100\n200\n(created user0)\n(ok 10)\n(ok 5)\n";
pub(crate) const TUPLE_SERVER: &str = "Hello from a cast\n100\n100\n";
pub(crate) const BANK: &str = "(created user0)\n(already-exists)\n(ok 10)\n(ok 5)\n(insufficient-funds 5)\n(invalid-account user1)\n";
pub(crate) const CHAT: &str = "Ann finds []\nBob finds [\"Ann\"]\nAnn hears Bob comes in\nCid finds [\"Ann\", \"Bob\"]\n\
    Ann hears Cid comes in\nBob hears Cid comes in\n\
    Ann hears Bob: Hello!\nBob hears Bob: Hello!\nCid hears Bob: Hello!\n\
    Ann hears Bob has gone\nCid hears Bob has gone\nAnn hears Ann: Where is Bob?\nCid hears Ann: Where is Bob?\n";

#[test]
fn hello_world_greets_as_on_the_slides() {
    run("hello_world", "main", &[]).prints_of_each(&[GREETED, &["main received: Hello World"]]);
}

#[test]
fn any_double_finds_doubles() {
    run("any_double", "main", &[]).prints(
        "any double in [1, 2, 4, 8]: true\nany double in [1, 3, 5]: false\nany double in [21, 7, 42]: true\nany double in []: false\n",
    );
}

#[test]
fn echo_answers_from_two_places() {
    run("echo", "main", &[]).prints("Hello from place 1\nHello from place 2\nit returned\nit returned\n");
}

#[test]
fn ping_pong_goes_round_as_often_as_asked() {
    run("ping_pong", "main", &[]).prints("10000 round trips\npong returned\n");
    run("ping_pong", "main", &["--", "3"]).prints("3 round trips\npong returned\n");
}

#[test]
fn many_places_all_answer() {
    run("many_places", "main", &[]).prints("10000 places answered\n");
    run("many_places", "main", &["--", "10"]).prints("10 places answered\n");
}

#[test]
fn ring_passes_a_message_through_all_places() {
    let rounds = |n: u32| (1..=3).map(|round| format!("round {round}: {n} places passed it on\n")).collect::<String>();
    run("ring", "main", &[]).prints(&rounds(1000));
    run("ring", "main", &["--", "2"]).prints(&rounds(2));
}

#[test]
fn competing_readers_do_each_job_once() {
    run("competing_readers", "main", &[]).prints("4 readers did 1000 jobs\neach job once: true\n");
}

#[test]
fn named_places_are_shared_by_their_clients() {
    run("named", "main", &[]).prints(NAMED);
}

#[test]
fn tuple_server_answers_as_on_the_slides() {
    run("tuple_server", "main", &[]).prints(TUPLE_SERVER);
}

#[test]
fn bank_gives_every_answer() {
    run("bank", "main", &[]).prints(BANK);
}

#[test]
fn chat_goes_on_when_one_is_killed() {
    run("chat", "main", &[]).prints(CHAT);
}

#[test]
fn pipeline_changes_words_on_their_way() {
    run("pipeline", "main", &[]).prints("PLACES 6\nSHARE 5\nNOTHING 7\nBUT 3\nWHAT 4\nTHEY 4\nSEND 4\n");
}

#[test]
fn prime_sieve_prints_primes() {
    run("prime_sieve", "main", &["--", "30"]).prints("2\n3\n5\n7\n11\n13\n17\n19\n23\n29\n");
    let ended = run("prime_sieve", "main", &["--", "1000"]).end();
    assert_eq!((ended.stdout.lines().count(), ended.stdout.lines().last()), (168, Some("997")));
}

#[test]
fn the_library_runs_a_place_inside_another_program() {
    let expected = "hello-world received: Hello\nhello-world sent: Hello World\nit answered \"Hello World\" and returned\n";
    program("examples/embed", [guest("hello_world")]).prints(expected);
}
