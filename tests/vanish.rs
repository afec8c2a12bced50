//! Clients that vanish: a thousand that connect, start a place, and are gone, each without a word. Nothing is left of them.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use placehost::net::trust::identity::Identity;
use placehost::{Host, NetworkConfig};
use placehost_proto::LinkId;
use placehost_proto::codec;
use placehost_proto::frame::Head;
use tokio::runtime::Builder;

use crate::bad_line::{BadLine, Badness};
use crate::far::Talk;
use crate::harness::guest;
use crate::held::Held;
use crate::lab::{Lab, until};
use crate::member::{Machine, Member, run};

/// So many are there at once.
const BATCH: usize = 125;
/// A line that is not bad, but can be cut.
const GOOD: Badness = Badness { delay: Duration::ZERO, late: 0, lost: 0, doubled: 0, seed: 1 };

/// Connects, starts a place, and has something under way in every direction.
async fn visit(machine: &Machine, module: &[u8], address: &str) -> Member {
    let mut member = machine.meet(address).await;
    let (_, link) = member.start(module, "reads-nothing").await;
    let mut begin = Vec::new();
    codec::put_head(&mut begin, &Head::Link(link));
    codec::put_message_header(&mut begin, 1000);
    // Half of a message, and a stream of a link that never comes.
    member.raw_stream(&[&begin[..], &[7; 500]].concat()).await;
    member.stream(&Head::Link(LinkId(link.0 + 2))).await;
    member
}

/// So many come by a line to a node; then half of them go without a word, and from the rest nothing is heard any more.
fn vanish(machine: &Machine, module: &[u8], address: &str) {
    let line = BadLine::new(address.parse().expect("it is an address"), GOOD);
    let by_line = line.address.to_string();
    let members = run(async {
        let mut members = Vec::new();
        for _ in 0..BATCH {
            members.push(visit(machine, module, &by_line).await);
        }
        members
    });
    let mut members = members.into_iter();
    members.by_ref().take(BATCH / 2).for_each(Member::leave);
    drop(line);
    members.for_each(Member::leave);
}

#[test]
fn a_thousand_clients_that_vanish_leave_nothing() {
    let lab = Lab::new();
    let node = lab.node(&["--timeout", "1s"]);
    let (machine, module) = (Machine::of(&lab), fs::read(guest("partition")).expect("it can be read"));
    let mut honest = Talk::start(lab.run("any_double", "any_double", &node.address, &[]));
    let mut rest = || {
        lab.has_places(&node, 1);
        honest.put("[1, 2, 4]");
        assert_eq!(honest.get(), "true");
    };
    (0..4).for_each(|_| vanish(&machine, &module, &node.address));
    rest();
    let before = Held::by(&node);
    (0..1000 / BATCH).for_each(|_| vanish(&machine, &module, &node.address));
    rest();
    before.is_all(&node);
    honest.ends_well();
    node.signal("-TERM");
    let ended = node.end();
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
}

#[test]
fn commands_that_are_killed_leave_nothing_on_their_node() {
    let lab = Lab::new();
    let node = lab.node(&["--timeout", "1s"]);
    let killed = |count: usize| {
        let batch: Vec<_> = (0..count).map(|_| Talk::start(lab.run("lives", "waits-for-many", &node.address, &[]))).collect();
        for mut talk in batch {
            assert_eq!(talk.get(), "null");
            talk.kill();
        }
        lab.has_places(&node, 0);
    };
    killed(12);
    let before = Held::by(&node);
    (0..3).for_each(|_| killed(12));
    before.is_all(&node);
    lab.run("lives", "returns", &node.address, &[]).fails(0, &[]);
}

#[test]
fn of_clients_that_vanish_no_task_is_left() {
    let lab = Lab::new();
    let runtime = Builder::new_multi_thread().enable_all().build().expect("there are threads");
    let identity = Identity::load(lab.path().join("home").as_path()).expect("it is in the cluster");
    let mut config = NetworkConfig::new(Arc::new(identity));
    config.listen = Some("127.0.0.1:0".parse().expect("it is an address"));
    config.timeout = Duration::from_secs(1);
    let host = {
        let _inside = runtime.enter();
        Host::builder().max_places(200).network(config).build().expect("there is room for a host")
    };
    runtime.block_on(host.listen()).expect("there is a socket");
    let address = host.local_address().expect("it listens").to_string();
    let (machine, module) = (Machine::of(&lab), fs::read(guest("partition")).expect("it can be read"));
    vanish(&machine, &module, &address);
    let tasks = || runtime.metrics().num_alive_tasks();
    until(|| host.places() == 0);
    // Those of the host itself.
    until(|| tasks() < 10);
    let before = tasks();
    vanish(&machine, &module, &address);
    until(|| host.places() == 0 && tasks() <= before);
}
