//! Servers and their clients. Each claim is a start function that panics where it is wrong; `tests/rpc.rs` runs them.

#[path = "rpc/servers.rs"]
mod servers;

use std::time::{Duration, Instant};

use places::{Channel, Either, Error, ExitReason, Node, Options, Packet, Value, after, sync, task};
use places_rpc::{CallError, Keeper};
use servers::*;

/// Never reached where the right thing happens.
const NEVER: Duration = Duration::from_secs(3600);

#[places::start]
fn requests_of_one_client_are_handled_in_order(_: Channel) -> places::Result {
    let c = LogClient::from(log::spawn()?);
    for n in 0..500 {
        c.note(n)?;
        assert_eq!(c.count()?, n as usize + 1);
    }
    assert_eq!(c.all()?, (0..500).collect::<Vec<_>>());
    Ok(())
}

/// Sets and gets under keys of its own, and finds nobody else's numbers there.
#[places::start]
fn table_user(ch: Channel<u32, ()>) -> places::Result {
    let (me, c) = (ch.get()?, TableClient::connect(&Node::this(), "table")?);
    for n in 0..100 {
        let key = format!("{me}.{n}");
        assert_eq!(c.set(key.as_str(), i64::from(me) * 1000 + n)?, i64::from(me) * 1000 + n);
        assert_eq!(c.get(&key)?, Some(i64::from(me) * 1000 + n));
    }
    Ok(())
}

#[places::start]
fn clients_share_the_state_and_never_mix(_: Channel) -> places::Result {
    let server = table::named("table").spawn()?;
    let users = (0..16).map(|_| table_user::spawn()).collect::<Result<Vec<_>, _>>()?;
    for (user, n) in users.iter().zip(0..) {
        user.put(n)?;
    }
    for user in &users {
        assert_eq!(user.wait(), ExitReason::Returned);
    }
    let c = TableClient::connect(&Node::this(), "table")?;
    assert_eq!(c.get("7.99")?, Some(7099));
    // Who started it is a client as well.
    assert_eq!(TableClient::from(server).get("15.0")?, Some(15_000));
    Ok(())
}

#[places::start]
fn a_thousand_clients_are_served(_: Channel) -> places::Result {
    table::named("table").spawn()?;
    let users = (0..1000).map(|_| table_user::spawn()).collect::<Result<Vec<_>, _>>()?;
    for (user, n) in users.iter().zip(0..) {
        user.put(n)?;
    }
    for user in &users {
        assert_eq!(user.wait(), ExitReason::Returned);
    }
    Ok(())
}

#[places::start]
fn calls_are_joined_in_any_order(_: Channel) -> places::Result {
    let c = TableClient::from(table::spawn()?);
    let mut pending = Vec::new();
    for n in 0..200i64 {
        pending.push((n, c.set_async(n.to_string(), n)?));
    }
    // A call between them overtakes none.
    assert_eq!(c.get("199")?, Some(199));
    pending.reverse();
    pending.rotate_left(50);
    for (n, call) in pending {
        assert!(call.is_ready());
        assert_eq!(call.join()?, n);
    }
    Ok(())
}

#[places::start]
fn more_calls_than_the_mailboxes_hold_are_under_way(_: Channel) -> places::Result {
    let c = EchoClient::from(echo::spawn_with(Options::new().capacity(8))?);
    let pending = (0..3000u32).map(|n| c.number_async(n)).collect::<Result<Vec<_>, _>>()?;
    for (call, n) in pending.into_iter().zip(0..) {
        assert_eq!(call.join()?, n);
    }
    // Requests and answers that fill the mailboxes by their size.
    let c = EchoClient::from(echo::spawn()?);
    let long = "x".repeat(300_000);
    let pending = (0..100).map(|_| c.text_async(&long)).collect::<Result<Vec<_>, _>>()?;
    for call in pending {
        assert_eq!(call.join()?.len(), long.len());
    }
    Ok(())
}

#[places::start]
fn arguments_and_results_are_of_any_kind(_: Channel) -> places::Result {
    let c = EchoClient::from(echo::spawn()?);
    assert_eq!(c.sum(&[1, 2, 3])?, 6);
    let numbers: Vec<u32> = (0..5).collect();
    assert_eq!(c.sum(&numbers)?, 10);
    assert_eq!(c.text("")?, "");
    let point = Point { x: 1, y: -1 };
    assert_eq!(c.mirror(&point)?, Point { x: -1, y: 1 });
    assert_eq!(c.nothing()?, ());
    assert_eq!(c.pick(7, "seven", &[point.clone(), point.clone()], point, None, Some(vec![1]), true, 'x')?, "7 seven 2 Some([1])");
    assert_eq!(c.divide(7, 2)?, Ok(3));
    assert_eq!(c.divide(7, 0)?, Err(NoQuotient::ByZero));
    Ok(())
}

#[places::start]
fn ends_of_channels_are_arguments_and_results(_: Channel) -> places::Result {
    let c = EchoClient::from(echo::spawn()?);
    let (here, there) = Channel::pair::<u32, u32>()?;
    let back = c.doubler(there)??;
    // Calls that have none go on in between.
    assert_eq!(c.number(1)?, 1);
    for n in 0..10 {
        here.put(n)?;
        assert_eq!(back.get()?, 2 * n);
    }
    let many =
        (0..50).map(|_| Ok(c.doubler_async(Channel::pair::<u32, u32>()?.0)?)).collect::<Result<Vec<_>, Box<dyn std::error::Error>>>()?;
    for call in many {
        call.join()??;
    }
    Ok(())
}

/// Speaks to a server without a client's help.
fn raw(server: &str) -> Result<Channel<Packet, Packet>, Error> {
    Node::this().lookup(server)
}

#[places::start]
fn an_unknown_method_is_answered_with_what_there_is(_: Channel) -> places::Result {
    table::named("table").spawn()?;
    let raw = raw("table")?;
    let mut answer = raw.put_get(Value((7, "sit", [1])))?;
    let expected = r#"(7, 1, {"no-method": Value})"#;
    let (call, kind, failure): (u64, u8, std::collections::BTreeMap<String, NoMethod>) = answer.read()?;
    let failure = failure.get("no-method").ok_or(expected)?;
    assert_eq!((call, kind, &*failure.method, &*failure.interface), (7, 1, "sit", "Table"));
    assert_eq!(failure.offers, ["set(k, v)", "get(k)"]);
    // The client of a later version finds out the same way.
    let later = LaterClient::from(Node::this().lookup::<(), ()>("table")?);
    match later.later() {
        Err(CallError::Interface { wanted, interface, offers, .. }) => {
            assert_eq!((&*wanted, &*interface, &*offers[1]), ("Later", "Table", "get(k)"));
        }
        other => panic!("{other:?}"),
    }
    Ok(())
}

#[derive(serde::Deserialize)]
struct NoMethod {
    method: String,
    interface: String,
    offers: Vec<String>,
}

#[places::start]
fn older_clients_use_what_was_added_to(_: Channel) -> places::Result {
    let c = TableClient::from(places::spawn("rpc_other.wasm", "table", Options::new())?);
    assert_eq!(c.set("a", 1)?, 1);
    assert_eq!(c.set("a", 2)?, 2);
    assert_eq!(c.get("a")?, Some(2));
    Ok(())
}

#[places::start]
fn a_version_that_breaks_is_refused(_: Channel) -> places::Result {
    let c = JournalClient::from(places::spawn("rpc_other.wasm", "journal", Options::new())?);
    for _ in 0..2 {
        let error = c.write("x").unwrap_err();
        let expected = "the server has the interface `Journal` in version 2, not `Journal` in version 1; it offers `write(entries)`";
        assert_eq!(error.to_string(), expected);
    }
    // So is another thing under that name; and what is no server at all gives no answer that can be used.
    let c = JournalClient::from(log::spawn()?);
    assert!(matches!(c.write("x"), Err(CallError::Interface { interface, .. }) if interface == "Log"));
    places::spawn("rpc_other.wasm", "square", Options::new().named("square"))?;
    let c = JournalClient::connect(&Node::this(), "square")?;
    assert!(matches!(c.write("x"), Err(CallError::Lost(_))));
    Ok(())
}

#[places::start]
fn what_changed_without_a_word_is_an_error_at_the_caller(_: Channel) -> places::Result {
    let c = CarelessClient::from(places::spawn("rpc_other.wasm", "careless", Options::new())?);
    let error = c.add("one").unwrap_err().to_string();
    assert!(error.starts_with("`add` cannot be called so: ") && error.ends_with("; `Careless` offers `add(number)`"), "{error}");
    // The server and the connection are whole.
    assert!(c.add("two").is_err());
    let raw = raw_of(places::spawn("rpc_other.wasm", "careless", Options::new())?.into_channel());
    for (request, why) in [(vec![], "an argument is missing"), (vec![1, 2], "there is an argument too many")] {
        let answer = raw.put_get(Value((1, "add", request)))?;
        let text = String::from_utf8_lossy(answer.bytes()).into_owned();
        assert!(text.contains(why), "{text}");
    }
    let mut answer = raw.put_get(Value((2, "add", (5, ()))))?;
    assert_eq!(answer.read::<(u64, u8, String)>()?, (2, 0, "it was 5".into()));
    Ok(())
}

fn raw_of(channel: Channel) -> Channel<Packet, Packet> {
    channel.typed()
}

#[places::start]
fn a_client_that_babbles_loses_its_own_connection(_: Channel) -> places::Result {
    table::named("table").spawn()?;
    let c = TableClient::connect(&Node::this(), "table")?;
    c.set("a", 1)?;
    for babble in [Value(vec![0u64]).0, vec![], vec![0, 0, 0]] {
        let raw = raw("table")?;
        raw.put(Value(babble))?;
        assert_eq!(raw.get().map(drop), Err(Error::Closed));
    }
    let raw = raw("table")?;
    raw.put(Packet::from(vec![1, 2, 3]))?;
    assert_eq!(raw.get().map(drop), Err(Error::Closed));
    assert_eq!(c.get("a")?, Some(1));
    Ok(())
}

#[places::start]
fn a_cast_that_fails_is_told_by_the_next_call(_: Channel) -> places::Result {
    // Its `add` is a cast here and a call there, which makes no difference to who reads the arguments.
    let c = CarelessClient::from(places::spawn("rpc_other.wasm", "careless", Options::new())?);
    c.say("x")?;
    let error = loop {
        match c.add("one") {
            // The cast's failure comes first, but the call may have been made before it came.
            Err(CallError::BadArguments { .. }) => {}
            other => break other,
        }
    };
    assert!(matches!(&error, Err(CallError::Cast(cast)) if matches!(**cast, CallError::NoMethod { .. })), "{error:?}");
    Ok(())
}

/// Calls what panics, or what is never answered, and tells how that went.
#[places::start]
fn caller(ch: Channel<bool, String>) -> places::Result {
    let panics = ch.get()?;
    let c = MoodyClient::connect(&Node::this(), "moody")?;
    let result = if panics { c.panic("it is too much") } else { c.never() };
    ch.put(format!("{result:?}"))?;
    Ok(())
}

#[places::start]
fn a_panic_is_told_to_its_caller_and_ends_every_other_call(_: Channel) -> places::Result {
    let server = moody::named("moody").spawn()?;
    let c = MoodyClient::connect(&Node::this(), "moody")?;
    let others = (0..10).map(|_| caller::spawn()).collect::<Result<Vec<_>, _>>()?;
    others.iter().try_for_each(|other| other.put(false))?;
    while c.waiting()? < 10 {}
    let pending = c.never_async()?;
    let culprit = caller::spawn()?;
    culprit.put(true)?;
    assert_eq!(culprit.get()?, r#"Err(Panicked("it is too much"))"#);
    for other in others {
        assert_eq!(other.get()?, "Err(Lost(Closed))");
    }
    assert_eq!(pending.join(), Err(CallError::Lost(Error::Closed)));
    assert_eq!(c.waiting(), Err(CallError::Lost(Error::Closed)));
    match server.wait() {
        ExitReason::Trapped { message, .. } => assert!(message.contains("it is too much"), "{message}"),
        other => panic!("{other:?}"),
    }
    Ok(())
}

#[places::start]
fn what_was_answered_before_a_panic_has_been_answered(_: Channel) -> places::Result {
    let c = MoodyClient::from(moody::spawn()?);
    for _ in 0..5 {
        c.waiting()?;
    }
    let before = (0..20).map(|_| c.waiting_async()).collect::<Result<Vec<_>, _>>()?;
    let panics = c.panic_async("now")?;
    let after = c.waiting_async();
    for call in before {
        assert_eq!(call.join(), Ok(0));
    }
    assert_eq!(panics.join(), Err(CallError::Panicked("now".into())));
    if let Ok(after) = after {
        assert_eq!(after.join(), Err(CallError::Lost(Error::Closed)));
    }
    Ok(())
}

#[places::start]
fn a_server_that_is_killed_ends_every_call(_: Channel) -> places::Result {
    let server = moody::named("moody").spawn()?;
    let c = MoodyClient::connect(&Node::this(), "moody")?;
    let callers = (0..50).map(|_| caller::spawn()).collect::<Result<Vec<_>, _>>()?;
    callers.iter().try_for_each(|caller| caller.put(false))?;
    while c.waiting()? < 50 {}
    let busy = c.compute_async()?;
    server.kill();
    for caller in callers {
        assert_eq!(caller.get()?, "Err(Lost(Closed))");
    }
    assert_eq!(busy.join(), Err(CallError::Lost(Error::Closed)));
    assert!(matches!(MoodyClient::connect(&Node::this(), "moody"), Err(CallError::Connect(Error::NotFound(_)))));
    Ok(())
}

#[places::start]
fn a_call_waits_no_longer_than_it_may(_: Channel) -> places::Result {
    let c = MoodyClient::from(moody::spawn()?);
    let soon = c.within(Duration::from_millis(20));
    let start = Instant::now();
    assert_eq!(soon.never(), Err(CallError::TimedOut(Duration::from_millis(20))));
    assert!(start.elapsed() >= Duration::from_millis(20));
    // The server has been told, and later answers are those of later calls.
    assert_eq!(c.waiting()?, 0);
    let late = c.release_async()?;
    assert_eq!(c.within(NEVER).waiting()?, 0);
    assert_eq!(late.join()?, 0);
    // A call that was dropped is cancelled too.
    let call = c.never_async()?;
    assert_eq!(c.waiting()?, 1);
    drop(call);
    assert_eq!(c.waiting()?, 0);
    Ok(())
}

#[places::start]
fn a_call_that_was_cancelled_in_time_is_not_handled(_: Channel) -> places::Result {
    let c = MoodyClient::from(moody::spawn()?);
    let (here, there) = Channel::pair::<(), ()>()?;
    let held = c.hold_async(there)?;
    here.get()?;
    // The server is busy with that alone, and these wait for it.
    let calls = (0..10).map(|_| c.count_async()).collect::<Result<Vec<_>, _>>()?;
    drop(calls);
    here.put(())?;
    held.join()??;
    assert_eq!(c.count()?, 1);
    Ok(())
}

#[places::start]
fn a_slow_handler_delays_its_callers_and_loses_nothing(_: Channel) -> places::Result {
    let c = MoodyClient::from(moody::spawn()?);
    let calls = (0..40).map(|_| c.sleep_async(1)).collect::<Result<Vec<_>, _>>()?;
    // What has been answered is known though the server is still busy with the rest.
    let long = c.sleep_async(NEVER.as_millis() as u64)?;
    for call in calls {
        call.join()?;
    }
    assert!(!long.is_ready());
    Ok(())
}

#[places::start]
fn calls_are_awaited_while_others_go_on(_: Channel) -> places::Result {
    let (slow, quick) = (MoodyClient::from(moody::spawn()?), TableClient::from(table::spawn()?));
    // One that waits for a slow server does not stop one that calls another.
    let slept = task::block_on(task::race(slow.sleep_async(NEVER.as_millis() as u64)?, async {
        for n in 0..100 {
            assert_eq!(quick.set_async("k", n)?.await, Ok(n));
        }
        Ok::<_, CallError>(())
    }));
    assert!(matches!(slept, Either::Right(Ok(()))), "{slept:?}");
    // Many on one connection are each given their own answer, whoever reads it.
    let calls = (0..50).map(|n| quick.set_async(format!("{n}"), n)).collect::<Result<Vec<_>, _>>()?;
    let answers = task::block_on(task::join_all(calls.into_iter().rev()));
    assert!(answers.iter().zip((0..50).rev()).all(|(answer, n)| *answer == Ok(n)), "{answers:?}");
    // A time-out and the loss of the server end them.
    let late = MoodyClient::from(moody::spawn()?).within(Duration::from_millis(1)).never_async()?;
    assert!(matches!(task::block_on(late), Err(CallError::TimedOut(_))));
    let other = moody::spawn()?;
    let (monitor, c) = (places::monitor(other.id())?, MoodyClient::from(other));
    let calls = [c.never_async()?, c.never_async()?];
    c.panic("now").ok();
    assert!(matches!(monitor.wait(), ExitReason::Trapped { .. }));
    assert!(task::block_on(task::join_all(calls)).iter().all(|answer| matches!(answer, Err(CallError::Lost(_)))));
    Ok(())
}

#[places::start]
fn an_answer_may_come_after_other_requests(_: Channel) -> places::Result {
    moody::named("moody").spawn()?;
    let c = MoodyClient::connect(&Node::this(), "moody")?;
    let d = MoodyClient::connect(&Node::this(), "moody")?;
    let waiting = (0..3).map(|_| c.never_async()).collect::<Result<Vec<_>, _>>()?;
    while d.waiting()? < 3 {}
    assert!(waiting.iter().all(|call| !call.is_ready()));
    assert_eq!(d.release()?, 3);
    for call in waiting {
        assert_eq!(call.join(), Ok(()));
    }
    assert_eq!(d.forget(), Err(CallError::Unanswered));
    Ok(())
}

#[places::start]
fn a_client_that_vanishes_is_not_waited_for(_: Channel) -> places::Result {
    moody::named("moody").spawn()?;
    let c = MoodyClient::connect(&Node::this(), "moody")?;
    let others = (0..20).map(|_| caller::spawn()).collect::<Result<Vec<_>, _>>()?;
    others.iter().try_for_each(|other| other.put(false))?;
    while c.waiting()? < 20 {}
    others[1..].iter().for_each(|other| other.kill());
    while c.waiting()? > 1 {}
    assert_eq!(c.release()?, 1);
    assert_eq!(others[0].get()?, "Ok(())");
    Ok(())
}

#[places::start]
fn a_private_server_ends_with_its_clients(_: Channel) -> places::Result {
    let server = table::spawn()?;
    let monitor = places::monitor(server.id())?;
    let c = TableClient::from(server);
    let d = c.clone();
    c.set("a", 1)?;
    drop(c);
    assert_eq!(d.get("a")?, Some(1));
    drop(d);
    assert_eq!(monitor.wait(), ExitReason::Returned);
    Ok(())
}

#[places::start]
fn a_server_begins_as_it_says(_: Channel) -> places::Result {
    let c = ArgumentsClient::from(arguments::spawn_with(Options::new().args(["one", "two"]))?);
    assert_eq!(c.all()?, ["arguments", "one", "two"]);
    Ok(())
}

/// Starts a server again whenever it ends, three times.
#[places::start]
fn guardian(ch: Channel<(), u32>) -> places::Result {
    for life in 0..4 {
        let server = moody::named("moody").spawn()?;
        ch.put(life)?;
        server.wait();
        sync! { _ = after(Duration::from_millis(30)) => {} }
    }
    Ok(())
}

#[places::start]
fn a_client_finds_the_successor_where_it_asked_for_that(_: Channel) -> places::Result {
    let guardian = guardian::spawn()?;
    let c = MoodyClient::reconnecting(&Node::this(), "moody")?;
    let plain = MoodyClient::connect(&Node::this(), "moody")?;
    for _ in 0..3 {
        let under_way = c.never_async()?;
        assert_eq!(c.panic("again"), Err(CallError::Panicked("again".into())));
        assert_eq!(under_way.join(), Err(CallError::Lost(Error::Closed)));
        // Its first life counted; this is another.
        assert_eq!(c.count()?, 1);
        assert_eq!(c.count()?, 2);
    }
    assert_eq!(plain.count(), Err(CallError::Lost(Error::Closed)));
    assert_eq!(c.panic("for good"), Err(CallError::Panicked("for good".into())));
    assert_eq!(guardian.wait(), ExitReason::Returned);
    let start = Instant::now();
    assert!(matches!(c.within(Duration::from_millis(50)).count(), Err(CallError::Connect(Error::NotFound(_)))));
    assert!(start.elapsed() < Duration::from_secs(9));
    Ok(())
}

#[places::start]
fn a_keeper_has_the_state_of_every_answer(_: Channel) -> places::Result {
    let keeper = Keeper::spawn(counter_keeper::NAME)?;
    let mut expected = 0;
    for round in 0..5 {
        let server = keeper.start(counter_kept::named("counter"))?;
        let c = CounterClient::connect(&Node::this(), "counter")?;
        for _ in 0..20 {
            expected += 1;
            assert_eq!(c.next()?, expected);
        }
        match round % 2 {
            0 => server.kill(),
            _ => assert_eq!(c.panic(), Err(CallError::Panicked("as told".into()))),
        }
        server.wait();
    }
    // Without a keeper it begins anew.
    assert_eq!(CounterClient::from(counter::spawn()?).next()?, 1);
    Ok(())
}

#[places::start]
fn two_servers_that_call_each_other_are_both_answered(_: Channel) -> places::Result {
    let (_a, _b) = (patient::named("a").spawn()?, patient::named("b").spawn()?);
    let node = Node::this();
    let (a, b) = (PatientClient::connect(&node, "a")?, PatientClient::connect(&node, "b")?);
    a.know(node.lookup("b")?)?;
    b.know(node.lookup("a")?)?;
    assert_eq!(a.bounce(20)?, Ok(20));
    let calls = (0..50).map(|n| if n % 2 == 0 { a.bounce_async(n) } else { b.bounce_async(n) }).collect::<Result<Vec<_>, _>>()?;
    for (call, n) in calls.into_iter().zip(0..) {
        assert_eq!(call.join()?, Ok(n));
    }
    Ok(())
}

#[places::start]
fn a_handler_that_waits_stops_nobody(_: Channel) -> places::Result {
    let c = PatientClient::from(patient::spawn()?);
    let long = c.sleep_async(NEVER.as_millis() as u64)?;
    for _ in 0..1000 {
        assert_eq!(c.waiting()?, 1);
    }
    // A thousand wait at once, and are done when their time has come.
    let start = Instant::now();
    let calls = (0..1000).map(|_| c.sleep_async(20)).collect::<Result<Vec<_>, _>>()?;
    for call in calls {
        call.join()?;
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    // Those of a shorter time have their answers first.
    let (later, sooner) = (c.sleep_async(40)?, c.sleep_async(1)?);
    assert_eq!((sooner.join()?, later.join()?), (1000, 1001));
    assert!(!long.is_ready());
    Ok(())
}

/// Has a server wait for it.
#[places::start]
fn sleeper(ch: Channel<(), ()>) -> places::Result {
    let c = PatientClient::connect(&Node::this(), "patient")?;
    let call = c.sleep_async(NEVER.as_millis() as u64)?;
    ch.put(())?;
    call.join()?;
    Ok(())
}

#[places::start]
fn a_handler_that_nobody_waits_for_is_dropped(_: Channel) -> places::Result {
    patient::named("patient").spawn()?;
    let c = PatientClient::connect(&Node::this(), "patient")?;
    let long = c.sleep_async(NEVER.as_millis() as u64)?;
    let gone = sleeper::spawn()?;
    gone.get()?;
    let time = Duration::from_millis(20);
    assert_eq!(c.within(time).sleep(NEVER.as_millis() as u64), Err(CallError::TimedOut(time)));
    while c.waiting()? > 2 {}
    drop(long);
    while c.waiting()? > 1 {}
    gone.kill();
    while c.waiting()? > 0 {}
    assert_eq!(c.done()?, 0);
    // What was cast is done though its client has gone.
    let other = PatientClient::connect(&Node::this(), "patient")?;
    other.doze(20)?;
    while c.waiting()? == 0 {}
    drop(other);
    while c.waiting()? > 0 {}
    assert_eq!(c.done()?, 1);
    Ok(())
}

#[places::start]
fn a_handler_that_waited_and_panics_is_told_of(_: Channel) -> places::Result {
    let server = patient::named("patient").spawn()?;
    let c = PatientClient::connect(&Node::this(), "patient")?;
    let others = (0..10).map(|_| c.sleep_async(NEVER.as_millis() as u64)).collect::<Result<Vec<_>, _>>()?;
    assert_eq!(c.waiting()?, 10);
    assert_eq!(c.panic("it is too much"), Err(CallError::Panicked("it is too much".into())));
    for other in others {
        assert_eq!(other.join(), Err(CallError::Lost(Error::Closed)));
    }
    assert!(matches!(server.wait(), ExitReason::Trapped { .. }));
    Ok(())
}

#[places::start]
fn a_handler_that_waits_has_its_change_kept(_: Channel) -> places::Result {
    let keeper = Keeper::spawn(slow_keeper::NAME)?;
    for life in 0..3 {
        let server = keeper.start(slow_kept::named("slow"))?;
        let c = SlowClient::connect(&Node::this(), "slow")?;
        for n in 1..=5 {
            assert_eq!(c.next()?, life * 5 + n);
        }
        server.kill();
    }
    Ok(())
}

#[places::start]
fn a_call_of_a_cast_is_answered_with_null(_: Channel) -> places::Result {
    let raw = raw_of(log::spawn()?.into_channel());
    assert_eq!(raw.put_get(Value((1, "note", [7])))?.read::<(u64, u8, ())>()?, (1, 0, ()));
    let raw = raw_of(patient::spawn()?.into_channel());
    assert_eq!(raw.put_get(Value((1, "doze", [1])))?.read::<(u64, u8, ())>()?, (1, 0, ()));
    Ok(())
}

#[places::start]
fn a_server_without_its_keeper_ends(_: Channel) -> places::Result {
    let server = counter_kept::named("counter").spawn()?;
    let c = CounterClient::connect(&Node::this(), "counter")?;
    assert_eq!(c.next(), Err(CallError::Lost(Error::Closed)));
    let why = server.wait().to_string();
    assert!(why.contains("nobody gave `Counter` its keeper within 10s"), "{why}");
    Ok(())
}
