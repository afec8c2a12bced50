//! A member of a cluster that says whatever a test wants: the frames of the protocol by hand, over a connection that has the
//! certificate of one of the cluster's nodes.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use placehost::net::endpoint::bare;
use placehost::net::trust::identity::Identity;
use placehost_proto::codec::{self, ControlFrame, Decoder};
use placehost_proto::frame::{Answer, Ask, Goodbye, Head, Spawn, SpawnGrants, VERSIONS};
use placehost_proto::{Control, Digest, Hello, LinkId, NodeId, PlaceId, RequestId};
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::lab::Lab;

/// Nobody waits longer for a node. Reaching it is a failure: something hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where all members live.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("there are threads"));

/// Does what members do.
#[track_caller]
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    RUNTIME.block_on(async { timeout(PATIENCE, work).await.expect("a node does not answer") })
}

/// A machine with a certificate of the cluster.
pub(crate) struct Machine {
    endpoint: Endpoint,
    server_name: String,
}

/// A session with a node, which is answered when it asks whether somebody is there.
pub(crate) struct Member {
    pub(crate) connection: Connection,
    written: UnboundedSender<Vec<u8>>,
    heard: UnboundedReceiver<Control>,
    next: u64,
}

/// Tells all members apart.
static MEMBERS: AtomicU64 = AtomicU64::new(1);

impl Machine {
    pub(crate) fn of(lab: &Lab) -> Self {
        let identity = Identity::load(Path::new(&lab.file(""))).expect("it is in the cluster");
        let server_name = identity.server_name();
        let _inside = RUNTIME.enter();
        let endpoint = bare(Some("127.0.0.1:0".parse().expect("it is an address")), &Arc::new(identity)).expect("there is a socket");
        Self { endpoint, server_name }
    }

    /// A connection with a node on which nothing has been said.
    pub(crate) async fn connect(&self, address: &str) -> Connection {
        let address: SocketAddr = address.parse().expect("it is an address");
        self.endpoint.connect(address, &self.server_name).expect("it can be tried").await.expect("it is a member")
    }

    /// A session, with all courtesy.
    pub(crate) async fn meet(&self, address: &str) -> Member {
        let connection = self.connect(address).await;
        let (send, receive) = connection.open_bi().await.expect("the first stream is for control");
        let (written, writes) = unbounded_channel();
        let (hears, heard) = unbounded_channel();
        tokio::spawn(write(send, writes));
        tokio::spawn(read(receive, written.clone(), hears));
        let mut member = Member { connection, written, heard, next: 0 };
        let number = MEMBERS.fetch_add(1, Ordering::Relaxed);
        let node = NodeId(u128::from(number) << 96);
        let hello = Hello { versions: VERSIONS, release: "hostile".into(), node, name: "hostile".into(), addresses: Vec::new() };
        let mut bytes = Vec::new();
        codec::put_hello(&mut bytes, &hello);
        member.write(bytes);
        member.tell(&Control::Ping(0));
        // The node's own list is the first that it says, or the answer to the ping.
        member.hear(|control| matches!(control, Control::Pong(0)).then_some(())).await;
        member
    }
}

impl Member {
    /// Writes to the control stream.
    pub(crate) fn write(&self, bytes: Vec<u8>) {
        // A node that has sent us away reads no more.
        let _ = self.written.send(bytes);
    }

    pub(crate) fn tell(&self, control: &Control) {
        let mut bytes = Vec::new();
        codec::put_control(&mut bytes, control);
        self.write(bytes);
    }

    /// Waits until the node says this.
    pub(crate) async fn hear<T>(&mut self, mut wanted: impl FnMut(Control) -> Option<T>) -> T {
        loop {
            let heard = self.heard.recv().await.expect("the node goes on");
            assert!(!matches!(heard, Control::Goodbye(_)), "the node ends the session: {heard:?}");
            if let Some(found) = wanted(heard) {
                return found;
            }
        }
    }

    /// Waits until the node ends the session; why.
    pub(crate) async fn goodbye(mut self) -> Goodbye {
        while let Some(heard) = self.heard.recv().await {
            if let Control::Goodbye(why) = heard {
                self.leave();
                return why;
            }
        }
        panic!("the node ends the session without a word: {:?}", self.connection.close_reason());
    }

    /// Goes without a word.
    pub(crate) fn leave(self) {
        self.connection.close(0_u8.into(), b"");
    }

    /// A name for a request, and one for a link.
    pub(crate) fn names(&mut self) -> (RequestId, LinkId) {
        self.next += 1;
        (RequestId(self.next), LinkId(2 * (self.next - 1)))
    }

    pub(crate) fn ask(&mut self, ask: Ask) -> RequestId {
        let (request, _) = self.names();
        self.tell(&Control::Ask(request, ask));
        request
    }

    /// Waits for the answer to a request.
    pub(crate) async fn answer(&mut self, to: RequestId) -> Answer {
        self.hear(|control| match control {
            Control::Answer(request, answer) if request == to => Some(answer),
            _ => None,
        })
        .await
    }

    /// Has a place started, and ships the module if the node wants it. The link with it is the last whose name was given.
    pub(crate) async fn start(&mut self, module: &[u8], start: &str) -> (PlaceId, LinkId) {
        let digest = Digest::of(module);
        let (request, link) = self.names();
        self.tell(&Control::Ask(request, Ask::Spawn(Box::new(order(digest, module.len(), start, link)))));
        loop {
            let next = self.hear(|control| match control {
                Control::Want(wanted) if wanted == digest => Some(None),
                Control::Answer(to, answer) if to == request => Some(Some(answer)),
                _ => None,
            });
            match next.await {
                None => self.ship(digest, module.len(), module).await,
                Some(Answer::Started { place, .. }) => return (place, link),
                Some(answer) => panic!("the place is not started: {answer:?}"),
            }
        }
    }

    /// Sends a module, or what it says is one.
    pub(crate) async fn ship(&self, digest: Digest, size: usize, bytes: &[u8]) {
        let mut stream = self.stream(&Head::Module { digest, size: size as u64 }).await;
        // A node that has seen enough does not read the rest.
        let _ = stream.write_all(bytes).await;
        let _ = stream.finish();
    }

    /// A stream that begins so.
    pub(crate) async fn stream(&self, head: &Head) -> SendStream {
        let mut bytes = Vec::new();
        codec::put_head(&mut bytes, head);
        self.raw_stream(&bytes).await
    }

    pub(crate) async fn raw_stream(&self, begin: &[u8]) -> SendStream {
        let mut stream = self.connection.open_uni().await.expect("the node goes on");
        // It may have been sent away for what it said before.
        let _ = stream.write_all(begin).await;
        stream
    }
}

/// An order for a place that is to have nothing, and little memory.
pub(crate) fn order(module: Digest, size: usize, start: &str, link: LinkId) -> Spawn {
    Spawn {
        module,
        size: size as u64,
        file: "hostile.wasm".into(),
        start: start.into(),
        args: Vec::new(),
        memory: 4 << 20,
        deadline: None,
        fuel: None,
        bounds: (1024, 8 << 20),
        grants: SpawnGrants::default(),
        name: None,
        detached: false,
        log_to_parent: false,
        seq: None,
        link,
    }
}

async fn write(mut stream: SendStream, mut writes: UnboundedReceiver<Vec<u8>>) {
    while let Some(bytes) = writes.recv().await {
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn read(mut stream: RecvStream, answer: UnboundedSender<Vec<u8>>, hears: UnboundedSender<Control>) {
    let mut decoder = Decoder::default();
    while let Ok(Some(chunk)) = stream.read_chunk(1 << 16, true).await {
        let mut bytes = &chunk.bytes[..];
        while let Some(frame) = decoder.next(&mut bytes).expect("a node says what makes sense") {
            match frame {
                ControlFrame::Control(Control::Ping(number)) => {
                    let mut pong = Vec::new();
                    codec::put_control(&mut pong, &Control::Pong(number));
                    let _ = answer.send(pong);
                }
                // A test that has seen enough does not listen.
                ControlFrame::Control(control) => drop(hears.send(control)),
                ControlFrame::Hello(_) => {}
            }
        }
    }
}
