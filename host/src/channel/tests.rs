//! The laws of channels, without any place.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::*;

/// Counts how often it was woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Bell {
    fn rings(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn bell() -> (Arc<Bell>, Waker) {
    let bell = Arc::new(Bell::default());
    (Arc::clone(&bell), Waker::from(bell))
}

/// The result of a future that need not wait.
#[track_caller]
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn pair(messages: usize) -> (Channel, Channel) {
    Channel::pair(Bounds { messages, bytes: 1 << 20 })
}

fn put(end: &Channel, byte: u8) -> Result<(), PutError> {
    end.try_put(vec![byte])
}

fn get(end: &Channel) -> Result<u8, GetError> {
    now(end.get()).map(|message| message.data[0])
}

#[test]
fn what_was_sent_before_the_end_is_read_before_closed() {
    let (one, other) = pair(8);
    put(&one, 1).unwrap();
    put(&one, 2).unwrap();
    drop(one);
    assert_eq!((get(&other), get(&other), get(&other)), (Ok(1), Ok(2), Err(GetError::Closed)));
    assert_eq!(put(&other, 3), Err(PutError::Closed));
}

#[test]
fn closing_one_direction_leaves_the_other_open() {
    let (one, other) = pair(8);
    one.close();
    assert_eq!(put(&one, 1), Err(PutError::Closed));
    assert_eq!(get(&other), Err(GetError::Closed));
    put(&other, 2).unwrap();
    assert_eq!(get(&one), Ok(2));
}

#[test]
fn full_mailbox_pushes_back_until_it_is_half_empty() {
    let (one, other) = pair(4);
    (0..4).for_each(|byte| put(&one, byte).unwrap());
    assert_eq!(put(&one, 9), Err(PutError::Full));
    let (bell, waker) = bell();
    let mut waiting = pin!(one.put(vec![4]));
    assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(get(&other), Ok(0));
    assert_eq!(bell.rings(), 0, "one message is not worth waking a writer");
    assert_eq!(get(&other), Ok(1));
    assert_eq!(bell.rings(), 1);
    assert!(waiting.poll(&mut Context::from_waker(&waker)).is_ready());
    assert_eq!((2..5).map(|_| get(&other).unwrap()).collect::<Vec<_>>(), [2, 3, 4]);
}

#[test]
fn a_message_larger_than_the_mailbox_passes_through_an_empty_one() {
    let (one, other) = Channel::pair(Bounds { messages: 8, bytes: 10 });
    one.try_put(vec![0; 100]).unwrap();
    assert_eq!(put(&one, 1), Err(PutError::Full));
    assert_eq!(now(other.get()).unwrap().data.len(), 100);
    put(&one, 1).unwrap();
    assert_eq!(one.try_put(vec![0; MAX_MESSAGE + 1]), Err(PutError::TooLarge));
}

#[test]
fn a_waiting_writer_learns_that_the_reader_is_gone() {
    let (one, other) = pair(1);
    put(&one, 0).unwrap();
    let (bell, waker) = bell();
    let mut waiting = pin!(one.put(vec![1]));
    assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(other);
    assert_eq!(bell.rings(), 1);
    assert_eq!(now(waiting), Err(PutError::Closed));
}

#[test]
fn of_competing_readers_one_is_woken_for_each_message() {
    let (one, other) = pair(8);
    let rival = other.clone();
    let ((first, first_waker), (second, second_waker)) = (bell(), bell());
    let (mut reading, mut competing) = (other.reading(), rival.reading());
    assert!(reading.poll_take(&mut Context::from_waker(&first_waker), Accept::Any).is_pending());
    assert!(competing.poll_take(&mut Context::from_waker(&second_waker), Accept::Any).is_pending());
    put(&one, 1).unwrap();
    assert_eq!((first.rings(), second.rings()), (1, 0));
    put(&one, 2).unwrap();
    assert_eq!((first.rings(), second.rings()), (1, 1));
}

#[test]
fn a_reader_that_leaves_passes_its_turn_on() {
    let (one, other) = pair(8);
    let (second, second_waker) = bell();
    let (mut leaving, mut staying) = (other.reading(), other.reading());
    assert!(leaving.poll_take(&mut Context::from_waker(Waker::noop()), Accept::Any).is_pending());
    assert!(staying.poll_take(&mut Context::from_waker(&second_waker), Accept::Any).is_pending());
    put(&one, 1).unwrap();
    assert_eq!(second.rings(), 0);
    drop(leaving);
    assert_eq!(second.rings(), 1, "or the message would lie there while somebody waits for it");
    assert!(staying.poll_take(&mut Context::from_waker(&second_waker), Accept::Any).is_ready());
}

#[test]
fn a_reader_of_bytes_leaves_a_message_with_ends_where_it_is() {
    let (one, other) = pair(8);
    let (traveller, home) = pair(8);
    one.try_put(Message::with(vec![1], vec![traveller], vec![Blob::new(vec![2])])).unwrap();
    assert!(matches!(other.try_take(Accept::Plain), Some(Taken::Attached)));
    let (data, channels, blobs) = now(other.get()).unwrap().into_parts();
    assert_eq!((data, blobs[0].as_slice()), (vec![1], &[2][..]));
    put(&home, 7).unwrap();
    assert_eq!(get(&channels[0]), Ok(7));
}

#[test]
fn an_end_cannot_be_sent_to_itself() {
    let (one, other) = pair(8);
    let sent = one.try_put(Message::with(Vec::new(), vec![other.clone()], Vec::new()));
    assert_eq!(sent, Err(PutError::ToItself));
    one.try_put(Message::with(Vec::new(), vec![one.clone()], Vec::new())).unwrap();
}

#[test]
fn a_chain_of_ends_in_ends_is_dropped_without_recursion() {
    let (first, mut last) = pair(1);
    for _ in 0..200_000 {
        let (one, other) = pair(1);
        one.try_put(Message::with(Vec::new(), vec![last], Vec::new())).unwrap();
        last = other;
    }
    drop(last);
    assert_eq!(put(&first, 1), Err(PutError::Closed));
}

#[test]
fn ends_that_only_each_other_could_read_are_given_back() {
    let account = Account::new(1 << 20);
    for kept in [false, true] {
        let pair = || Channel::pair_on(Bounds::default(), &account).unwrap();
        let ((one, first), (two, second)) = (pair(), pair());
        let rescue = kept.then(|| first.clone());
        one.try_put(Message::with(vec![0; 500 << 10], vec![second], Vec::new())).unwrap();
        two.try_put(Message::with(Vec::new(), vec![first], Vec::new())).unwrap();
        drop((one, two));
        assert_eq!(account.charge(1000 << 10).is_ok(), !kept, "a blob of 1,000 KiB fits only when they are gone");
        if let Some(first) = rescue {
            let (data, channels, _) = now(first.get()).unwrap().into_parts();
            assert_eq!(data.len(), 500 << 10);
            let (_, found, _) = now(channels[0].get()).unwrap().into_parts();
            assert_eq!(found.len(), 1, "what somebody can reach is as it was");
        }
    }
    assert!(account.charge(1 << 20).is_ok());
}

#[test]
fn unread_messages_are_charged_to_who_made_the_channel_until_they_are_read() {
    let account = Account::new(200 << 10);
    let bounds = Bounds { messages: 1000, bytes: 1 << 30 };
    let (one, other) = Channel::pair_on(bounds, &account).unwrap();
    one.try_put(vec![0; 100 << 10]).unwrap();
    assert!(matches!(one.try_put(vec![0; 100 << 10]), Err(PutError::OverBudget(_))));
    now(other.get()).unwrap();
    one.try_put(vec![0; 150 << 10]).unwrap();
    drop((one, other));
    assert!(account.charge(200 << 10).is_ok());
}

#[test]
fn many_messages_keep_their_order_through_a_small_mailbox() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let (one, other) = pair(3);
        let writer = tokio::spawn(async move {
            one.put_many((0..5_000u32).map(|n| n.to_le_bytes().to_vec()).collect()).await.unwrap();
            for n in 5_000..10_000u32 {
                one.put(n.to_le_bytes().to_vec()).await.unwrap();
            }
        });
        let mut read = Vec::new();
        while let Ok(Some(batch)) = other.take_many(64).await {
            read.extend(batch);
        }
        writer.await.unwrap();
        assert!(read.into_iter().eq((0..10_000u32).map(|n| n.to_le_bytes().to_vec())));
    });
}

#[test]
fn a_feed_keeps_its_direction_open_and_reads_nothing() {
    let (parent, place) = pair(2);
    let feed = parent.feed();
    put(&parent, 1).unwrap();
    drop(parent);
    assert_eq!(put(&place, 9), Err(PutError::Closed));
    feed.try_put(vec![2]).unwrap();
    assert_eq!(feed.try_put(vec![3]), Err(PutError::Full));
    assert_eq!((get(&place), get(&place)), (Ok(1), Ok(2)));
    assert!(place.try_take(Accept::Any).is_none());
    drop(feed);
    assert_eq!(get(&place), Err(GetError::Closed));
}

#[test]
fn a_bridge_takes_many_delivers_all_and_says_how_it_ended() {
    let (place, end) = pair(2);
    let mut bridge = Bridge::new(end);
    let cx = &mut Context::from_waker(Waker::noop());
    let mut batch = Vec::new();
    assert!(bridge.poll_take(cx, 100, &mut batch).is_pending());
    put(&place, 1).unwrap();
    put(&place, 2).unwrap();
    assert!(bridge.poll_take(cx, 100, &mut batch).is_ready());
    assert_eq!(batch.len(), 2);

    let mut messages = (1..=3u8).map(|byte| vec![byte].into()).collect();
    bridge.deliver(&mut messages).unwrap();
    assert!(bridge.poll_drained(cx, 100).is_pending());
    assert_eq!((get(&place), get(&place)), (Ok(1), Ok(2)));
    assert_eq!(bridge.poll_drained(cx, 100), Poll::Ready(65));
    assert!(bridge.poll_abandoned(cx).is_pending());
    bridge.end(Ending::NodeLost);
    assert_eq!((get(&place), get(&place)), (Ok(3), Err(GetError::NodeLost)));
    bridge.refuse(Ending::NodeLost);
    assert_eq!(put(&place, 1), Err(PutError::NodeLost));
}

#[test]
fn a_bridge_learns_that_nobody_reads_what_it_delivers() {
    let cx = &mut Context::from_waker(Waker::noop());
    let (place, end) = pair(1);
    let mut bridge = Bridge::new(end);
    assert!(bridge.poll_abandoned(cx).is_pending());
    drop(place);
    assert_eq!(bridge.poll_abandoned(cx), Poll::Ready(Ending::Closed));

    let (_place, end) = pair(1);
    end.close();
    assert_eq!(Bridge::new(end).poll_abandoned(cx), Poll::Ready(Ending::Closed));
}

#[test]
fn a_batch_is_bounded_by_what_it_weighs() {
    let (place, end) = Channel::pair(Bounds { messages: 100, bytes: 100 });
    let mut bridge = Bridge::new(end);
    (0..100).for_each(|_| place.try_put(Vec::new()).unwrap());
    let cx = &mut Context::from_waker(Waker::noop());
    let mut batch = Vec::new();
    assert!(bridge.poll_take(cx, 10 * 64, &mut batch).is_ready());
    assert_eq!(batch.len(), 10);
    let blobs = vec![Blob::new(vec![0; 640])];
    let (place, end) = pair(2);
    (0..2).for_each(|_| place.try_put(Message::with(Vec::new(), Vec::new(), blobs.clone())).unwrap());
    batch.clear();
    assert!(Bridge::new(end).poll_take(cx, 10 * 64, &mut batch).is_ready());
    assert_eq!(batch.len(), 1);
}

#[test]
fn two_bridges_on_one_channel_learn_of_each_other() {
    let (one, other) = pair(1);
    assert_eq!(Bridge::new(one).meet(BridgeKey(1)), None);
    assert_eq!(Bridge::new(other).meet(BridgeKey(2)), Some(BridgeKey(1)));
}

#[test]
fn a_bridge_that_is_one_holder_of_many_ends_nothing_for_the_others() {
    let (one, other) = pair(4);
    assert_eq!(Bridge::new(one.clone()).meet(BridgeKey(1)), None);
    let (first, second) = (Bridge::new(other.clone()), Bridge::new(other));
    assert_eq!(first.meet(BridgeKey(2)), None);
    first.end(Ending::NodeLost);
    first.refuse(Ending::NodeLost);
    drop(first);
    put(&one, 1).unwrap();
    assert!(one.try_take(Accept::Any).is_none());
    // The last one ends the channel, and says how.
    second.end(Ending::NodeLost);
    second.refuse(Ending::NodeLost);
    assert!(matches!(one.try_take(Accept::Any), Some(Taken::Ended(Ending::NodeLost))));
    assert_eq!(put(&one, 2), Err(PutError::NodeLost));
}

#[test]
fn a_watched_end_gives_shares_in_order_and_says_how_it_goes_on() {
    let (one, other) = pair(16);
    let mut watched = Watched::new(other);
    let (bell, waker) = bell();
    let cx = &mut Context::from_waker(&waker);
    let mut taken = Vec::new();
    let (mut share, all) = (Share::new(5, 100), Share::new(100, 100));
    (0..7).for_each(|byte| put(&one, byte).unwrap());
    assert!(matches!(watched.poll_share(cx, 3, &mut share, &mut taken), Poll::Ready(After::More)));
    assert_eq!((taken.len(), share.is_spent()), (3, false));
    assert!(matches!(watched.poll_share(cx, 3, &mut share, &mut taken), Poll::Ready(After::More)));
    assert_eq!((taken.len(), share.is_spent()), (5, true));
    let (end, _) = pair(1);
    one.try_put(Message::with(vec![7], vec![end], Vec::new())).unwrap();
    put(&one, 8).unwrap();
    assert!(
        matches!(watched.poll_share(cx, 9, &mut all.clone(), &mut taken), Poll::Ready(After::Attached(message)) if message.data == [7])
    );
    assert!(watched.poll_share(cx, 9, &mut all.clone(), &mut taken).is_pending());
    assert_eq!(taken.concat(), [0, 1, 2, 3, 4, 5, 6, 8]);
    put(&one, 9).unwrap();
    assert_eq!(bell.rings(), 1);
    drop(one);
    assert!(matches!(watched.poll_share(cx, 9, &mut all.clone(), &mut taken), Poll::Ready(After::Ended(Ending::Closed))));
    assert_eq!(taken.len(), 9);
}

#[test]
fn a_watched_end_that_goes_leaves_its_turn_to_another_reader() {
    let (one, other) = pair(16);
    let mut watched = Watched::new(other.clone());
    let ((_, first), (second_bell, second)) = (bell(), bell());
    assert!(watched.poll_share(&mut Context::from_waker(&first), 9, &mut Share::new(9, 9), &mut Vec::new()).is_pending());
    let mut reading = other.reading();
    assert!(reading.poll_take(&mut Context::from_waker(&second), Accept::Any).is_pending());
    put(&one, 1).unwrap();
    assert_eq!(second_bell.rings(), 0);
    drop(watched);
    assert_eq!(second_bell.rings(), 1);
}

#[test]
fn a_message_is_told_to_a_reader_and_to_one_looker_of_each_group() {
    let (one, other) = pair(16);
    let mut bells: Vec<_> = (0..4).map(|_| bell()).collect();
    let rings = |bells: &[(Arc<Bell>, Waker)]| bells.iter().map(|(bell, _)| bell.rings()).collect::<Vec<_>>();
    let mut reading = other.reading();
    let mut looking: Vec<_> = [1, 1, 2].map(|group| Looking::new(other.clone(), Group(group))).into();
    for (looking, (_, waker)) in looking.iter_mut().zip(&bells[1..]) {
        assert!(looking.poll(&Context::from_waker(waker)).is_pending());
    }
    // Though it comes last, no looker takes its turn.
    assert!(reading.poll_take(&mut Context::from_waker(&bells[0].1), Accept::Any).is_pending());
    put(&one, 1).unwrap();
    assert_eq!(rings(&bells), [1, 1, 0, 1]);
    // Who goes while the message is there leaves it to the next of its group.
    assert!(looking[0].poll(&Context::from_waker(Waker::noop())).is_ready());
    drop(looking.remove(0));
    assert_eq!(rings(&bells), [1, 1, 1, 1]);
    assert_eq!(get(&other), Ok(1));
    // It was woken for what is there no more, and looks again.
    for (looking, (_, waker)) in looking.iter_mut().zip(&bells[2..]) {
        assert!(looking.poll(&Context::from_waker(waker)).is_pending());
    }
    drop(one);
    assert_eq!(rings(&bells), [1, 1, 2, 2]);
    assert!(looking.iter_mut().all(|looking| looking.poll(&Context::from_waker(Waker::noop())).is_ready()));
    bells.clear();
}

#[test]
fn a_share_is_of_messages_and_bytes_but_one_message_whatever_its_size() {
    let mut share = Share::new(3, 10);
    assert!(share.allows(11));
    share.take(11);
    assert!(share.is_spent() && !share.allows(1));
    let mut share = Share::new(3, 10);
    share.take(4);
    assert!(share.allows(6) && !share.allows(7));
}

#[test]
fn room_is_told_to_who_waits_for_it() {
    let (one, other) = pair(2);
    assert!(matches!(pin!(one.room(1)).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(())));
    put(&one, 1).unwrap();
    put(&one, 2).unwrap();
    let (bell, waker) = bell();
    let mut writing = one.writing();
    assert!(writing.poll_room(&mut Context::from_waker(&waker), 1).is_pending());
    get(&other).unwrap();
    assert_eq!(bell.rings(), 1);
    assert!(writing.poll_room(&mut Context::from_waker(&waker), 1).is_ready());
    put(&one, 3).unwrap();
    assert!(writing.poll_room(&mut Context::from_waker(&waker), 1).is_pending());
    drop(other);
    assert_eq!(bell.rings(), 2);
    assert!(writing.poll_room(&mut Context::from_waker(&waker), 1).is_ready());
}

#[test]
fn room_is_for_a_message_of_a_size() {
    let (one, other) = Channel::pair(Bounds { messages: 8, bytes: 10 });
    one.try_put(vec![0; 6]).unwrap();
    let cx = &mut Context::from_waker(Waker::noop());
    let mut writing = one.writing();
    assert!(writing.poll_room(cx, 4).is_ready() && writing.poll_room(cx, 5).is_pending());
    // What is larger than the mailbox has room in an empty one.
    assert!(writing.poll_room(cx, 11).is_pending());
    now(other.get()).unwrap();
    assert!(writing.poll_room(cx, 11).is_ready());
}
