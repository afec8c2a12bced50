//! Sessions over real connections, with peers that say what they like.

use std::net::Ipv4Addr;
use std::sync::Mutex;

use placehost_proto::codec::{self, Attachments, ControlFrame, Decoder};
use placehost_proto::frame::{End, Head, VERSIONS, WINDOW};
use quinn::SendStream;

use super::super::session::{Incoming, decode};
use super::super::trust::authority::Authority;
use super::super::trust::identity::Identity;
use super::super::trust::tests::member;
use super::*;
use crate::channel::{Blob, GetError, Message};
use crate::config::{Output, Sink};

/// Nothing here takes nearly so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Gives whoever looks for a place a channel, and keeps the ends of those who look for `kept`.
#[derive(Default)]
struct Places {
    hub: OnceLock<Hub>,
    kept: Mutex<Vec<Channel>>,
}

impl Handler for Places {
    fn up(&self, _: &Arc<Session>) {}

    fn event(&self, session: &Arc<Session>, event: Event) {
        let (Event::Asked(request, Ask::Lookup { name, link }), Some(hub)) = (event, self.hub.get()) else { return };
        let channel = hub.take_channel(session, link);
        if name == "kept" {
            self.kept.lock().expect("nobody panics with it").extend(channel);
        }
        hub.answer(session.key(), request, Answer::Done, false);
    }

    fn module(&self, _: &Arc<Session>, _: Incoming, _: placehost_proto::Digest, _: u64) {}

    fn down(&self, _: &Arc<Session>, _: &Goodbye) {}
}

/// A node, and who is of its cluster.
struct Lab {
    hub: Hub,
    places: Arc<Places>,
    authority: Authority,
    next: AtomicU64,
}

fn endpoint(identity: Arc<Identity>) -> Endpoint {
    Endpoint::bind(Some((Ipv4Addr::LOCALHOST, 0).into()), identity, PATIENCE).expect("there is a socket")
}

fn node(authority: &Authority, id: u64, memory: u64) -> (Hub, Arc<Places>) {
    let name = format!("n{id}");
    let endpoint = endpoint(member(authority, &name));
    let config = Config { id: NodeId(id.into()), name, release: "0".into(), addresses: Vec::new(), timeout: PATIENCE };
    let timing = Timing { timeout: PATIENCE, dial: PATIENCE };
    let hub = Hub::new(endpoint, config, timing, memory, Handle::current());
    let places = Arc::new(Places::default());
    let _ = places.hub.set(hub.clone());
    let handler: Weak<dyn Handler> = Arc::downgrade(&places) as Weak<dyn Handler>;
    hub.start(handler);
    (hub, places)
}

impl Lab {
    fn new() -> Self {
        Self::with_memory(1 << 30)
    }

    /// Its sessions may have so many bytes unread.
    fn with_memory(memory: u64) -> Self {
        let authority = Authority::named("lab");
        let (hub, places) = node(&authority, 1, memory);
        Self { hub, places, authority, next: AtomicU64::new(2) }
    }

    /// Another node, and its session to this one.
    async fn node(&self) -> (Hub, Arc<Places>, Arc<Session>) {
        let (hub, places) = node(&self.authority, self.next.fetch_add(1, Ordering::Relaxed), 1 << 30);
        let address = self.hub.endpoint().local_address().expect("it is bound");
        let session = hub.connect(&address.to_string()).await.expect("it is there");
        (hub, places, session)
    }

    /// A channel from another node to this one.
    async fn channel(&self, hub: &Hub, session: &Session, bounds: Bounds) -> (Channel, Channel) {
        let (here, there) = Channel::pair(bounds);
        let link = hub.send_end(session.key(), there).expect("the session is up");
        assert!(hub.ask(session.key(), Ask::Lookup { name: "kept".into(), link }, |_| {}));
        (here, self.kept().await)
    }

    /// The end that was kept last.
    async fn kept(&self) -> Channel {
        let kept = async {
            loop {
                if let Some(channel) = self.places.kept.lock().expect("nobody panics with it").pop() {
                    return channel;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, kept).await.expect("nobody looks for it")
    }

    /// A peer that has greeted, and keeps no rules but those of the handshake.
    async fn peer(&self) -> Peer {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let endpoint = endpoint(member(&self.authority, &format!("n{id}")));
        let address = self.hub.endpoint().local_address().expect("it is bound");
        let connection = endpoint.dial(&address.to_string(), PATIENCE).await.expect("it is there");
        connection.allow_streams(1000);
        let (mut control, heard) = connection.open_control().await.expect("it may be opened");
        let node = NodeId(u128::from(id));
        let hello = Hello { versions: VERSIONS, release: "0".into(), node, name: format!("n{id}"), addresses: Vec::new() };
        let mut bytes = Vec::new();
        codec::put_hello(&mut bytes, &hello);
        codec::put_control(&mut bytes, &Control::Ping(1));
        control.write_all(&bytes).await.expect("it is heard");
        let heard = Incoming::unread(heard);
        let mut peer = Peer { _endpoint: endpoint, connection, control, heard, decoder: Decoder::default(), frames: Vec::new(), asked: 0 };
        peer.hears(|control| *control == Control::Pong(1)).await;
        peer
    }

    fn session(&self) -> Arc<Session> {
        let (session, ..) = self.hub.peers().into_iter().next().expect("it is up");
        session
    }

    /// Waits until no channel crosses any more.
    async fn is_still(&self) {
        let still = async {
            while self.hub.peers().iter().any(|(.., links)| *links > 0) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, still).await.expect("links are left");
    }
}

struct Peer {
    _endpoint: Endpoint,
    connection: Connection,
    control: SendStream,
    heard: Incoming,
    decoder: Decoder,
    /// Heard, and not yet looked for.
    frames: Vec<Control>,
    asked: u64,
}

impl Peer {
    async fn says(&mut self, control: Control) {
        let mut bytes = Vec::new();
        codec::put_control(&mut bytes, &control);
        self.control.write_all(&bytes).await.expect("it is heard");
    }

    /// Waits for a frame like this, whatever comes before.
    async fn hears(&mut self, wanted: impl Fn(&Control) -> bool) -> Control {
        let hear = async {
            loop {
                if let Some(at) = self.frames.iter().position(&wanted) {
                    return self.frames.remove(at);
                }
                let chunks = self.heard.chunks().await.expect("it is not cut");
                assert!(!chunks.is_empty(), "it ended with {:?}", self.frames);
                let mut frames: Vec<ControlFrame> = Vec::new();
                decode(&mut self.decoder, &chunks, &mut frames).expect("it keeps the rules");
                self.frames.extend(frames.into_iter().filter_map(|frame| match frame {
                    ControlFrame::Control(control) => Some(control),
                    ControlFrame::Hello(_) => None,
                }));
            }
        };
        tokio::time::timeout(PATIENCE, hear).await.expect("it is not said")
    }

    /// A channel to the place of this name.
    async fn looks_up(&mut self, name: &str, link: LinkId) {
        let request = RequestId(self.asked);
        self.asked += 1;
        self.says(Control::Ask(request, Ask::Lookup { name: name.into(), link })).await;
        self.hears(|control| *control == Control::Answer(request, Answer::Done)).await;
    }

    /// Both directions of a channel end, and the node has heard of that.
    async fn ends(&mut self, link: LinkId) {
        self.hears(|control| *control == Control::Gone(link, End::Closed)).await;
        self.hears(|control| *control == Control::Finish(link, End::Closed)).await;
        self.says(Control::Finish(link, End::Closed)).await;
        self.is_heard().await;
    }

    async fn is_heard(&mut self) {
        self.says(Control::Ping(2)).await;
        self.hears(|control| *control == Control::Pong(2)).await;
    }

    /// The messages of a channel.
    async fn sends(&self, link: LinkId, frames: Vec<u8>) -> SendStream {
        self.opens(&Head::Link(link), frames).await
    }

    async fn opens(&self, head: &Head, mut frames: Vec<u8>) -> SendStream {
        let mut stream = self.connection.open().await.expect("it may be opened");
        let mut bytes = Vec::new();
        codec::put_head(&mut bytes, head);
        bytes.append(&mut frames);
        // Where the session ends for it, not all of it is taken.
        let _ = stream.write_all(&bytes).await;
        stream
    }
}

/// A message of as many zeros.
fn message(length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::put_message_header(&mut bytes, length);
    bytes.resize(bytes.len() + length, 0);
    bytes
}

fn message_with(attachments: &Attachments) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::put_attached_header(&mut bytes, attachments, 0);
    bytes
}

/// What `put` posts.
fn posted(put: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(&mut bytes);
    bytes
}

async fn gets(channel: &Channel) -> Vec<u8> {
    tokio::time::timeout(PATIENCE, channel.get()).await.expect("nothing comes").expect("it is open").data
}

fn is_breach(control: &Control, says: &str) -> bool {
    matches!(control, Control::Goodbye(Goodbye::Protocol(why)) if why.contains(says))
}

#[tokio::test]
async fn who_sends_beyond_its_credit_loses_its_session_alone() {
    let lab = Lab::new();
    let (mut bad, mut good) = (lab.peer().await, lab.peer().await);
    for peer in [&mut bad, &mut good] {
        peer.looks_up("kept", LinkId(0)).await;
    }
    let allowed = || message((WINDOW - 64) as usize);
    let _stream = good.sends(LinkId(0), allowed()).await;
    let _stream = bad.sends(LinkId(0), [allowed(), allowed(), allowed()].concat()).await;
    bad.hears(|control| is_breach(control, "more on a channel than it was allowed to send")).await;
    good.is_heard().await;
    let kept = lab.places.kept.lock().expect("nobody panics with it").clone();
    let arrived = async {
        while !kept.iter().any(|channel| channel.pending() > 0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, arrived).await.expect("what was allowed arrives");
}

#[tokio::test]
async fn what_is_read_may_be_sent_again() {
    let lab = Lab::new();
    let mut peer = lab.peer().await;
    peer.looks_up("kept", LinkId(0)).await;
    let channel = lab.kept().await;
    let mut stream = peer.sends(LinkId(0), message((WINDOW - 64) as usize)).await;
    for _ in 0..10 {
        channel.get().await.expect("it has come");
        let granted = peer.hears(|control| matches!(control, Control::Credit(LinkId(0), _))).await;
        assert_eq!(granted, Control::Credit(LinkId(0), WINDOW));
        stream.write_all(&message((WINDOW - 64) as usize)).await.expect("it may be sent");
    }
    peer.is_heard().await;
}

#[tokio::test]
async fn ends_in_a_stream_that_comes_after_its_link_are_closed() {
    let lab = Lab::new();
    let mut peer = lab.peer().await;
    peer.looks_up("dropped", LinkId(0)).await;
    peer.ends(LinkId(0)).await;
    let mut stream = peer.sends(LinkId(0), message_with(&Attachments { links: vec![LinkId(2)], blobs: Vec::new() })).await;
    peer.ends(LinkId(2)).await;
    // Also where the rest comes later, and where a blob is in it.
    stream.write_all(&message_with(&Attachments { links: vec![LinkId(4)], blobs: vec![(0, 3)] })).await.expect("it is taken");
    peer.ends(LinkId(4)).await;
    let mut blob = peer.connection.open().await.expect("it may be opened");
    let mut bytes = Vec::new();
    codec::put_head(&mut bytes, &Head::Blob { number: 0, digest: placehost_proto::Digest::of(b"abc"), size: 3 });
    bytes.extend(b"abc");
    blob.write_all(&bytes).await.expect("it is taken");
    blob.finish().expect("it is open");
    stream.write_all(&message_with(&Attachments { links: vec![LinkId(6)], blobs: Vec::new() })).await.expect("it is taken");
    peer.ends(LinkId(6)).await;
    lab.is_still().await;
}

#[tokio::test]
async fn a_stream_after_its_link_is_held_to_its_credit_too() {
    let lab = Lab::new();
    let mut peer = lab.peer().await;
    peer.looks_up("dropped", LinkId(0)).await;
    peer.ends(LinkId(0)).await;
    let _stream = peer.sends(LinkId(0), message(WINDOW as usize).repeat(3)).await;
    peer.hears(|control| is_breach(control, "more on a channel than it was allowed to send")).await;
}

#[tokio::test]
async fn ends_that_are_under_way_when_a_channel_is_cut_are_closed() {
    let lab = Lab::new();
    let mut peer = lab.peer().await;
    peer.looks_up("dropped", LinkId(0)).await;
    // The reader is gone, the link is not: it goes on until this side has ended it too.
    peer.hears(|control| *control == Control::Gone(LinkId(0), End::Closed)).await;
    let mut stream = peer.sends(LinkId(0), message_with(&Attachments { links: vec![LinkId(2)], blobs: Vec::new() })).await;
    peer.ends(LinkId(2)).await;
    let mut last = message_with(&Attachments { links: vec![LinkId(4)], blobs: Vec::new() });
    codec::put_end(&mut last, End::Closed);
    stream.write_all(&last).await.expect("it is taken");
    peer.ends(LinkId(4)).await;
    lab.is_still().await;
}

#[tokio::test]
async fn ends_behind_a_message_that_there_is_no_memory_for_are_closed() {
    let lab = Lab::with_memory(256 << 10);
    let mut peer = lab.peer().await;
    peer.looks_up("kept", LinkId(0)).await;
    let with_end = message_with(&Attachments { links: vec![LinkId(2)], blobs: Vec::new() });
    let _stream = peer.sends(LinkId(0), [message(512 << 10), message(0), with_end].concat()).await;
    peer.ends(LinkId(2)).await;
    peer.hears(|control| *control == Control::Gone(LinkId(0), End::NodeLost)).await;
}

#[tokio::test]
async fn who_puts_on_an_end_that_was_closed_before_it_was_sent_is_told() {
    let lab = Lab::new();
    let mut peer = lab.peer().await;
    let (here, there) = Channel::pair(Bounds::default());
    there.close();
    let link = lab.hub.send_end(lab.session().key(), there).expect("the session is up");
    peer.hears(|control| *control == Control::Gone(link, End::Closed)).await;
    // It can still be read from.
    here.put(vec![1]).await.expect("somebody reads");
    peer.says(Control::Finish(link, End::Closed)).await;
    drop(here);
    lab.is_still().await;
}

/// Output that is kept.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Sink for Kept {
    fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.lock().expect("nobody panics with it").extend(bytes);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_handed_over_arrives_before_a_goodbye() {
    for _ in 0..20 {
        let lab = Lab::new();
        let (hub, _places, session) = lab.node().await;
        let (here, channel) = lab.channel(&hub, &session, Bounds { messages: 1000, bytes: 1 << 30 }).await;
        let (printed, request) = (Kept::default(), RequestId(7));
        lab.session().outputs.expect(request, Output::new(printed.clone()), Output::null(), None);
        let (stdout, stderr, _) = crate::net::output::printer(&hub, &session, request);

        // More than may be under way at once, so that it takes some reading.
        for n in 0..100_u8 {
            let blobs = if n == 50 { vec![Blob::new(vec![n; 1 << 20])] } else { Vec::new() };
            here.put(Message::with(vec![n; 40 << 10], Vec::new(), blobs)).await.expect("there is room");
        }
        stdout.0.write(&[b'a'; 200 << 10]).expect("somebody reads");
        drop((stdout, stderr));
        let read = tokio::spawn(async move {
            let mut count = 0;
            loop {
                match channel.get().await {
                    Ok(message) => {
                        assert_eq!(message.data[0], count);
                        count += 1;
                    }
                    Err(error) => return (count, error),
                }
            }
        });
        // This end is still held: who reads the other hears that the node is gone, and not before it has all.
        hub.shut_down(Goodbye::Done).await;
        assert_eq!(read.await.expect("it does not panic"), (100, GetError::NodeLost));
        assert_eq!(printed.0.lock().expect("nobody panics with it").len(), 200 << 10);
        assert!(here.put(vec![1]).await.is_err(), "nobody reads any more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_keeps_nobody_from_leaving() {
    let lab = Lab::new();
    let (hub, _places, session) = lab.node().await;
    let (here, channel) = lab.channel(&hub, &session, Bounds::default()).await;
    for _ in 0..4 {
        here.put(vec![1; 1 << 20]).await.expect("there is room");
    }
    tokio::time::timeout(PATIENCE, hub.shut_down(Goodbye::Done)).await.expect("it leaves");
    // What came is there.
    assert!(channel.get().await.is_ok());
}

#[tokio::test]
async fn what_is_posted_and_what_follows_by_a_stream_is_read_in_order() {
    let lab = Lab::new();
    let mut peer = lab.peer().await;
    // Before the link is known, and the stream before what it follows.
    let last = message(3);
    let mut end = last.clone();
    codec::put_end(&mut end, End::Closed);
    let _rest = peer.opens(&Head::Rest(LinkId(0)), end).await;
    let mut post = peer.opens(&Head::Post, posted(|bytes| codec::put_posted(bytes, LinkId(0), b"a"))).await;
    peer.is_heard().await;
    peer.looks_up("kept", LinkId(0)).await;
    let channel = lab.kept().await;
    assert_eq!(gets(&channel).await, b"a");
    peer.is_heard().await;
    assert_eq!(channel.pending(), 0, "it follows on what has not come");
    let more = posted(|bytes| {
        codec::put_posted(bytes, LinkId(0), b"b");
        codec::put_posted_rest(bytes, LinkId(0));
    });
    post.write_all(&more).await.expect("it is taken");
    assert_eq!(gets(&channel).await, b"b");
    assert_eq!(gets(&channel).await, [0; 3]);
    assert!(channel.get().await.is_err(), "it has ended");
    // What others post goes on.
    peer.looks_up("kept", LinkId(2)).await;
    let all = posted(|bytes| {
        codec::put_posted(bytes, LinkId(2), b"c");
        codec::put_posted_end(bytes, LinkId(2), End::Closed);
    });
    post.write_all(&all).await.expect("it is taken");
    let channel = lab.kept().await;
    assert_eq!(gets(&channel).await, b"c");
    assert!(channel.get().await.is_err(), "it has ended");
}

#[tokio::test]
async fn who_posts_what_may_not_be_loses_its_session() {
    let lab = Lab::new();
    let after = posted(|bytes| {
        codec::put_posted_rest(bytes, LinkId(0));
        codec::put_posted(bytes, LinkId(0), b"a");
    });
    let beyond = posted(|bytes| (0..3 * WINDOW / (16 << 10)).for_each(|_| codec::put_posted(bytes, LinkId(0), &[0; 16 << 10])));
    for (bytes, says) in [
        (after, "something posted for a channel after the last"),
        (beyond, "more on a channel than it was allowed to send"),
        (message(3), "a frame of the unknown kind 3"),
    ] {
        let mut peer = lab.peer().await;
        peer.looks_up("kept", LinkId(0)).await;
        let _post = peer.opens(&Head::Post, bytes).await;
        peer.hears(|control| is_breach(control, says)).await;
    }
    let mut peer = lab.peer().await;
    let _posts = (peer.opens(&Head::Post, Vec::new()).await, peer.opens(&Head::Post, Vec::new()).await);
    peer.hears(|control| is_breach(control, "a second stream of what is posted")).await;
    let mut peer = lab.peer().await;
    peer.looks_up("kept", LinkId(0)).await;
    let _streams = (peer.sends(LinkId(0), message(1)).await, peer.sends(LinkId(0), message(1)).await);
    peer.hears(|control| is_breach(control, "a second stream for a channel")).await;
}

#[tokio::test]
async fn ends_that_are_posted_after_their_link_are_closed() {
    let lab = Lab::new();
    let mut peer = lab.peer().await;
    peer.looks_up("dropped", LinkId(0)).await;
    peer.ends(LinkId(0)).await;
    let with_end = |link, end| {
        let attachments = Attachments { links: vec![LinkId(end)], blobs: Vec::new() };
        posted(|bytes| codec::put_posted_attached(bytes, LinkId(link), &attachments, b""))
    };
    let mut post = peer.opens(&Head::Post, with_end(0, 2)).await;
    peer.ends(LinkId(2)).await;
    // Also behind what there is no memory for, and where the reader has gone and the link has not.
    peer.looks_up("dropped", LinkId(4)).await;
    peer.hears(|control| *control == Control::Gone(LinkId(4), End::Closed)).await;
    post.write_all(&with_end(4, 6)).await.expect("it is taken");
    peer.ends(LinkId(6)).await;
    post.write_all(&posted(|bytes| codec::put_posted_end(bytes, LinkId(4), End::Closed))).await.expect("it is taken");
    lab.is_still().await;
}

#[tokio::test]
async fn what_is_posted_for_links_that_are_not_known_is_kept_within_bounds() {
    const EACH: usize = 64;
    let lab = Lab::new();
    let mut peer = lab.peer().await;
    // Twice what is kept, and one whose link is known behind it.
    let links = (0..8).map(|n| LinkId(2 * n + 2));
    peer.looks_up("kept", LinkId(0)).await;
    let known = lab.kept().await;
    let all = posted(|bytes| {
        links.clone().for_each(|link| (0..EACH).for_each(|_| codec::put_posted(bytes, link, &[1; 15 << 10])));
        codec::put_posted(bytes, LinkId(0), b"behind");
    });
    let mut post = peer.opens(&Head::Post, Vec::new()).await;
    let written = tokio::spawn(async move { post.write_all(&all).await.map(|()| post) });
    let session = lab.session();
    let full = async {
        while !session.parked.is_full() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, full).await.expect("it keeps what comes");
    peer.is_heard().await;
    assert_eq!(known.pending(), 0, "all of it is kept");
    for link in links {
        peer.looks_up("kept", link).await;
        let channel = lab.kept().await;
        for _ in 0..EACH {
            assert_eq!(gets(&channel).await.len(), 15 << 10);
        }
    }
    assert_eq!(gets(&known).await, b"behind");
    written.await.expect("it does not panic").expect("it is taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn short_and_long_messages_of_a_channel_keep_their_order() {
    let lab = Lab::new();
    let (hub, _places, session) = lab.node().await;
    let mut readers = Vec::new();
    for first_long in [0_u32, 1, 40, 1000] {
        let (here, channel) = lab.channel(&hub, &session, Bounds::default()).await;
        readers.push(tokio::spawn(async move {
            for n in 0..200_u32 {
                let message = gets(&channel).await;
                assert_eq!(message[..4], n.to_le_bytes());
            }
            assert!(channel.get().await.is_err(), "it has ended");
        }));
        for n in 0..200_u32 {
            let mut message = n.to_le_bytes().to_vec();
            message.resize(if n >= first_long && n % 3 == first_long % 3 { 40 << 10 } else { 10 }, 7);
            here.put(message).await.expect("somebody reads");
        }
    }
    for reader in readers {
        reader.await.expect("it does not panic");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_posted_arrives_before_a_goodbye() {
    for _ in 0..20 {
        let lab = Lab::new();
        let (hub, _places, session) = lab.node().await;
        let (here, channel) = lab.channel(&hub, &session, Bounds { messages: 1000, bytes: 1 << 30 }).await;
        for n in 0..100_u8 {
            here.put(vec![n; 10]).await.expect("there is room");
        }
        hub.shut_down(Goodbye::Done).await;
        for n in 0..100_u8 {
            assert_eq!(gets(&channel).await, [n; 10]);
        }
        assert_eq!(channel.get().await.map(|message| message.data), Err(GetError::NodeLost));
    }
}

#[tokio::test]
async fn a_death_that_hits_a_thousand_places_is_told_to_their_node_once() {
    let lab = Lab::new();
    let mut peer = lab.peer().await;
    let all: Vec<_> = (0..1000).map(RequestId).collect();
    let why = Some("a place that it is linked to ended".to_owned());
    for request in &all {
        lab.hub.tell(lab.session().key(), Control::Kill(vec![*request], why.clone()));
    }
    assert_eq!(peer.hears(|control| matches!(control, Control::Kill(..))).await, Control::Kill(all, why));
    peer.is_heard().await;
    assert!(!peer.frames.iter().any(|control| matches!(control, Control::Kill(..))), "{:?}", peer.frames);
}
