//! How places elsewhere end, and who is told.

use super::*;

#[places::start]
fn fails(_: Channel) -> places::Result {
    Err("no luck today".into())
}

#[inline(never)]
fn the_culprit(number: u32) {
    assert!(number > 9, "{number} is too small");
}

#[places::start]
fn panics(_: Channel) {
    the_culprit(std::hint::black_box(3));
}

#[places::start]
fn spins(_: Channel) {
    loop {
        std::hint::black_box(0);
    }
}

#[places::start]
fn eats(_: Channel) {
    let mut all = Vec::new();
    loop {
        all.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

#[places::start]
fn every_reason_is_told_as_it_is_here(_: Channel) -> places::Result {
    let [a] = nodes()?;
    for code in [0, 7, 255] {
        let p = exits::at(&a).spawn()?;
        p.put(code)?;
        assert_eq!(p.wait(), ExitReason::Exited(code));
        assert_eq!(p.wait(), ExitReason::Exited(code));
    }
    assert_eq!(fails::at(&a).spawn()?.wait(), ExitReason::Failed("no luck today".into()));
    match panics::at(&a).spawn()?.wait() {
        ExitReason::Trapped { message, backtrace } => {
            assert!(message.contains("3 is too small"), "{message}");
            assert!(backtrace.contains("the_culprit"), "{backtrace}");
        }
        other => panic!("{other:?}"),
    }
    let over = |why: ExitReason| matches!(why, ExitReason::Limit(_));
    assert!(over(spins::at(&a).deadline(Duration::from_millis(50)).spawn()?.wait()));
    // Where the host says which limit it was, or the guest's own allocator gives up, depends on who notices first, here and there.
    assert_eq!(
        eats::at(&a).memory(4 << 20).spawn()?.wait().to_string(),
        eats::spawn_with(Options::new().memory(4 << 20))?.wait().to_string()
    );
    let p = spins::at(&a).spawn()?;
    p.kill();
    assert_eq!(p.wait(), ExitReason::Killed);
    p.kill();
    Ok(())
}

#[places::start]
fn a_place_elsewhere_is_killed_whatever_it_does(_: Channel) -> places::Result {
    let [a] = nodes()?;
    let (p, q) = (reads_nothing::at(&a).spawn()?, spins::at(&a).spawn()?);
    let watched = [monitor(p.id())?, monitor(q.id())?];
    p.kill();
    q.kill();
    assert_eq!((p.wait(), q.wait()), (ExitReason::Killed, ExitReason::Killed));
    assert_eq!((watched[0].wait(), watched[1].wait()), (ExitReason::Killed, ExitReason::Killed));
    assert_eq!((p.get(), q.get()), (Err(Error::Closed), Err(Error::Closed)));
    // One that has ended keeps its reason.
    let p = exits::at(&a).spawn()?;
    p.put(5)?;
    p.wait();
    p.kill();
    assert_eq!(p.wait(), ExitReason::Exited(5));
    Ok(())
}

/// Watches a place by its id, and says how it ended.
#[places::start]
fn watches(ch: Channel<(String, PlaceId), String>) -> places::Result {
    let (address, id) = ch.get()?;
    let _node = Node::connect(&address)?;
    let watched = monitor(id)?;
    ch.put("watching")?;
    Ok(ch.put(watched.wait().to_string())?)
}

#[places::start]
fn a_place_elsewhere_is_watched_from_everywhere(_: Channel) -> places::Result {
    let [a, b] = nodes()?;
    let address = a.address().expect("it is another node");
    let p = exits::at(&a).spawn()?;
    let watchers = [watches::spawn()?, watches::at(&a).spawn()?, watches::at(&b).spawn()?];
    for watcher in &watchers {
        assert_eq!(watcher.put_get((address.clone(), p.id()))?, "watching");
    }
    p.put(6)?;
    for watcher in &watchers {
        assert_eq!(watcher.get()?, "exited with code 6");
    }
    p.wait();
    not_found(monitor(p.id()), "there is no place");
    let PlaceId { node, seq } = p.id();
    not_found(monitor(PlaceId { node, seq: u64::MAX }), "there is no place");
    not_found(monitor(PlaceId { node: NodeId(!node.0), seq }), "");
    Ok(())
}

/// Starts a place that it is linked with on a node, perhaps detached, and tells its id; lets it end with one code, or ends with the
/// other.
#[places::start]
fn is_linked(ch: Channel<(String, bool, Option<u8>, Option<u8>), PlaceId>) -> places::Result {
    let (address, detached, theirs, own) = ch.get()?;
    let node = Node::connect(&address)?;
    if let Some(code) = theirs {
        let p = exits::at(&node).link().spawn()?;
        ch.put(p.id())?;
        ch.typed::<(), ()>().get()?;
        p.put(code)?;
        p.wait();
    } else {
        let there = reads_nothing::at(&node).link();
        let p = if detached { there.detached() } else { there }.spawn()?;
        ch.put(p.id())?;
        ch.typed::<(), ()>().get()?;
    }
    if let Some(code) = own {
        exit(code);
    }
    sync! { _ = after(NEVER) => Ok(()) }
}

#[places::start]
fn links_hold_across_nodes(_: Channel) -> places::Result {
    let [a, b] = nodes()?;
    let address = a.address().expect("it is another node");
    for node in [&Node::this(), &b] {
        // What goes wrong there ends who is linked with it.
        let p = is_linked::at(node).spawn()?;
        p.put((address.clone(), false, Some(3), None))?;
        let id = p.get()?;
        let p = p.typed::<(), ()>();
        p.put(())?;
        assert_eq!(p.wait(), ExitReason::Linked(format!("a place that it is linked to ended: {id} exited with code 3")));
        // And the other way round. A child is killed by the end of its parent, before any link is.
        for detached in [false, true] {
            let p = is_linked::at(node).spawn()?;
            p.put((address.clone(), detached, None, Some(2)))?;
            let watched = monitor(p.get()?)?;
            let p = p.typed::<(), ()>();
            p.put(())?;
            let cause = format!("a place that it is linked to ended: {} exited with code 2", p.id());
            let reason = if detached { ExitReason::Linked(cause) } else { ExitReason::Killed };
            assert_eq!(watched.wait(), reason);
        }
        // A good end hurts nobody.
        let p = is_linked::at(node).spawn()?;
        p.put((address.clone(), false, Some(0), Some(9)))?;
        p.get()?;
        let p = p.typed::<(), ()>();
        p.put(())?;
        assert_eq!(p.wait(), ExitReason::Exited(9));
    }
    let p = exits::at(&a).spawn()?;
    p.link();
    p.unlink();
    p.put(1)?;
    assert_eq!(p.wait(), ExitReason::Exited(1));
    Ok(())
}

/// Whether a place like one that ran before found room is not waited for.
#[places::start]
fn where_there_is_no_room_after_all_a_place_ends_for_that(_: Channel) -> places::Result {
    let [node] = nodes()?;
    let [one, two] = [exits::at(&node).spawn()?, exits::at(&node).spawn()?];
    // The answer to the second brings the number for a third, which is not waited for.
    let _ = two.id();
    let third = exits::at(&node).spawn()?;
    assert!(matches!(third.get(), Err(Error::Closed)));
    let why = third.wait().to_string();
    assert_eq!(why, "failed: it could not be started: this host runs at most 2 places at once");
    assert!(monitor(third.id()).is_err());
    // With no number left, the answer is waited for.
    assert!(matches!(exits::at(&node).spawn(), Err(Error::Limit(_))));
    one.put(0)?;
    assert_eq!(one.wait(), ExitReason::Exited(0));
    let fourth = exits::at(&node).spawn()?;
    fourth.put(7)?;
    assert_eq!(fourth.wait(), ExitReason::Exited(7));
    Ok(())
}
