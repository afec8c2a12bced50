//! Supervisors: who is started again, when, where, and when that is enough. Each claim is a start function that panics where it is
//! wrong; `tests/supervision.rs` runs them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::{Duration, Instant};

use places::{Bytes, Channel, Error, ExitReason, Node, PlaceId, Router, after, exit, monitor, sync};
use places_supervision::{
    Answer, Child, Command, Failure, Handle, Kept, Report, Restart, RowState, Spec, Strategy, Supervisor, restart_every,
};

const SOON: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(3600);

/// Ends with the code that it is told, or well when the other end of its channel is gone. Every child of these tests is such a one,
/// unless it is said otherwise.
#[places::start]
fn told(ch: Channel<Channel<u8, ()>, ()>) -> places::Result {
    let orders = ch.get()?;
    sync! {
        code = orders.get() => exit(code?),
        _ = ch.get() => Ok(()),
    }
}

/// Ends with the code that is its argument.
#[places::start]
fn exits(_: Channel) -> places::Result {
    exit(std::env::args().nth(1).ok_or("which code?")?.parse()?)
}

/// Neither reads nor ends.
#[places::start]
fn deaf(_: Channel) {
    sync! { _ = after(LONG) => {} }
}

/// By which a test tells its children to end: the end of the channel to the one that there is now.
#[derive(Default)]
struct Orders(RefCell<HashMap<String, Channel<(), u8>>>);

impl Orders {
    /// A child that is told.
    fn child(&self, name: &'static str) -> Child<'_> {
        Child::by(name, move |options| {
            let place = told::spawn_with(options)?;
            let (ours, theirs) = Channel::pair()?;
            place.put(theirs)?;
            self.0.borrow_mut().insert(name.into(), ours);
            Ok(place)
        })
        .shutdown(LONG)
    }

    fn end(&self, name: &str, code: u8) -> Result<(), Error> {
        self.0.borrow()[name].put(code)
    }
}

/// Reports as words.
#[derive(Default)]
struct Said(RefCell<Vec<String>>);

impl Said {
    fn hear(&self, report: &Report) {
        self.0.borrow_mut().push(match report {
            Report::Started { child, .. } => format!("{child} starts"),
            Report::NotStarted { child, error } => format!("{child} does not start: {error}"),
            Report::Ended { child, reason } => format!("{child} {reason}"),
            Report::Restarting { child, .. } => format!("{child} again"),
            Report::Stopped { child, reason } => format!("{child} is stopped and {reason}"),
            Report::FinalFail { child } => format!("{child} no more"),
            Report::GivingUp(_) => "gives up".into(),
            other => format!("{other:?}"),
        });
    }

    fn take(&self) -> Vec<String> {
        self.0.take()
    }

    /// Waits until the last that was said is this.
    async fn until(&self, last: &str) -> Vec<String> {
        let begun = Instant::now();
        while self.0.borrow().last().is_none_or(|said| said != last) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{last}: {:?}", self.0);
            after(Duration::from_millis(1)).await;
        }
        self.take()
    }
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Runs a supervisor beside a test of it, until both have ended; how the supervisor did.
fn beside<'a: 'b, 'b>(supervisor: Supervisor<'a>, test: impl Future<Output = places::Result> + 'b) -> Result<(), Failure> {
    let ended = Cell::new(None);
    Router::<()>::run(|router| {
        router.spawn(async { ended.set(Some(supervisor.run_async().await)) });
        router.spawn(test);
    })
    .expect("the test succeeds");
    ended.take().expect("the supervisor has ended")
}

#[places::start]
fn one_for_one_starts_who_ended(_: Channel) -> places::Result {
    let (orders, said) = (Orders::default(), Said::default());
    let supervisor = Supervisor::new(Strategy::OneForOne).on_report(|report| said.hear(report));
    let supervisor = ["a", "b", "c"].into_iter().fold(supervisor, |supervisor, name| supervisor.child(orders.child(name)));
    let handle = supervisor.handle();
    let ended = beside(supervisor, async {
        assert_eq!(said.until("c starts").await, ["a starts", "b starts", "c starts"]);
        orders.end("b", 7)?;
        assert_eq!(said.until("b starts").await, ["b exited with code 7", "b again", "b starts"]);
        // A permanent one is started again even when it ended well.
        orders.end("a", 0)?;
        assert_eq!(said.until("a starts").await, ["a exited with code 0", "a again", "a starts"]);
        handle.stop();
        let stopped = ["c is stopped and returned", "b is stopped and returned", "a is stopped and returned"];
        assert_eq!(said.until(stopped[2]).await, stopped);
        Ok(())
    });
    assert_eq!(ended, Ok(()));
    Ok(())
}

#[places::start]
fn one_for_all_stops_all_in_reverse_and_starts_them_in_order(_: Channel) -> places::Result {
    let (orders, said) = (Orders::default(), Said::default());
    let supervisor = Supervisor::new(Strategy::OneForAll).on_report(|report| said.hear(report));
    let supervisor = ["a", "b", "c"].into_iter().fold(supervisor, |supervisor, name| supervisor.child(orders.child(name)));
    let handle = supervisor.handle();
    let ended = beside(supervisor, async {
        said.until("c starts").await;
        orders.end("b", 7)?;
        let expected = [
            "b exited with code 7",
            "c is stopped and returned",
            "a is stopped and returned",
            "b again",
            "a starts",
            "b starts",
            "c starts",
        ];
        assert_eq!(said.until("c starts").await, expected);
        handle.stop();
        Ok(())
    });
    assert_eq!(ended, Ok(()));
    Ok(())
}

#[places::start]
fn rest_for_one_stops_who_came_later(_: Channel) -> places::Result {
    let (orders, said) = (Orders::default(), Said::default());
    let supervisor = Supervisor::new(Strategy::RestForOne).on_report(|report| said.hear(report));
    let supervisor = ["a", "b", "c"].into_iter().fold(supervisor, |supervisor, name| supervisor.child(orders.child(name)));
    // Another temporary one: it is stopped with the others, and does not come back.
    let supervisor = supervisor.child(orders.child("d").restart(Restart::Temporary));
    let handle = supervisor.handle();
    let ended = beside(supervisor, async {
        said.until("d starts").await;
        orders.end("b", 7)?;
        let expected =
            ["b exited with code 7", "d is stopped and returned", "c is stopped and returned", "b again", "b starts", "c starts"];
        assert_eq!(said.until("c starts").await, expected);
        assert_eq!(handle.children().iter().map(|row| &*row.name).collect::<Vec<_>>(), ["a", "b", "c"]);
        handle.stop();
        Ok(())
    });
    assert_eq!(ended, Ok(()));
    Ok(())
}

#[places::start]
fn a_transient_child_that_returns_is_not_started_again(_: Channel) -> places::Result {
    let (orders, said) = (Orders::default(), Said::default());
    let supervisor = Supervisor::new(Strategy::OneForOne)
        .on_report(|report| said.hear(report))
        .child(orders.child("transient").restart(Restart::Transient))
        .child(orders.child("temporary").restart(Restart::Temporary));
    let ended = beside(supervisor, async {
        said.until("temporary starts").await;
        orders.end("transient", 1)?;
        assert_eq!(said.until("transient starts").await, ["transient exited with code 1", "transient again", "transient starts"]);
        orders.end("temporary", 1)?;
        assert_eq!(said.until("temporary exited with code 1").await, ["temporary exited with code 1"]);
        orders.end("transient", 0)?;
        // That was the last child, and so the supervisor ends.
        Ok(())
    });
    assert_eq!((ended, said.take()), (Ok(()), vec!["transient exited with code 0".to_owned()]));
    Ok(())
}

/// A child that ends with this code at once.
fn ending<'a>(name: &str, code: u8) -> Child<'a> {
    Child::new(name, exits::NAME).options(places::Options::new().args([code.to_string()]))
}

#[places::start]
fn restart_storms_stop_at_the_intensity(_: Channel) -> places::Result {
    let (orders, said, told) = (Orders::default(), Said::default(), RefCell::new(None));
    let supervisor = Supervisor::new(Strategy::OneForOne)
        .intensity(3, LONG)
        .on_report(|report| said.hear(report))
        .on_give_up(|why| drop(told.replace(Some(why.clone()))))
        .child(orders.child("good"))
        .child(ending("bad", 3));
    let Err(Failure::GaveUp(why)) = supervisor.run() else { panic!("it has given up") };
    assert_eq!((&*why.child, &*why.last, why.intensity.restarts), ("bad", "exited with code 3", 3));
    assert_eq!(Some(why), told.take());
    let said = said.take();
    assert_eq!(said.iter().filter(|said| *said == "bad starts").count(), 4);
    assert_eq!(said[said.len() - 3..], ["bad exited with code 3", "gives up", "good is stopped and returned"]);
    Ok(())
}

#[places::start]
fn what_cannot_be_started_counts_as_failed(_: Channel) -> places::Result {
    let supervisor = Supervisor::new(Strategy::OneForAll).intensity(2, LONG).child(Child::new("nobody", "no-such-start"));
    let text = supervisor.run().expect_err("it cannot be started").to_string();
    assert!(text.starts_with("the supervisor gave up: `nobody` could not be started: "), "{text}");
    assert!(text.contains("has no start function `no-such-start`") && text.ends_with("(restarts allowed within 3600s: 2)"), "{text}");
    let twice = Supervisor::new(Strategy::OneForAll).child(ending("a", 0)).child(ending("a", 0)).run();
    assert_eq!(twice, Err(Failure::TwoOfName("a".into())));
    Ok(())
}

#[places::start]
fn who_can_never_be_started_keeps_nobody_from_being_heard(_: Channel) -> places::Result {
    let (orders, said) = (Orders::default(), Said::default());
    let supervisor = Supervisor::new(Strategy::OneForOne).intensity(u32::MAX, Duration::ZERO).child(orders.child("good"));
    let supervisor = supervisor.child(Child::new("nobody", "no-such-start")).on_report(|report| {
        if !matches!(report, Report::NotStarted { .. } | Report::Restarting { .. }) {
            said.hear(report);
        }
    });
    let handle = supervisor.handle();
    let ended = beside(supervisor, async {
        said.until("good starts").await;
        orders.end("good", 1)?;
        assert_eq!(said.until("good starts").await, ["good exited with code 1", "good starts"]);
        handle.stop();
        Ok(())
    });
    assert_eq!((ended, said.take()), (Ok(()), vec!["good is stopped and returned".into()]));
    Ok(())
}

#[places::start]
fn back_off_waits_before_a_restart(_: Channel) -> places::Result {
    let (pauses, begun) = (RefCell::new(Vec::new()), Instant::now());
    let supervisor =
        Supervisor::new(Strategy::OneForOne).intensity(4, LONG).backoff(SOON, 3 * SOON).child(ending("bad", 1)).on_report(|report| {
            if let Report::Restarting { pause, .. } = report {
                pauses.borrow_mut().push(*pause);
            }
        });
    assert!(supervisor.run().is_err());
    assert_eq!(pauses.take(), [SOON, 2 * SOON, 3 * SOON, 3 * SOON]);
    assert!(begun.elapsed() >= 9 * SOON);
    Ok(())
}

#[places::start]
fn retry_is_one_start_and_so_many_restarts(_: Channel) -> places::Result {
    let (said, failed, begun) = (Said::default(), Cell::new(0), Instant::now());
    let child = ending("bad", 0).restart(restart_every(SOON).retry(3)).on_final_fail(|| failed.set(failed.get() + 1));
    // Its own measure is not the supervisor's.
    let supervisor = Supervisor::new(Strategy::OneForOne).intensity(0, LONG).on_report(|report| said.hear(report)).child(child);
    supervisor.run()?;
    let said = said.take();
    assert_eq!((failed.get(), said.iter().filter(|said| *said == "bad starts").count()), (1, 4));
    assert_eq!(said.last().map(String::as_str), Some("bad no more"));
    assert!(begun.elapsed() >= 3 * SOON);
    Ok(())
}

/// A supervisor whose child cannot live.
#[places::start]
fn hopeless(ch: Channel<Command, Answer>) -> places::Result {
    Ok(Supervisor::new(Strategy::OneForOne).intensity(1, LONG).child(ending("bad", 9)).serve(ch)?)
}

#[places::start]
fn who_gives_up_is_started_again_from_above_until_that_gives_up(_: Channel) -> places::Result {
    let said = Said::default();
    let supervisor = Supervisor::new(Strategy::OneForOne)
        .intensity(2, LONG)
        .on_report(|report| said.hear(report))
        .child(Child::new("team", hopeless::NAME));
    let Err(Failure::GaveUp(why)) = supervisor.run() else { panic!("it has given up") };
    assert_eq!(why.child, "team");
    assert_eq!(why.last, "failed: the supervisor gave up: `bad` exited with code 9 (restarts allowed within 3600s: 1)");
    assert_eq!(said.take().iter().filter(|said| *said == "team starts").count(), 3);
    Ok(())
}

#[places::start]
fn who_does_not_end_when_asked_is_killed(_: Channel) -> places::Result {
    let said = Said::default();
    let supervisor = Supervisor::new(Strategy::OneForOne)
        .on_report(|report| said.hear(report))
        .child(Child::new("deaf", deaf::NAME).shutdown(SOON))
        .child(Child::new("named", deaf::NAME).named().shutdown(LONG));
    let handle = supervisor.handle();
    let ended = beside(supervisor, async {
        said.until("named starts").await;
        handle.stop();
        Ok(())
    });
    assert_eq!((ended, said.take()), (Ok(()), vec!["named is stopped and was killed".into(), "deaf is stopped and was killed".into()]));
    Ok(())
}

/// Ends well when it is told to by a message.
#[places::start]
fn polite(ch: Channel<String, ()>) -> places::Result {
    let message = ch.get()?;
    if message == "please" { Ok(()) } else { Err(message.into()) }
}

#[places::start]
fn a_child_may_be_asked_by_a_message(_: Channel) -> places::Result {
    let said = Said::default();
    let child = Child::new("polite", polite::NAME).named().ask("please").shutdown(LONG);
    let supervisor = Supervisor::new(Strategy::OneForOne).on_report(|report| said.hear(report)).child(child);
    let handle = supervisor.handle();
    let ended = beside(supervisor, async {
        said.until("polite starts").await;
        handle.stop();
        Ok(())
    });
    assert_eq!((ended, said.take()), (Ok(()), vec!["polite is stopped and returned".into()]));
    Ok(())
}

#[places::start]
fn children_are_added_ended_and_listed(_: Channel) -> places::Result {
    let (orders, said) = (Orders::default(), Said::default());
    let supervisor = Supervisor::new(Strategy::OneForOne).stays().on_report(|report| said.hear(report));
    let handle: Handle<'_> = supervisor.handle();
    let ended = beside(supervisor, async {
        handle.add(orders.child("a"));
        handle.add(orders.child("b").restart(Restart::Transient));
        said.until("b starts").await;
        handle.terminate("a");
        handle.terminate("nobody");
        assert_eq!(said.until("a is stopped and returned").await.len(), 1);
        orders.end("b", 0)?;
        said.until("b exited with code 0").await;
        after(SOON).await;
        let rows = handle.children();
        assert_eq!((rows.len(), &*rows[0].name, &rows[0].state, rows[0].starts), (1, "b", &RowState::Ended, 1));
        // A name that is free again.
        handle.add(orders.child("a"));
        said.until("a starts").await;
        handle.stop();
        Ok(())
    });
    assert_eq!(ended, Ok(()));
    Ok(())
}

/// A supervisor without children, that is told of them.
#[places::start]
fn team(ch: Channel<Command, Answer>) -> places::Result {
    Ok(Supervisor::new(Strategy::OneForOne).serve(ch)?)
}

/// Answers a client, and ends badly at 13.
#[places::start]
fn fragile(ch: Channel<Channel<u32, u32>, ()>) -> places::Result {
    loop {
        let client = ch.get()?;
        while let Ok(number) = client.get() {
            assert_ne!(number, 13, "bad luck");
            client.put(number + 1)?;
        }
    }
}

#[places::start]
fn a_supervisor_elsewhere_obeys_commands(_: Channel) -> places::Result {
    let team = team::spawn()?;
    let spec = |name: &str| Spec { name: name.into(), start: fragile::NAME.into(), named: true, ..Spec::default() };
    assert_eq!(team.put_get(Command::Add(spec("fragile")))?, Answer::Done);
    assert!(matches!(team.put_get(Command::Add(spec("fragile")))?, Answer::Refused(_)));
    let listed = || -> Result<Vec<(RowState, u32)>, Error> {
        match team.put_get(Command::List)? {
            Answer::Children(rows) => Ok(rows.into_iter().map(|row| (row.state, row.starts)).collect()),
            other => panic!("{other:?}"),
        }
    };
    let place = |state: &RowState| if let RowState::Running { place, .. } = state { *place } else { panic!("{state:?}") };
    let [(first, 1)] = &listed()?[..] else { panic!("it has one child") };
    let client: Channel<u32, u32> = Node::this().lookup("fragile")?;
    assert_eq!((client.put_get(1)?, client.put_get(13)), (2, Err(Error::Closed)));
    let again = loop {
        match &listed()?[..] {
            [(state @ RowState::Running { .. }, 2)] => break place(state),
            _ => sync! { _ = after(Duration::from_millis(1)) => {} },
        }
    };
    assert_ne!(again, place(first));
    assert_eq!(Node::this().lookup::<u32, u32>("fragile")?.put_get(2)?, 3);
    assert_eq!(team.put_get(Command::Terminate("fragile".into()))?, Answer::Done);
    assert!(matches!(team.put_get(Command::Terminate("fragile".into()))?, Answer::Refused(_)));
    assert!(matches!(Node::this().lookup::<u32, u32>("fragile"), Err(Error::NotFound(_))));
    // It ends when its channel is closed, after its children.
    assert_eq!(team.put_get(Command::Add(spec("other")))?, Answer::Done);
    let Answer::Children(rows) = team.put_get(Command::List)? else { panic!("they are listed") };
    let other = monitor(place(&rows[0].state))?;
    team.close();
    assert_eq!((team.wait(), other.wait()), (ExitReason::Returned, ExitReason::Killed));
    Ok(())
}

/// Counts what it is asked, and ends badly at each third time.
#[places::start]
fn counter(ch: Channel<(Kept<u64>, Channel<u64, u64>), ()>) -> places::Result {
    let (Kept { last, keeper }, client) = ch.get()?;
    for count in last.unwrap_or(0) + 1.. {
        client.get()?;
        keeper.put(count)?;
        client.put(count)?;
        assert_ne!(count % 3, 0, "that was the third");
    }
    Ok(())
}

#[places::start]
fn what_a_child_keeps_its_successor_gets(_: Channel) -> places::Result {
    let (client, said) = (RefCell::new(None), Said::default());
    let child = Child::keeping("counter", |options, kept| {
        let place = counter::spawn_with(options)?;
        let (ours, theirs) = Channel::pair()?;
        place.put((kept, theirs))?;
        client.replace(Some(ours));
        Ok(place)
    });
    let supervisor = Supervisor::new(Strategy::OneForOne).child(child.shutdown(SOON)).on_report(|report| said.hear(report));
    let handle = supervisor.handle();
    let mut got = Vec::new();
    let ended = beside(supervisor, async {
        for _ in 0..3 {
            said.until("counter starts").await;
            let channel: Channel<u64, u64> = client.take().expect("it runs");
            while let Ok(count) = channel.put_get_async(0).await {
                got.push(count);
            }
        }
        said.until("counter starts").await;
        assert_eq!(got, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        handle.stop();
        Ok(())
    });
    assert_eq!(ended, Ok(()));
    Ok(())
}

/// Asks whoever has the name, until somebody answers.
fn ask_by_name(nodes: &[Node], name: &str) -> Result<PlaceId, Error> {
    loop {
        for node in nodes {
            if let Ok(client) = node.lookup::<PlaceId, Bytes>(name)
                && let Ok(place) = client.put_get(b"who are you?")
            {
                return Ok(place);
            }
        }
        sync! { _ = after(Duration::from_millis(1)) => {} }
    }
}

/// Tells whoever asks which place it is.
#[places::start]
fn says_who(ch: Channel<Channel<Bytes, PlaceId>, ()>) -> places::Result {
    loop {
        let client = ch.get()?;
        if client.get().is_ok() {
            client.put(places::this())?;
        }
    }
}

/// Keeps a named child on one of the nodes of its arguments.
#[places::start]
fn keeps_it_somewhere(ch: Channel<Command, Answer>) -> places::Result {
    let child = Child::new("somewhere", says_who::NAME).named().on(std::env::args().skip(1));
    Ok(Supervisor::new(Strategy::OneForOne).intensity(20, Duration::from_secs(1)).child(child).serve(ch)?)
}

/// Its arguments are the addresses of two nodes. Tells which of them has the child whenever it is told to look.
#[places::start]
fn follows_a_child_from_node_to_node(ch: Channel<(), usize>) -> places::Result {
    let addresses: Vec<_> = std::env::args().skip(1).collect();
    let nodes = addresses.iter().map(|address| Node::connect(address)).collect::<Result<Vec<_>, _>>()?;
    let _keeper = keeps_it_somewhere::spawn_with(places::Options::new().args(addresses))?;
    let mut before = None;
    loop {
        let place = ask_by_name(&nodes, "somewhere")?;
        if before.replace(place) != Some(place) {
            ch.put(nodes.iter().position(|node| node.id() == place.node).ok_or("it is elsewhere")?)?;
            if ch.get().is_err() {
                return Ok(());
            }
        }
    }
}

/// Its arguments are the addresses of two nodes, of which the first ends on the way.
#[places::start]
fn a_child_of_a_lost_node_goes_to_the_next(_: Channel) -> places::Result {
    let addresses: Vec<_> = std::env::args().skip(1).collect();
    let nodes = addresses.iter().map(|address| Node::connect(address)).collect::<Result<Vec<_>, _>>()?;
    let said = Said::default();
    let places = RefCell::new(Vec::new());
    let child = Child::new("somewhere", says_who::NAME).named().on(&nodes);
    let supervisor = Supervisor::new(Strategy::OneForOne).child(child).on_report(|report| {
        said.hear(report);
        if let Report::Started { place, .. } = report {
            places.borrow_mut().push(*place);
        }
    });
    let handle = supervisor.handle();
    let ended = beside(supervisor, async {
        said.until("somewhere starts").await;
        assert_eq!(places.borrow()[0].node, nodes[0].id());
        nodes[0].exit()?;
        let said = said.until("somewhere starts").await;
        // A node that stops kills its places first, and takes no more; whether that or its loss is heard of first is open.
        assert!(["somewhere was lost with its node", "somewhere was killed"].contains(&&*said[0]), "{said:?}");
        assert_eq!(said[1..], ["somewhere again", "somewhere starts"]);
        assert_eq!((places.borrow()[1].node, ask_by_name(&nodes[1..], "somewhere")?), (nodes[1].id(), places.borrow()[1]));
        handle.stop();
        Ok(())
    });
    assert_eq!(ended, Ok(()));
    Ok(())
}

/// Its arguments are addresses of which nobody listens at the first.
#[places::start]
fn a_node_that_cannot_be_reached_is_passed_over(_: Channel) -> places::Result {
    let addresses: Vec<_> = std::env::args().skip(1).collect();
    let at = RefCell::new(Vec::new());
    let child = ending("once", 0).restart(Restart::Temporary).on(addresses.clone());
    let supervisor = Supervisor::new(Strategy::OneForOne).child(child).on_report(|report| {
        if let Report::Started { node, .. } = report {
            at.borrow_mut().push(node.clone());
        }
    });
    supervisor.run()?;
    assert_eq!(at.take(), [Node::connect(&addresses[1])?.name()]);
    // Where nobody listens anywhere it says so, and gives up in the end.
    let nowhere = ending("nowhere", 0).on([addresses[0].clone()]);
    let text = Supervisor::new(Strategy::OneForOne).intensity(0, LONG).child(nowhere).run().expect_err("there is no node").to_string();
    assert!(text.contains("`nowhere` could not be started: ") && text.contains(&addresses[0]), "{text}");
    Ok(())
}

/// Its argument is an address from which nothing ever comes.
#[places::start]
fn others_are_served_while_a_node_is_dialled(_: Channel) -> places::Result {
    let silent = std::env::args().nth(1).ok_or("which address?")?;
    let (orders, said) = (Orders::default(), Said::default());
    let supervisor = Supervisor::new(Strategy::OneForOne)
        .child(ending("far", 0).on([silent]))
        .child(orders.child("here"))
        .on_report(|report| said.hear(report));
    let handle = supervisor.handle();
    let ended = beside(supervisor, async {
        // Had the dial come to its end, this would hear of it.
        assert_eq!(said.until("here starts").await, ["here starts"]);
        orders.end("here", 7)?;
        assert_eq!(said.until("here starts").await, ["here exited with code 7", "here again", "here starts"]);
        handle.add(orders.child("late"));
        assert_eq!(said.until("late starts").await, ["late starts"]);
        let states = handle.children().into_iter().map(|row| (row.name, matches!(row.state, RowState::Running { .. }), row.starts));
        let expected = [("far", false, 1), ("here", true, 2), ("late", true, 1)];
        assert_eq!(states.collect::<Vec<_>>(), expected.map(|(name, runs, starts)| (name.to_owned(), runs, starts)));
        handle.stop();
        let stopped = ["late is stopped and returned", "here is stopped and returned"];
        assert_eq!(said.until(stopped[1]).await, stopped);
        Ok(())
    });
    assert_eq!(ended, Ok(()));
    Ok(())
}

/// As before, where those who come later rely on who comes first.
#[places::start]
fn who_relies_on_one_that_is_dialled_for_waits(_: Channel) -> places::Result {
    let silent = std::env::args().nth(1).ok_or("which address?")?;
    let (orders, said) = (Orders::default(), Said::default());
    let supervisor = Supervisor::new(Strategy::RestForOne)
        .intensity(0, LONG)
        .child(orders.child("first"))
        .child(ending("far", 0).on([silent]))
        .child(orders.child("last"))
        .on_report(|report| said.hear(report));
    let text = supervisor.run().expect_err("nothing comes from there").to_string();
    assert!(text.contains("`far` could not be started: "), "{text}");
    let said = said.take();
    assert!(said[0] == "first starts" && said[1].starts_with("far does not start: "), "{said:?}");
    assert_eq!(said[2..], ["gives up", "first is stopped and returned"]);
    Ok(())
}

/// Watches a place by many monitors; says when it does, and then how the place ended.
#[places::start]
fn watches(ch: Channel<PlaceId, Option<String>>) -> places::Result {
    let place = ch.get()?;
    let monitors = (0..5).map(|_| monitor(place)).collect::<Result<Vec<_>, _>>()?;
    ch.put(None)?;
    let reasons: Vec<_> = monitors.iter().map(|monitor| monitor.wait().to_string()).collect();
    assert!(reasons.iter().all(|reason| *reason == reasons[0]), "{reasons:?}");
    Ok(ch.put(Some(reasons[0].clone()))?)
}

/// Its argument is the address of a node.
#[places::start]
fn a_thousand_who_watch_a_place_elsewhere_are_each_told(_: Channel) -> places::Result {
    let node = Node::connect(&std::env::args().nth(1).ok_or("which node?")?)?;
    let watched = deaf::at(&node).spawn()?;
    let watchers = (0..200).map(|_| watches::spawn()).collect::<Result<Vec<_>, _>>()?;
    for watcher in &watchers {
        watcher.put(watched.id())?;
    }
    for watcher in &watchers {
        assert_eq!(watcher.get()?, None);
    }
    watched.kill();
    for watcher in &watchers {
        assert_eq!((watcher.get()?.as_deref(), watcher.get()), (Some("was killed"), Err(Error::Closed)));
    }
    assert!(matches!(monitor(watched.id()), Err(Error::NotFound(_))));
    Ok(())
}

/// Starts a thousand that are linked to it, says which, and goes wrong when it is told to.
#[places::start]
fn has_a_thousand_links(ch: Channel<(), Vec<PlaceId>>) -> places::Result {
    let node = Node::connect(&std::env::args().nth(1).ok_or("which node?")?)?;
    let linked = (0..1000).map(|_| deaf::at(&node).link().spawn()).collect::<Result<Vec<_>, _>>()?;
    ch.put(linked.iter().map(|place| place.id()).collect::<Vec<_>>())?;
    ch.get()?;
    Err("no luck today".into())
}

/// Its argument is the address of a node.
#[places::start]
fn a_death_that_hits_a_thousand_links_ends_each(_: Channel) -> places::Result {
    let address = std::env::args().nth(1).ok_or("which node?")?;
    let hub = has_a_thousand_links::spawn_with(places::Options::new().args([address]))?;
    let linked = hub.get()?.into_iter().map(monitor).collect::<Result<Vec<_>, _>>()?;
    hub.put(())?;
    assert_eq!(hub.wait(), ExitReason::Failed("no luck today".into()));
    for place in linked {
        let why = place.wait();
        assert!(matches!(why, ExitReason::Killed | ExitReason::Linked(_)), "{why}");
    }
    Ok(())
}
