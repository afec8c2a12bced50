//! Messages that came before anybody asked for them, and requests that wait for messages to come.
//!
//! Messages of one sender to one communicator are taken in the order in which they came (MPI 4.1, section 3.5: they do not overtake),
//! and requests are served in the order in which they were made. A wildcard takes what came first from anybody.

use std::collections::{BTreeMap, VecDeque};

use crate::header::{Header, LEN};

/// A whole message.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) header: Header,
    data: Vec<u8>,
}

impl Envelope {
    /// `data` is the header and what follows it.
    pub(crate) fn new(header: Header, data: Vec<u8>) -> Self {
        Self { header, data }
    }

    /// The bytes of the elements.
    pub(crate) fn body(&self) -> &[u8] {
        &self.data[LEN..]
    }

    /// Adds the body of the next piece.
    pub(crate) fn append(&mut self, piece: &[u8]) {
        self.data.extend_from_slice(&piece[LEN..]);
    }
}

/// Which messages will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) context: u32,
    /// A rank of the communicator, or any.
    pub(crate) source: Option<u32>,
    pub(crate) tag: Option<u32>,
}

impl Pattern {
    pub(crate) fn fits(&self, header: &Header) -> bool {
        self.context == header.context
            && self.source.is_none_or(|source| source == header.source)
            && self.tag.is_none_or(|tag| tag == header.tag)
    }
}

/// The messages and requests of a rank.
#[derive(Debug, Default)]
pub(crate) struct Matching {
    lanes: BTreeMap<u32, Lane>,
    arrivals: u64,
    requests: u64,
    /// Requests that have their message.
    served: BTreeMap<u64, Envelope>,
}

/// Those of one communicator.
#[derive(Debug, Default)]
struct Lane {
    /// By the sender's rank. Beside each message stands how many came before it.
    sources: BTreeMap<u32, VecDeque<(u64, Envelope)>>,
    requests: Vec<(u64, Pattern)>,
}

impl Lane {
    /// Where the first message that fits is: its source and its index there.
    fn find(&self, pattern: &Pattern) -> Option<(u32, usize)> {
        let first = |queue: &VecDeque<(u64, Envelope)>| queue.iter().position(|(_, envelope)| pattern.fits(&envelope.header));
        match pattern.source {
            Some(source) => Some((source, first(self.sources.get(&source)?)?)),
            None => {
                let found = self.sources.iter().filter_map(|(source, queue)| {
                    let index = first(queue)?;
                    Some((queue[index].0, (*source, index)))
                });
                found.min().map(|(_, place)| place)
            }
        }
    }
}

impl Matching {
    /// Takes the first message that fits.
    pub(crate) fn take(&mut self, pattern: &Pattern) -> Option<Envelope> {
        let lane = self.lanes.get_mut(&pattern.context)?;
        let (source, index) = lane.find(pattern)?;
        let queue = lane.sources.get_mut(&source)?;
        let (_, envelope) = queue.remove(index)?;
        if queue.is_empty() {
            lane.sources.remove(&source);
        }
        Some(envelope)
    }

    /// Looks at it.
    pub(crate) fn peek(&self, pattern: &Pattern) -> Option<&Header> {
        let lane = self.lanes.get(&pattern.context)?;
        let (source, index) = lane.find(pattern)?;
        Some(&lane.sources.get(&source)?[index].1.header)
    }

    /// A message has come. It is handed back if it is what somebody waits for beside the requests, who come first.
    pub(crate) fn arrive(&mut self, envelope: Envelope, waited_for: Option<&Pattern>) -> Option<Envelope> {
        let lane = self.lanes.entry(envelope.header.context).or_default();
        if let Some(index) = lane.requests.iter().position(|(_, pattern)| pattern.fits(&envelope.header)) {
            let (request, _) = lane.requests.remove(index);
            self.served.insert(request, envelope);
            return None;
        }
        if waited_for.is_some_and(|pattern| pattern.fits(&envelope.header)) {
            return Some(envelope);
        }
        let queue = lane.sources.entry(envelope.header.source).or_default();
        queue.push_back((self.arrivals, envelope));
        self.arrivals += 1;
        None
    }

    /// Makes a request.
    pub(crate) fn request(&mut self, pattern: Pattern) -> u64 {
        let request = self.requests;
        self.requests += 1;
        match self.take(&pattern) {
            Some(envelope) => drop(self.served.insert(request, envelope)),
            None => self.lanes.entry(pattern.context).or_default().requests.push((request, pattern)),
        }
        request
    }

    /// Whether a request has its message.
    pub(crate) fn is_served(&self, request: u64) -> bool {
        self.served.contains_key(&request)
    }

    /// Takes the message of a request, which is done then.
    pub(crate) fn collect(&mut self, request: u64) -> Option<Envelope> {
        self.served.remove(&request)
    }

    /// Forgets a request. If its message has come already, that is lost.
    pub(crate) fn cancel(&mut self, context: u32, request: u64) {
        self.served.remove(&request);
        if let Some(lane) = self.lanes.get_mut(&context) {
            lane.requests.retain(|(other, _)| *other != request);
        }
    }

    /// How many messages nobody has asked for.
    pub(crate) fn unclaimed(&self) -> usize {
        self.lanes.values().flat_map(|lane| lane.sources.values()).map(VecDeque::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Kind;

    fn envelope(source: u32, tag: u32, count: u64) -> Envelope {
        let header = Header { kind: Kind::Point, more: false, from: source, source, context: 4, tag, datatype: 0, root: 0, op: 0, count };
        Envelope::new(header, vec![0; LEN])
    }

    fn any(source: Option<u32>, tag: Option<u32>) -> Pattern {
        Pattern { context: 4, source, tag }
    }

    fn counts(matching: &mut Matching, pattern: Pattern) -> Vec<u64> {
        std::iter::from_fn(|| matching.take(&pattern)).map(|envelope| envelope.header.count).collect()
    }

    #[test]
    fn messages_of_one_sender_do_not_overtake() {
        let mut matching = Matching::default();
        for (source, tag, count) in [(1, 7, 0), (2, 7, 1), (1, 8, 2), (1, 7, 3)] {
            assert!(matching.arrive(envelope(source, tag, count), None).is_none());
        }
        assert_eq!(counts(&mut matching, any(Some(1), Some(7))), [0, 3]);
        assert_eq!(counts(&mut matching, any(Some(1), None)), [2]);
        assert_eq!(counts(&mut matching, any(None, None)), [1]);
    }

    #[test]
    fn a_wildcard_takes_what_came_first() {
        let mut matching = Matching::default();
        for (source, tag, count) in [(3, 1, 0), (1, 2, 1), (2, 1, 2), (1, 1, 3)] {
            matching.arrive(envelope(source, tag, count), None);
        }
        assert_eq!(matching.peek(&any(None, Some(1))).unwrap().count, 0);
        assert_eq!(counts(&mut matching, any(None, Some(1))), [0, 2, 3]);
        assert_eq!(counts(&mut matching, any(None, None)), [1]);
        assert_eq!(matching.unclaimed(), 0);
    }

    #[test]
    fn requests_are_served_in_their_order_and_before_who_waits() {
        let mut matching = Matching::default();
        let (first, second) = (matching.request(any(None, None)), matching.request(any(Some(1), Some(5))));
        assert!(matching.arrive(envelope(1, 5, 10), Some(&any(None, None))).is_none());
        assert!(matching.is_served(first) && !matching.is_served(second));
        assert_eq!(matching.arrive(envelope(2, 5, 11), Some(&any(None, None))).unwrap().header.count, 11);
        matching.arrive(envelope(1, 5, 12), None);
        assert_eq!(matching.collect(second).unwrap().header.count, 12);
        assert_eq!(matching.collect(first).unwrap().header.count, 10);
    }

    #[test]
    fn a_request_that_is_forgotten_takes_nothing() {
        let mut matching = Matching::default();
        let request = matching.request(any(None, None));
        matching.cancel(4, request);
        matching.arrive(envelope(1, 5, 10), None);
        assert_eq!(counts(&mut matching, any(None, None)), [10]);
    }

    #[test]
    fn communicators_do_not_mix() {
        let mut matching = Matching::default();
        matching.arrive(envelope(1, 5, 10), None);
        assert!(matching.take(&Pattern { context: 6, source: None, tag: None }).is_none());
        assert_eq!(matching.unclaimed(), 1);
    }
}
