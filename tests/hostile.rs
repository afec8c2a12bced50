//! Members of the cluster that lie, and break the protocol in every way: each is sent away with the reason or gets nothing, the node
//! lives and serves who is honest meanwhile and afterwards, and nothing is left of the liar.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use placehost_proto::codec::{self, Attachments};
use placehost_proto::frame::{Answer, Ask, Before, End, Exit, Goodbye, Head, Introduce, MAX_MODULE, Refusal, Spawn, WINDOW};
use placehost_proto::{Control, Digest, Fingerprint, LinkId, NodeId, PlaceId, RequestId};
use tokio::time::timeout;

use crate::far::Talk;
use crate::harness::guest;
use crate::held::Held;
use crate::lab::{Lab, Node};
use crate::member::{Machine, Member, order, run};

/// A node, and who lies to it.
struct Stage {
    lab: Lab,
    node: Node,
    machine: Machine,
}

/// What a liar may make a node take at once, in KiB.
const AT_MOST: u64 = 256 << 10;
/// What one who names all the links that a session may have can make it take at once, in KiB: half of what three would.
const ALL_LINKS: u64 = 640 << 10;
/// How long the honest wait between two requests.
const PAUSE: Duration = Duration::from_millis(5);

impl Stage {
    /// With a node that has been used, so that what it keeps for later is there.
    fn new(options: &[&str]) -> Self {
        let lab = Lab::new();
        let cache = lab.path().join("cache");
        let started = lab.placehost(&[&["node", "--listen", "127.0.0.1:0"], options].concat());
        let node = Node::start(started.env("PLACEHOST_CACHE", cache.to_str().expect("its path is text")));
        let machine = Machine::of(&lab);
        run(async {
            let mut member = machine.meet(&node.address).await;
            member.start(&module(), "reads-nothing").await;
            member.leave();
        });
        Self { lab, node, machine }
    }

    /// Somebody who has a place there, and does not lie.
    fn honest(&self) -> Talk {
        let mut honest = Talk::start(self.lab.run("any_double", "any_double", &self.node.address, &[]));
        is_served(&mut honest);
        honest
    }

    fn member(&self) -> Member {
        run(self.machine.meet(&self.node.address))
    }

    /// The files of the modules that the node keeps.
    fn modules(&self) -> Vec<PathBuf> {
        let folder = fs::read_dir(self.lab.path().join("cache/modules")).expect("it is a folder");
        let mut files: Vec<_> = folder.map(|file| file.expect("it can be read").path()).collect();
        files.sort();
        files
    }

    /// Lets somebody lie while the honest one is served. Then others are too, and nobody else has anything there.
    #[track_caller]
    fn bears(&self, honest: &mut Talk, lies: &impl Fn(&Self)) {
        let (end, over) = mpsc::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                while over.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                    is_served(honest);
                }
            });
            lies(self);
            drop(end);
        });
        self.lab.run("any_double", "any_double", &self.node.address, &["--send", "[1, 2, 4]"]).prints("true\n");
        self.lab.has_places(&self.node, 1);
    }
}

/// Lets somebody lie to a node twice: what it keeps for later, such as memory that is free, it has after the first time.
#[track_caller]
fn survives(options: &[&str], lies: impl Fn(&Stage)) {
    survives_within(AT_MOST, options, lies);
}

/// The same, where the lies may take more at once.
fn survives_within(at_most: u64, options: &[&str], lies: impl Fn(&Stage)) {
    let stage = Stage::new(options);
    let mut honest = stage.honest();
    stage.bears(&mut honest, &lies);
    let before = Held::by(&stage.node);
    before.forget_peak(&stage.node);
    stage.bears(&mut honest, &lies);
    let peak = Held::by(&stage.node).peak;
    assert!(peak < before.memory + at_most, "it took {peak} KiB at once, after {}", before.memory);
    before.is_all(&stage.node);
    honest.ends_well();
    stage.node.signal("-TERM");
    let ended = stage.node.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[track_caller]
fn is_served(honest: &mut Talk) {
    honest.put("[1, 2, 4]");
    assert_eq!(honest.get(), "true");
}

fn module() -> Vec<u8> {
    fs::read(guest("partition")).expect("it can be read")
}

/// A module that nobody has seen before: the one in this file, with a custom section of its own.
pub(crate) fn unknown(file: &Path) -> Vec<u8> {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let number = u64::from(std::process::id()) << 32 | COUNT.fetch_add(1, Ordering::Relaxed);
    let mut module = fs::read(file).expect("it can be read");
    module.extend([0, 10, 1, b'n']);
    module.extend(number.to_le_bytes());
    module
}

/// Adds a custom section of so many zeros to a module.
pub(crate) fn section(module: &mut Vec<u8>, size: usize) {
    let length = size + 1;
    module.push(0);
    // LEB128, in five bytes.
    module.extend([0, 7, 14, 21].map(|bits| (length >> bits) as u8 | 0x80));
    module.push((length >> 28) as u8);
    // Its name is empty.
    module.push(0);
    module.resize(module.len() + size, 0);
}

/// The frame that a function of the codec writes.
fn frame(put: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(&mut bytes);
    bytes
}

fn control(control: &Control) -> Vec<u8> {
    frame(|out| codec::put_control(out, control))
}

fn head(head: &Head) -> Vec<u8> {
    frame(|out| codec::put_head(out, head))
}

/// The same frame, which says that it is longer than any may be.
fn endless(mut frame: Vec<u8>) -> Vec<u8> {
    frame[1..5].copy_from_slice(&u32::MAX.to_le_bytes());
    frame
}

/// Noise that is the same each time.
fn noise(length: usize) -> Vec<u8> {
    (1..=length as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

#[track_caller]
fn is_sent_away(member: Member, says: &str) {
    let why = run(member.goodbye());
    assert!(matches!(&why, Goodbye::Protocol(text) if text.contains(says)), "`{says}` is not in: {why:?}");
}

#[test]
fn lengths_beyond_all_limits_end_the_session() {
    survives(&[], |stage| {
        let too_long = "a frame of 4294967295 bytes, where at most ";
        let member = stage.member();
        member.write(endless(control(&Control::Ping(1))));
        is_sent_away(member, too_long);
        let member = stage.member();
        let _stream = run(member.raw_stream(&endless(head(&Head::Link(LinkId(0))))));
        is_sent_away(member, too_long);
        for frame in [
            frame(|out| codec::put_message_header(out, 0)),
            frame(|out| codec::put_attached_header(out, &Attachments::default(), 0)),
            frame(|out| codec::put_end(out, End::Closed)),
        ] {
            let mut member = stage.member();
            let _stream = run(async {
                let (_, link) = member.start(&module(), "reads-nothing").await;
                member.raw_stream(&[head(&Head::Link(link)), endless(frame)].concat()).await
            });
            is_sent_away(member, too_long);
        }
        for frame in [
            frame(|out| codec::put_posted(out, LinkId(0), b"")),
            frame(|out| codec::put_posted_attached(out, LinkId(0), &Attachments::default(), b"")),
            frame(|out| codec::put_posted_end(out, LinkId(0), End::Closed)),
            frame(|out| codec::put_posted_rest(out, LinkId(0))),
        ] {
            let member = stage.member();
            let _stream = run(member.raw_stream(&[head(&Head::Post), endless(frame)].concat()));
            is_sent_away(member, too_long);
        }
    });
}

#[test]
fn a_length_that_is_allowed_costs_nothing_until_the_bytes_come() {
    survives(&[], |stage| {
        let mut member = stage.member();
        run(async {
            for _ in 0..20 {
                let (_, link) = member.start(&module(), "reads-nothing").await;
                let announced = frame(|out| codec::put_message_header(out, 64 << 20));
                member.raw_stream(&[head(&Head::Link(link)), announced].concat()).await;
            }
        });
        stage.lab.has_places(&stage.node, 21);
        member.leave();
    });
}

#[test]
fn garbage_ends_the_session() {
    survives(&[], |stage| {
        let unknown = [&[0xee], &noise(5000)[..]].concat();
        let senseless = |mut frame: Vec<u8>| {
            frame[5..].fill(0xff);
            frame
        };
        let member = stage.member();
        member.write(unknown.clone());
        is_sent_away(member, "a frame of the unknown kind 238");
        let member = stage.member();
        member.write(senseless(control(&Control::CannotShip(Digest([0; 32]), "why".into()))));
        is_sent_away(member, "a frame that makes no sense");
        for (bytes, says) in [
            (unknown.clone(), "a frame of the unknown kind 238"),
            (senseless(head(&Head::Module { digest: Digest([0; 32]), size: 5 })), "a frame that makes no sense"),
            ([head(&Head::Post), unknown.clone()].concat(), "a frame of the unknown kind 238"),
            ([head(&Head::Post), senseless(frame(|out| codec::put_posted_rest(out, LinkId(0))))].concat(), "a frame that makes no sense"),
        ] {
            let member = stage.member();
            let _stream = run(member.raw_stream(&bytes));
            is_sent_away(member, says);
        }
        for (bytes, says) in [
            (unknown, "a frame of the unknown kind 238"),
            (senseless(frame(|out| codec::put_end(out, End::Closed))), "a frame that makes no sense"),
            // Attachments that are longer than their message.
            (senseless(frame(|out| codec::put_attached_header(out, &Attachments::default(), 0))), "a frame that makes no sense"),
        ] {
            let mut member = stage.member();
            let _stream = run(async {
                let (_, link) = member.start(&module(), "reads-nothing").await;
                member.raw_stream(&[head(&Head::Link(link)), bytes].concat()).await
            });
            is_sent_away(member, says);
        }
    });
}

#[test]
fn what_is_posted_for_nobody_is_kept_within_bounds() {
    // What is kept, what waits in the stream, and what the allocator makes of both.
    survives_within(32 << 10, &[], |stage| {
        let mut member = stage.member();
        run(async {
            let mut post = member.stream(&Head::Post).await;
            let pieces: Vec<u8> = (0..64).flat_map(|n| frame(|out| codec::put_posted(out, LinkId(2 * n), &noise(16 << 10)))).collect();
            // 256 MiB, of which the node takes what it may.
            let all = async {
                for _ in 0..256 {
                    post.write_all(&pieces).await.expect("the node goes on");
                }
            };
            assert!(timeout(Duration::from_millis(300), all).await.is_err(), "it takes all");
            member.tell(&Control::Ping(7));
            member.hear(|control| matches!(control, Control::Pong(7)).then_some(())).await;
        });
        member.leave();
    });
}

#[test]
fn who_does_not_greet_gets_nowhere() {
    survives(&["--timeout", "1s"], |stage| {
        run(async {
            // Nothing; other words; and no end of them.
            let silent = stage.machine.connect(&stage.node.address).await;
            let other = stage.machine.connect(&stage.node.address).await;
            let (mut send, _receive) = other.open_bi().await.expect("the first stream is for control");
            send.write_all(b"GET / HTTP/1.1\r\nHost: host1\r\n\r\n").await.expect("it reads");
            let early = stage.machine.connect(&stage.node.address).await;
            let (mut send, _receive) = early.open_bi().await.expect("the first stream is for control");
            send.write_all(&control(&Control::Ask(RequestId(1), Ask::List))).await.expect("it reads");
            for connection in [silent, other, early] {
                assert!(connection.open_uni().await.is_err(), "it may open another stream");
                assert!(connection.accept_uni().await.is_err(), "it is told something");
            }
        });
    });
}

#[test]
fn a_module_that_is_not_what_was_wanted_is_not_believed() {
    survives(&[], |stage| {
        let kept = stage.modules();
        let real = unknown(&guest("hello_world"));
        let digest = Digest::of(&real);
        let changed: Vec<_> = real.iter().enumerate().map(|(at, byte)| if at == real.len() / 2 { !byte } else { *byte }).collect();
        for (bytes, size, says) in [
            (&changed[..], real.len(), "a module whose digest is wrong"),
            (&real[..real.len() - 1], real.len(), "a module of another size than announced"),
            (&real[..0], real.len(), "a module of another size than announced"),
            (&real[..], real.len() - 1, "a module of another size than announced"),
            (&real[..], MAX_MODULE as usize + 1, "a module that nobody wants"),
        ] {
            let mut member = stage.member();
            run(async {
                let (request, link) = member.names();
                member.tell(&Control::Ask(request, Ask::Spawn(Box::new(order(digest, real.len(), "hello-world", link)))));
                member.hear(|control| (control == Control::Want(digest)).then_some(())).await;
                member.ship(digest, size, bytes).await;
            });
            is_sent_away(member, says);
        }
        // Nobody asked for it.
        let member = stage.member();
        run(member.ship(digest, real.len(), &real));
        is_sent_away(member, "a module that nobody wants");
        // It stops half way, and says so.
        let mut member = stage.member();
        let answer = run(async {
            let (request, link) = member.names();
            member.tell(&Control::Ask(request, Ask::Spawn(Box::new(order(digest, real.len(), "hello-world", link)))));
            member.hear(|control| (control == Control::Want(digest)).then_some(())).await;
            let mut stream = member.stream(&Head::Module { digest, size: real.len() as u64 }).await;
            stream.write_all(&real[..real.len() / 2]).await.expect("it reads");
            stream.reset(0_u8.into()).expect("it is open");
            // If that has overtaken the stream's head, nobody there knows what it was.
            member.tell(&Control::CannotShip(digest, "it broke".into()));
            member.answer(request).await
        });
        assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");
        member.leave();
        assert_eq!(stage.modules(), kept, "nothing is kept of what was not believed");
    });
}

#[test]
fn who_has_a_module_that_others_lied_about_starts_it() {
    let stage = Stage::new(&[]);
    let real = unknown(&guest("hello_world"));
    let (file, digest) = (stage.lab.path().join("real.wasm"), Digest::of(&real));
    fs::write(&file, &real).expect("there is room");
    let mut waiting = stage.member();
    run(async {
        let (request, link) = waiting.names();
        waiting.tell(&Control::Ask(request, Ask::Spawn(Box::new(order(digest, real.len(), "main", link)))));
        waiting.hear(|control| (control == Control::Want(digest)).then_some(())).await;
    });
    let kept = stage.modules().len();
    // That one of whom the node waits for it never ships it makes nobody else wait.
    let started = stage.lab.placehost(&["run", file.to_str().expect("its path is text"), "main", "--at", &stage.node.address]);
    assert!(started.fails(0, &[]).stdout.contains("main received: Hello World\n"));
    assert_eq!(stage.modules().len(), kept + 1);
    run(waiting.ship(digest, real.len(), &noise(real.len())));
    is_sent_away(waiting, "a module whose digest is wrong");
    let started = stage.lab.placehost(&["run", file.to_str().expect("its path is text"), "main", "--at", &stage.node.address]);
    started.fails(0, &[]);
}

#[test]
fn a_blob_that_is_not_what_was_announced_is_not_believed() {
    survives(&[], |stage| {
        let bytes = noise(100_000);
        let size = bytes.len() as u64;
        for (digest, size, says) in [
            (Digest::of(b"another"), size, "a blob whose digest is wrong"),
            (Digest::of(&bytes), size + 1, "a blob of another size than announced"),
            (Digest::of(&bytes), size - 1, "a blob of another size than announced"),
            (Digest::of(&bytes), u64::MAX, "for which this node has no memory left"),
        ] {
            let member = stage.member();
            run(async {
                let mut stream = member.stream(&Head::Blob { number: 0, digest, size }).await;
                let _ = stream.write_all(&bytes).await;
                let _ = stream.finish();
            });
            is_sent_away(member, says);
        }
        // So many that nobody waits for, as fit into what a session may have: then no more.
        let member = stage.member();
        run(async {
            let size = bytes.len() as u64;
            for number in 0..200 {
                let mut stream = member.stream(&Head::Blob { number, digest: Digest::of(&bytes), size }).await;
                stream.write_all(&bytes).await.expect("it reads");
                stream.finish().expect("it is open");
            }
            let _ = member.stream(&Head::Blob { number: 7, digest: Digest::of(&bytes), size }).await.finish();
        });
        is_sent_away(member, "a blob");
    });
}

#[test]
fn ten_thousand_streams_are_as_many_as_the_node_allows() {
    survives(&[], |stage| {
        let mut member = stage.member();
        let count = run(async {
            let (_, link) = member.start(&module(), "reads-nothing").await;
            // Some say nothing, some half of what they are, some are of links that may come, and of what has ended.
            let begin = head(&Head::Link(LinkId(100_000)));
            let begins = [Vec::new(), begin[..3].to_vec(), begin, head(&Head::Link(link)), head(&Head::Output(RequestId(1)))];
            let mut open = Vec::new();
            for begin in begins.iter().cycle().take(10_000) {
                // What the node does not allow waits here.
                match timeout(Duration::from_millis(300), member.raw_stream(begin)).await {
                    Ok(stream) => open.push(stream),
                    Err(_) => break,
                }
            }
            let held = open.len();
            // And ten thousand more, each of which ends.
            drop(open);
            for begin in begins.iter().cycle().take(10_000) {
                let mut stream = member.raw_stream(begin).await;
                stream.reset(0_u8.into()).expect("it is open");
            }
            held
        });
        assert!((1000..=4096).contains(&count), "{count} streams at once");
        member.leave();
    });
}

#[test]
fn a_storm_of_spawns_fills_the_node_and_no_more() {
    survives(&["--max-places", "32"], |stage| {
        let mut member = stage.member();
        let module = module();
        let digest = Digest::of(&module);
        let (mut started, mut refused) = (0, 0);
        run(async {
            member.start(&module, "reads-nothing").await;
            for _ in 0..5_000 {
                let (request, link) = member.names();
                member.tell(&Control::Ask(request, Ask::Spawn(Box::new(order(digest, module.len(), "reads-nothing", link)))));
            }
            for _ in 0..5_000 {
                let answer = member.hear(|control| match control {
                    Control::Answer(_, answer) => Some(answer),
                    _ => None,
                });
                match answer.await {
                    Answer::Started { .. } => started += 1,
                    Answer::Refused(Refusal::Limit(text)) => {
                        assert!(text.contains("32 places"), "{text}");
                        refused += 1;
                    }
                    other => panic!("{other:?}"),
                }
            }
        });
        // The one before, and that of the honest.
        assert_eq!((started, refused), (30, 4_970));
        stage.lab.has_places(&stage.node, 32);
        stage.lab.run("any_double", "any_double", &stage.node.address, &[]).fails(125, &["32 places"]);
        member.leave();
    });
}

#[test]
fn a_module_that_is_kept_is_read_once_however_many_ask_for_it() {
    let stage = Stage::new(&["--max-places", "32"]);
    // Of 24 MiB, in a file that a former life of the node could have left.
    let mut large = unknown(&guest("hello_world"));
    section(&mut large, 24 << 20);
    let digest = Digest::of(&large);
    fs::write(stage.lab.path().join(format!("cache/modules/{digest}.wasm")), &large).expect("there is room");
    let before = Held::by(&stage.node);
    before.forget_peak(&stage.node);
    let mut member = stage.member();
    run(async {
        for _ in 0..200 {
            let (request, link) = member.names();
            member.tell(&Control::Ask(request, Ask::Spawn(Box::new(order(digest, large.len(), "hello-world", link)))));
        }
        for _ in 0..200 {
            member.hear(|control| matches!(control, Control::Answer(..)).then_some(())).await;
        }
    });
    let peak = Held::by(&stage.node).peak;
    assert!(peak < before.memory + AT_MOST, "it took {peak} KiB at once, after {}", before.memory);
}

#[test]
fn orders_that_ask_for_everything_get_what_the_policy_allows() {
    survives(&[], |stage| {
        let mut member = stage.member();
        let module = module();
        let most = u64::MAX;
        run(async {
            let plain = |link| order(Digest::of(&module), module.len(), "reads-nothing", link);
            let (request, link) = member.names();
            let spawn = Spawn { memory: most, ..plain(link) };
            member.tell(&Control::Ask(request, Ask::Spawn(Box::new(spawn))));
            let answer = member.answer(request).await;
            assert!(matches!(&answer, Answer::Refused(Refusal::Limit(text)) if text.contains("of memory")), "{answer:?}");
            let (request, link) = member.names();
            let spawn = Spawn { size: most, module: Digest([7; 32]), ..plain(link) };
            member.tell(&Control::Ask(request, Ask::Spawn(Box::new(spawn))));
            let answer = member.answer(request).await;
            assert!(matches!(&answer, Answer::Refused(Refusal::Limit(text)) if text.contains("a module may have")), "{answer:?}");
            let (request, link) = member.names();
            let arguments = vec!["x".repeat(1000); 900];
            let spawn = Spawn { bounds: (most, most), deadline: Some(most), args: arguments, name: Some("x".repeat(256)), ..plain(link) };
            member.tell(&Control::Ask(request, Ask::Spawn(Box::new(spawn))));
            let answer = member.answer(request).await;
            assert!(matches!(&answer, Answer::Refused(_)), "{answer:?}");
            let (request, link) = member.names();
            let spawn = Spawn { bounds: (most, most), deadline: Some(most), ..plain(link) };
            member.tell(&Control::Ask(request, Ask::Spawn(Box::new(spawn))));
            let answer = member.answer(request).await;
            assert!(matches!(&answer, Answer::Started { .. }), "{answer:?}");
        });
        member.leave();
    });
}

#[test]
fn requests_that_are_never_done_with_are_limited() {
    // As many as a session may have open take 6 KiB each, with their channels, unless the node can use again what it took before.
    survives_within(8 << 16, &[], |stage| {
        let mut member = stage.member();
        // Each waits for a module that nobody ships.
        for number in 0..=65_536_u64 {
            let (request, link) = member.names();
            let digest = Digest::of(&number.to_le_bytes());
            member.tell(&Control::Ask(request, Ask::Spawn(Box::new(order(digest, 1000, "main", link)))));
        }
        is_sent_away(member, "too many");
    });
}

#[test]
fn nobody_reaches_what_belongs_to_others() {
    survives(&["--allow", "spawn,list"], |stage| {
        let row = &stage.lab.places(&stage.node)[0];
        let theirs = row["id"].as_str().expect("it is text");
        let mut member = stage.member();
        let (place, _) = run(member.start(&module(), "reads-nothing"));
        let (node, number) = theirs.split_once('.').expect("it has two parts");
        assert_eq!(place.node.to_string(), node);
        let honest = PlaceId { node: place.node, seq: number.parse().expect("it is a number") };
        run(async {
            let request = member.ask(Ask::KillPlace(honest));
            let answer = member.answer(request).await;
            assert!(matches!(&answer, Answer::Refused(Refusal::Denied(_))), "{answer:?}");
            let request = member.ask(Ask::Stop);
            let answer = member.answer(request).await;
            assert!(matches!(&answer, Answer::Refused(Refusal::Denied(_))), "{answer:?}");
            // Requests and links of every number, whoever may have them on another session.
            for number in 0..2_000 {
                let link = LinkId(number);
                member.tell(&Control::Kill(vec![RequestId(number + 1_000)], None));
                member.tell(&Control::Unwatch(RequestId(number + 1_000)));
                member.tell(&Control::Gone(LinkId(number + 1_000), End::Closed));
                member.tell(&Control::Credit(LinkId(number + 1_000), u64::MAX));
                let attach = Introduce::Attach { introducer: NodeId(number.into()), number, link: LinkId(2 * number + 10_000) };
                member.tell(&Control::Introduce(attach));
                if number % 10 == 0 && number > 0 {
                    let message = [head(&Head::Link(link)), frame(|out| codec::put_message_header(out, 2)), b"[]".to_vec()].concat();
                    let mut stream = member.raw_stream(&message).await;
                    let _ = stream.finish();
                }
            }
            // All of that has been heard.
            let request = member.ask(Ask::List);
            let answer = member.answer(request).await;
            let Answer::Listing { places, .. } = answer else { panic!("{answer:?}") };
            // A message that makes no sense would have ended the place of the honest.
            let ids: Vec<_> = places.iter().map(|row| row.id).collect();
            assert_eq!(ids, [honest, place]);
            assert_eq!(places[1].received + places[1].mailbox, 0);
        });
        member.leave();
    });
}

#[test]
fn what_is_said_of_what_was_never_asked_ends_the_session() {
    survives(&[], |stage| {
        let place = PlaceId { node: NodeId(1), seq: 1 };
        let numbered = Spawn { seq: Some(7), ..order(Digest([7; 32]), 1, "main", LinkId(0)) };
        for (lie, says) in [
            (Control::Ask(RequestId(0), Ask::Spawn(Box::new(numbered))), "a place with a number that was not spared"),
            (Control::Answer(RequestId(0), Answer::Done), "an answer to nothing that was asked"),
            (Control::Answer(RequestId(7), Answer::Started { place, spare: None }), "an answer to nothing that was asked"),
            (
                Control::Exited { requests: vec![RequestId(0)], reason: Exit::Returned, before: Before::default() },
                "the end of something that was not started",
            ),
        ] {
            let member = stage.member();
            member.tell(&lie);
            is_sent_away(member, says);
        }
        let member = stage.member();
        member.tell(&Control::Ask(RequestId(9), Ask::List));
        member.tell(&Control::Ask(RequestId(9), Ask::List));
        is_sent_away(member, "a request with a number that was used before");
        // These are believed of nobody, and end nothing.
        let mut member = stage.member();
        member.tell(&Control::CannotShip(Digest([1; 32]), "why".into()));
        member.tell(&Control::Want(Digest::of(&module())));
        member.tell(&Control::Pong(u64::MAX));
        member.tell(&Control::Revoked(noise(10_000)));
        member.tell(&Control::Introduce(Introduce::Forget { number: 7 }));
        member.tell(&Control::Introduce(Introduce::Meet {
            number: 7,
            link: LinkId(1),
            node: NodeId(5),
            key: Fingerprint([5; 32]),
            addresses: vec!["127.0.0.1:9".into()],
        }));
        run(member.hear(|control| matches!(control, Control::CannotShip(..)).then_some(())));
        member.leave();
    });
}

/// Sends a message that brings links of these names, by which the sender is sent away.
#[track_caller]
fn brings(stage: &Stage, names: impl IntoIterator<Item = u64>, says: &str) {
    let attachments = Attachments { links: names.into_iter().map(LinkId).collect(), blobs: Vec::new() };
    let mut member = stage.member();
    let _stream = run(async {
        let (_, link) = member.start(&module(), "reads-nothing").await;
        let message = frame(|out| codec::put_attached_header(out, &attachments, 0));
        member.raw_stream(&[head(&Head::Link(link)), message].concat()).await
    });
    is_sent_away(member, says);
}

#[test]
fn links_that_may_not_be_named_so_end_the_session() {
    survives(&[], |stage| {
        brings(stage, [1], "a link named by the wrong side");
        brings(stage, [100, 100], "a link that was named before");
        brings(stage, [u64::MAX - 1], "a link named too far ahead");
    });
}

#[test]
fn as_many_links_as_there_may_be_are_given_back() {
    let stage = Stage::new(&[]);
    let mut honest = stage.honest();
    for _ in 0..3 {
        stage.bears(&mut honest, &|stage| brings(stage, (1..200_000).map(|n| 2 * n), "too many links"));
    }
    // They take 3 KiB each, and the last ones what the first ones took.
    let peak = Held::by(&stage.node).peak;
    assert!(peak < ALL_LINKS, "it took {peak} KiB at once");
    honest.ends_well();
}

#[test]
fn who_sends_more_than_it_may_is_sent_away() {
    survives(&[], |stage| {
        let mut member = stage.member();
        let (sent, _stream) = run(async {
            let (_, link) = member.start(&module(), "reads-nothing").await;
            let mut stream = member.raw_stream(&head(&Head::Link(link))).await;
            let message = [frame(|out| codec::put_message_header(out, 1 << 20)), noise(1 << 20)].concat();
            let mut sent = 0_u64;
            while sent < 256 * WINDOW && stream.write_all(&message).await.is_ok() {
                sent += 1 << 20;
            }
            (sent, stream)
        });
        // What it may, what QUIC lets be under way, and what was written before the end was heard.
        assert!(sent < 32 * WINDOW, "it took {sent} bytes");
        is_sent_away(member, "more on a channel than it was allowed to send");
    });
}
