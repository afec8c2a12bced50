//! Futures over events, and the router: several things that wait at once in one place. Each claim is a start function that panics where
//! it is wrong; `tests/supervision.rs` runs them.

use std::cell::{Cell, RefCell};
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use places::{Bytes, Channel, Either, Entry, Error, ExitReason, Node, Router, Selector, after, exit, monitor, ready, sync, task};
use wasip2::clocks::monotonic_clock::subscribe_duration;

/// Never reached where the right event comes.
const NEVER: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(10);

/// Answers with what it got until the other end is gone.
#[places::start]
fn echo(ch: Channel<u32, u32>) -> places::Result {
    for message in ch.iter() {
        ch.put(message?)?;
    }
    Ok(())
}

/// Answers each message twice as late as the one before it.
#[places::start]
fn late(ch: Channel<u32, u32>) -> places::Result {
    let mut delay = SOON;
    for message in ch.iter() {
        sync! { _ = after(delay) => ch.put(message?)? }
        delay *= 2;
    }
    Ok(())
}

/// Reads what it is sent when it is told to: everything after the first message is raw.
#[places::start]
fn reads_late(ch: Channel<Channel<(), ()>, u32>) -> places::Result {
    ch.get()?.get()?;
    let (ch, mut count) = (ch.typed::<Bytes, u32>(), 0);
    while ch.get().is_ok() {
        count += 1;
    }
    Ok(ch.put(count)?)
}

/// Ends as it is told.
#[places::start]
fn exits(ch: Channel<u8, ()>) -> places::Result {
    exit(ch.get()?)
}

#[places::start]
fn every_event_can_be_awaited(_: Channel) -> places::Result {
    let (p, q) = (echo::spawn()?, exits::spawn()?);
    let watched = monitor(q.id())?;
    let (one, other) = Channel::pair::<u32, u32>()?;
    task::block_on(async {
        assert_eq!(p.put_get_async(7).await?, 7);
        one.put(3)?;
        other.readable().await;
        // It has taken nothing.
        assert_eq!((other.pending(), other.message().await?), (1, 3));
        q.put(5)?;
        assert_eq!(q.exited().await, ExitReason::Exited(5));
        assert_eq!(watched.ended().await, ExitReason::Exited(5));
        assert_eq!(q.message().await, Err(Error::Closed));
        let start = Instant::now();
        after(SOON).await;
        assert!(start.elapsed() >= SOON);
        let lost = task::race(Node::this().lost(), after(SOON)).await;
        assert_eq!(lost, Either::Right(()));
        ready(&q.subscribe_exit()).await;
        drop(one);
        other.readable().await;
        assert_eq!(other.message().await, Err(Error::Closed));
        Ok(())
    })
}

#[places::start]
fn futures_that_wait_go_on_together(_: Channel) -> places::Result {
    let places = (0..50).map(|_| late::spawn()).collect::<Result<Vec<_>, _>>()?;
    let start = Instant::now();
    let answers = task::block_on(task::join_all(places.iter().map(|place| place.put_get_async(1))));
    assert!(answers.into_iter().all(|answer| answer == Ok(1)));
    // One after the other they would take at least this.
    assert!(start.elapsed() < 50 * SOON, "{:?}", start.elapsed());
    let silent = echo::spawn()?;
    assert_eq!(task::block_on(task::within(SOON, silent.message())), None);
    Ok(())
}

/// More than are named to the host one by one.
const MANY: u32 = 100;

#[places::start]
fn of_many_that_wait_each_gets_what_is_its_own(_: Channel) -> places::Result {
    let pairs = (0..10 * MANY).map(|_| Channel::pair::<u32, u32>()).collect::<Result<Vec<_>, _>>()?;
    let clock = subscribe_duration(SOON.as_nanos() as u64);
    let (sum, exits) = (Cell::new(0), exits::spawn()?);
    Router::<()>::run(|router| {
        for (n, (here, _)) in (0..).zip(&pairs) {
            let sum = &sum;
            router.spawn(async move {
                for round in 0..3 {
                    assert_eq!(here.message().await, Ok(n + round));
                }
                sum.set(sum.get() + 1);
            });
        }
        // When all of them wait, what is WASI's, a timer and the end of a place are told of beside them.
        router.on(ready(&clock), |()| {
            (0..).zip(&pairs).try_for_each(|(n, (_, there))| there.put_many([n, n + 1]))?;
            router.after(SOON, || Ok(exits.put(3)?));
            router.on(exits.exited(), |why| {
                assert_eq!((why, sum.get()), (ExitReason::Exited(3), 0));
                Ok((0..).zip(&pairs).try_for_each(|(n, (_, there))| there.put(n + 2))?)
            });
            Ok(())
        });
    })?;
    assert_eq!(sum.get(), 10 * MANY);
    Ok(())
}

#[places::start]
fn an_end_that_a_future_waited_at_closes_when_both_are_dropped(_: Channel) -> places::Result {
    let mut pairs = (0..MANY).map(|_| Channel::pair::<u32, u32>()).collect::<Result<Vec<_>, _>>()?;
    let (here, there): (Vec<_>, Vec<_>) = pairs.drain(..).unzip();
    let mut waits: Vec<_> = here.iter().map(|here| here.message().into_future()).collect();
    for wait in &mut waits {
        assert!(pin!(wait).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    task::block_on(after(SOON));
    assert!(there.iter().all(|there| there.try_get() == Err(Error::WouldBlock)));
    drop(waits);
    drop(here);
    assert!(there.iter().all(|there| there.try_get() == Err(Error::Closed)));
    Ok(())
}

#[places::start]
fn a_call_that_stops_the_place_gets_what_a_future_waits_for_too(_: Channel) -> places::Result {
    let places = (0..MANY).map(|_| echo::spawn()).collect::<Result<Vec<_>, _>>()?;
    let ended = Router::run(|router| {
        for place in &places {
            router.on(place.message(), |_| Err("nobody asked for that".into()));
        }
        router.after(SOON, || {
            for (place, n) in places.iter().zip(0..) {
                // All of them are waited at, and this waits too.
                assert_eq!(place.put_get(n)?, n);
                place.put(n + 1)?;
                sync! { answer = place.get() => assert_eq!(answer?, n + 1) }
            }
            router.stop(());
            Ok(())
        });
    });
    assert_eq!(ended?, Some(()));
    Ok(())
}

#[places::start]
fn of_many_that_wait_at_one_channel_each_message_is_ones(_: Channel) -> places::Result {
    let (one, other) = Channel::pair::<u32, u32>()?;
    let counts: Vec<_> = (0..MANY).map(|_| Cell::new(0)).collect();
    let ended = Router::run(|router| {
        for count in &counts {
            router.each(&other, |message| {
                count.set(count.get() + 1);
                if message? == 10 * MANY {
                    router.stop(());
                }
                Ok(())
            });
        }
        router.spawn(async {
            for n in 1..=10 * MANY {
                one.put_async(n).await?;
                if n % 7 == 0 {
                    after(Duration::ZERO).await;
                }
            }
            Ok(())
        });
    });
    assert_eq!(ended?, Some(()));
    assert_eq!(counts.iter().map(Cell::get).sum::<u32>(), 10 * MANY);
    Ok(())
}

#[places::start]
fn waits_outlive_the_selector_that_looks_after_them(_: Channel) -> places::Result {
    let pairs = (0..MANY).map(|_| Channel::pair::<u32, u32>()).collect::<Result<Vec<_>, _>>()?;
    let clock = subscribe_duration(SOON.as_nanos() as u64);
    let ticked = Arc::new(Ticked(AtomicBool::new(false)));
    let mut ticks = ready(&clock).into_future();
    assert!(pin!(&mut ticks).poll(&mut Context::from_waker(&Waker::from(Arc::clone(&ticked)))).is_pending());
    let mut waits: Vec<_> = pairs.iter().map(|(here, _)| here.message().into_future()).collect();
    for wait in &mut waits {
        assert!(pin!(wait).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let (ask, asked) = Channel::pair::<u32, u32>()?;
    let mut selector = Selector::new();
    selector.add("asked", asked)?;
    // What is WASI's wakes it as well.
    while !ticked.0.load(Ordering::Relaxed) {
        assert!(selector.wait_or_wake(64, None)?.is_empty());
    }
    // Those of one home, in turn: the selector's, the futures' own, the selector's.
    pairs[0].1.put(0)?;
    assert_eq!(task::block_on(waits.remove(0)), Ok(0));
    ask.put(1)?;
    assert_eq!(selector.wait_or_wake(64, None)?.len(), 1);
    drop(selector);
    assert_eq!(ask.get(), Err(Error::Closed));
    (1..).zip(&pairs[1..]).try_for_each(|(n, (_, there))| there.put(n))?;
    let got = task::block_on(task::join_all(waits)).into_iter().collect::<Result<Vec<_>, _>>()?;
    assert_eq!(got, (1..MANY).collect::<Vec<_>>());
    Ok(())
}

struct Ticked(AtomicBool);

impl Wake for Ticked {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits more often than it may register, and hears of what comes at the last.
#[places::start]
fn waits_often(ch: Channel<u32, u32>) -> places::Result {
    let (one, other) = Channel::pair::<u32, u32>()?;
    let mut waits: Vec<_> = (0..ch.get()?).map(|_| one.message().into_future()).collect();
    for wait in &mut waits {
        assert!(pin!(wait).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    task::block_on(after(SOON));
    // The host has no more room for it either.
    other.put(7)?;
    let last = waits.pop().ok_or("there is none")?;
    drop(waits);
    Ok(ch.put(task::block_on(last)?)?)
}

#[places::start]
fn a_place_that_may_register_no_more_waits_all_the_same(_: Channel) -> places::Result {
    assert_eq!(waits_often::spawn_with(places::Options::new().memory(8 << 20))?.put_get(17_000)?, 7);
    Ok(())
}

#[places::start]
fn of_futures_that_are_joined_only_those_go_on_that_can(_: Channel) -> places::Result {
    let pairs = (0..MANY).map(|_| Channel::pair::<u32, u32>()).collect::<Result<Vec<_>, _>>()?;
    let polls = Cell::new(0);
    let messages = pairs.iter().map(|(here, _)| {
        let (mut message, polls) = (here.message().into_future(), &polls);
        poll_fn(move |cx| {
            polls.set(polls.get() + 1);
            pin!(&mut message).poll(cx)
        })
    });
    let answers = Cell::new(Vec::new());
    Router::<()>::run(|router| {
        router.spawn(async { answers.set(task::join_all(messages).await) });
        router.spawn(async {
            for (n, (_, there)) in (0..).zip(&pairs) {
                after(Duration::from_micros(10)).await;
                there.put(n)?;
            }
            Ok(())
        });
    })?;
    assert!(answers.take().into_iter().eq((0..MANY).map(Ok)));
    // To begin with, and when its message has come.
    assert_eq!(polls.get(), 2 * MANY);
    Ok(())
}

#[places::start]
fn a_wait_that_is_dropped_loses_no_message(_: Channel) -> places::Result {
    let (one, other) = Channel::pair::<u32, u32>()?;
    let mut got = 0;
    for n in 0..1000 {
        let taken = task::block_on(async {
            let mut waits = pin!(other.message().into_future());
            // It waits, and then there is a message before the other branch is done.
            let pending = waits.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(pending.is_pending());
            one.put(n).expect("it is open");
            after(Duration::ZERO).await;
            task::race(std::future::ready(()), waits).await
        });
        match taken {
            Either::Left(()) => assert_eq!(other.try_get()?, n),
            Either::Right(message) => assert_eq!(message?, n),
        }
        got += 1;
    }
    assert_eq!(got, 1000);
    Ok(())
}

#[places::start]
fn putting_waits_for_room_and_others_go_on(_: Channel) -> places::Result {
    let reader = reads_late::spawn_with(places::Options::new().capacity(2))?;
    let (tell, told) = Channel::pair::<(), ()>()?;
    reader.put(told)?;
    let reader = reader.typed::<u32, Bytes>();
    let ticks = Cell::new(0);
    // Of very different sizes, so that room for one is none for another.
    let sizes = [1, 6 << 20, 1, 7 << 20, 4 << 20, 9 << 20, 1, 1, 1];
    task::block_on(async {
        let puts = async {
            for size in sizes {
                reader.put_async(vec![0; size]).await?;
            }
            Ok::<_, Error>(())
        };
        let clock = async {
            loop {
                after(Duration::from_millis(1)).await;
                ticks.set(ticks.get() + 1);
                if ticks.get() == 3 {
                    tell.put(())?;
                }
            }
        };
        match task::race(puts, clock).await {
            Either::Left(result) => result,
            Either::Right(never) => never,
        }
    })?;
    assert!(ticks.get() > 2, "{} ticks", ticks.get());
    reader.close();
    assert_eq!(reader.get()? as usize, sizes.len());
    assert_eq!(task::block_on(reader.put_async(vec![1])), Err(Error::Closed));
    Ok(())
}

#[places::start]
fn a_busy_channel_leaves_turns_to_timers_and_others(_: Channel) -> places::Result {
    let (flood, drain) = Channel::pair::<u32, u32>()?;
    let (ask, asked) = Channel::pair::<u32, u32>()?;
    flood.put(0)?;
    let (taken, mut heard) = (Cell::new(0_u32), 0);
    let ended = Router::run(|router| {
        // There is always a message: who takes one puts the next.
        router.each(&drain, |message| {
            taken.set(taken.get() + 1);
            Ok(flood.put(message?.wrapping_add(1))?)
        });
        router.every(Duration::from_millis(1), || Ok(ask.put(1)?));
        router.each(&asked, move |message| {
            heard += message.expect("it is open");
            if heard == 5 {
                router.stop(heard);
            }
        });
    });
    assert_eq!(ended?, Some(5));
    assert!(taken.get() > 100, "{} messages", taken.get());
    Ok(())
}

#[places::start]
fn a_handler_that_waits_does_not_stop_the_others(_: Channel) -> places::Result {
    let (slow, quick) = (late::spawn()?, echo::spawn()?);
    let said = RefCell::new(Vec::new());
    let say = |what: &str| said.borrow_mut().push(what.to_owned());
    let ended = Router::run(|router| {
        router.spawn(async {
            say("asks the slow one");
            slow.put_get_async(1).await?;
            slow.put_get_async(1).await?;
            say("the slow one has answered");
            router.stop(said.borrow().len());
            Ok(())
        });
        router.spawn(async {
            say("asks the quick one");
            quick.put_get_async(1).await?;
            say("the quick one has answered");
            Ok(())
        });
    });
    assert_eq!(ended?, Some(4));
    let expected = ["asks the slow one", "asks the quick one", "the quick one has answered", "the slow one has answered"];
    assert_eq!(*said.borrow(), expected);
    Ok(())
}

#[places::start]
fn handlers_of_all_kinds_are_called(_: Channel) -> places::Result {
    let (p, q) = (exits::spawn()?, exits::spawn()?);
    let watched = monitor(q.id())?;
    let (one, other) = Channel::pair::<u32, u32>()?;
    let said = RefCell::new(Vec::new());
    let say = |what: String| said.borrow_mut().push(what);
    let ended = Router::run(|router| {
        router.each(other, |message| say(format!("{message:?}")));
        router.on(p.exited(), |why| {
            say(why.to_string());
            one.put(1)?;
            Ok(())
        });
        router.on(watched.ended(), async |why: ExitReason| {
            say(why.to_string());
            one.put(2)?;
            after(SOON).await;
            router.stop("stopped");
            Ok(())
        });
        router.after(SOON, || Ok(p.put(1)?));
        router.after(3 * SOON, || q.put(2).expect("it waits"));
    });
    assert_eq!(ended?, Some("stopped"));
    assert_eq!(*said.borrow(), ["exited with code 1", "Ok(1)", "exited with code 2", "Ok(2)"]);
    Ok(())
}

#[places::start]
fn every_begins_at_once_and_makes_up_for_nothing(_: Channel) -> places::Result {
    let (start, times) = (Instant::now(), RefCell::new(Vec::new()));
    Router::run(|router| {
        router.every(2 * SOON, async || {
            times.borrow_mut().push(start.elapsed());
            let count = times.borrow().len();
            if count == 4 {
                router.stop(());
            }
            // The second takes longer than the period: the third begins when it is done, and the fourth a period after that.
            if count == 2 {
                after(5 * SOON).await;
            }
        });
    })?;
    let times = times.borrow();
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[0] >= 2 * SOON && gaps[1] >= 5 * SOON && gaps[2] >= 2 * SOON, "{gaps:?}");
    Ok(())
}

#[places::start]
fn timers_fire_in_the_order_of_their_times(_: Channel) -> places::Result {
    let order = RefCell::new(Vec::new());
    let ended = Router::<()>::run(|router| {
        for (name, time) in [("c", 30), ("a", 10), ("d", 30), ("b", 20)] {
            let order = &order;
            router.after(Duration::from_millis(time), move || order.borrow_mut().push(name));
        }
    });
    // Nothing was left.
    assert_eq!(ended?, None);
    // Those of one time began to wait one after the other, and each counts from there.
    assert_eq!(*order.borrow(), ["a", "b", "c", "d"]);
    Ok(())
}

#[places::start]
fn handlers_come_and_go(_: Channel) -> places::Result {
    let (one, other) = Channel::pair::<u32, u32>()?;
    let (sum, count) = (Cell::new(0), Cell::new(0));
    let ended = Router::<()>::run(|router| {
        let never = router.after(NEVER, || Err("it was removed".into()));
        let adds = router.each(other, |message| sum.set(sum.get() + message.expect("it is open")));
        let ticking = Rc::new(Cell::new(None::<Entry<'_, ()>>));
        let tick = router.every(Duration::from_millis(1), {
            let (ticking, count) = (Rc::clone(&ticking), &count);
            move || {
                count.set(count.get() + 1);
                if count.get() == 3 {
                    // Itself.
                    ticking.take().expect("it is there").remove();
                }
            }
        });
        ticking.set(Some(tick));
        router.after(3 * SOON, move || {
            never.remove();
            adds.remove();
            adds.remove();
            router.after(SOON, || {});
        });
        Ok(one.put(1)?)
    });
    assert_eq!(ended?, None);
    assert_eq!((sum.get(), count.get()), (1, 3));
    // What it had is given back: the other end is closed.
    assert_eq!(one.get(), Err(Error::Closed));
    Ok(())
}

#[places::start]
fn an_error_of_a_handler_ends_the_loop(_: Channel) -> places::Result {
    let ended = Router::<()>::run(|router| {
        router.after(NEVER, || Err("the loop has ended".into()));
        router.spawn(async {
            after(SOON).await;
            Err("no luck today".into())
        });
    });
    assert_eq!(ended.expect_err("a handler failed").to_string(), "no luck today");
    Ok(())
}

#[places::start]
fn what_could_never_end_panics(_: Channel) -> places::Result {
    let why = never::spawn()?.wait();
    let said = matches!(&why, ExitReason::Trapped { message, .. } if message.contains("a future waits for nothing that could come"));
    assert!(said, "{why:?}");
    Ok(())
}

#[places::start]
fn never(_: Channel) {
    task::block_on(std::future::pending::<()>());
}

#[places::start]
fn a_future_may_block_on_another(_: Channel) -> places::Result {
    let (p, ticks) = (late::spawn()?, Cell::new(0));
    Router::run(|router| {
        router.every(Duration::from_millis(1), || ticks.set(ticks.get() + 1));
        router.after(SOON, || {
            assert_eq!(task::block_on(p.put_get_async(4)), Ok(4));
            router.stop(());
        });
    })?;
    assert!(ticks.get() > 0);
    Ok(())
}
