//! Who looks for messages in a mailbox, beside those who wait to read one.
//!
//! A looker wants to be told of a message and may take its time. A reader must not be passed over for one of these, nor those of one
//! place for those of another: so one of each group is woken for each message, beside one reader.

use std::collections::{BTreeMap, BTreeSet};
use std::task::{Context, Waker};

use super::waiters::{Ticket, Waiters};

/// Who looks together, so that one is told of a message for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group(pub(crate) u64);

/// The lookers of one mailbox.
#[derive(Debug, Default)]
pub(super) struct Lookers {
    groups: BTreeMap<Group, Members>,
    /// Those in which somebody waits, or did: so that a message costs nothing for groups that were told of one and have not looked.
    waiting: BTreeSet<Group>,
}

#[derive(Debug, Default)]
struct Members {
    waiters: Waiters,
    /// How many there are, with those who do not wait now.
    count: usize,
}

impl Lookers {
    /// One more, who does not wait yet.
    pub(super) fn add(&mut self, group: Group) {
        self.groups.entry(group).or_default().count += 1;
    }

    /// One who was added waits.
    pub(super) fn enter(&mut self, group: Group, ticket: &mut Ticket, cx: &Context<'_>) {
        if let Some(members) = self.groups.get_mut(&group) {
            members.waiters.enter(ticket, cx);
            self.waiting.insert(group);
        }
    }

    /// One less. Where it was woken for a message that is still there, that is the next one's of its group, who is to be woken.
    pub(super) fn remove(&mut self, group: Group, ticket: &mut Ticket, is_there: bool) -> Option<Waker> {
        let members = self.groups.get_mut(&group)?;
        let unused = members.waiters.leave(ticket) && is_there;
        let next = if unused { members.waiters.pop() } else { None };
        members.count -= 1;
        if members.count == 0 {
            self.groups.remove(&group);
            self.waiting.remove(&group);
        }
        next
    }

    /// One of each group, to be woken.
    pub(super) fn pop(&mut self, mut wake: impl FnMut(Waker)) {
        let Self { groups, waiting } = self;
        waiting.retain(|group| {
            let next = groups.get_mut(group).and_then(|members| members.waiters.pop());
            let waits = next.is_some();
            next.into_iter().for_each(&mut wake);
            waits
        });
    }

    /// Everybody, to be woken.
    pub(super) fn drain(&mut self) -> Vec<Waker> {
        self.waiting.clear();
        self.groups.values_mut().flat_map(|members| members.waiters.drain()).collect()
    }
}
