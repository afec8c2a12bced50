//! Ends that only each other's mailboxes hold.
//!
//! An end lives as long as somebody has a handle to it, and a message that waits has handles too. Two ends, each in a message that
//! only the other could read, would keep each other for ever, with all that waits beside them. The places that made their channels
//! pay for that, so it is looked for when one ends, and when one has no more to pay with: by trial, among the channels of one
//! account.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard};

use super::mailbox::{Conduit, Mailbox, Queue, bury};
use super::{Channel, End, Ending};

/// Empties the mailboxes of these channels that nobody can come to read any more.
pub(super) fn collect(conduits: &[Arc<Conduit>]) {
    let mut mailboxes: Vec<&Mailbox> = conduits.iter().flat_map(|conduit| conduit.iter()).collect();
    if !mailboxes.iter().any(|mailbox| mailbox.holds_ends()) {
        return;
    }
    // All are locked at once, so that no handle comes or goes by way of a message. Everybody else locks one at a time; two who
    // collect lock in the same order.
    mailboxes.sort_unstable_by_key(|mailbox| std::ptr::from_ref(*mailbox));
    mailboxes.dedup_by_key(|mailbox| std::ptr::from_ref(*mailbox));
    let mut queues: Vec<MutexGuard<'_, Queue>> = mailboxes.iter().map(|mailbox| mailbox.lock()).collect();
    let index: HashMap<*const Mailbox, usize> =
        mailboxes.iter().enumerate().map(|(at, mailbox)| (std::ptr::from_ref(*mailbox), at)).collect();

    let reachable = reachable(&queues, &index);
    let lost = queues
        .iter_mut()
        .zip(reachable)
        .filter(|(_, reachable)| !reachable)
        .map(|(queue, _)| queue.abandon(Ending::Closed))
        .collect::<Vec<_>>();
    drop(queues);
    lost.into_iter().for_each(bury);
}

/// For each mailbox, whether somebody can come to read it: somebody has its reader, or it lies in such a mailbox.
fn reachable(queues: &[MutexGuard<'_, Queue>], index: &HashMap<*const Mailbox, usize>) -> Vec<bool> {
    let reads = |end: &Channel| index.get(&std::ptr::from_ref(end.0.incoming())).copied();
    let mut lying: HashMap<*const End, (usize, &Channel)> = HashMap::new();
    for end in queues.iter().flat_map(|queue| queue.ends()) {
        lying.entry(Arc::as_ptr(&end.0)).or_insert((0, end)).0 += 1;
    }
    let mut reachable = vec![true; queues.len()];
    for (times, end) in lying.into_values() {
        // Every handle lies in one of these mailboxes, which are locked: there can be no other now.
        if let Some(at) = reads(end).filter(|_| Arc::strong_count(&end.0) == times) {
            reachable[at] = false;
        }
    }
    let mut found: Vec<usize> = (0..queues.len()).filter(|&at| reachable[at]).collect();
    while let Some(at) = found.pop() {
        for inside in queues[at].ends().filter_map(reads) {
            if !std::mem::replace(&mut reachable[inside], true) {
                found.push(inside);
            }
        }
    }
    reachable
}
