//! What one node does alone: names, detached places, links, monitors, and what can be seen of its places. Most claims are made by the
//! guest; here is what an embedder does, and sees.

use std::io;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use placehost::channel::GetError;
use placehost::{Activity, Channel, Host, LookupError, Module, NodeError, Output, Place, PlaceConfig, Sink, SpawnError, json};
use tokio::runtime::Runtime;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::harness::{guest, run};

claims! { "nodes":
    each_client_of_a_named_place_has_a_channel_of_its_own,
    many_clients_of_a_named_place_are_waited_for_at_once,
    a_name_is_not_given_twice,
    a_name_is_free_once_its_place_has_ended,
    whoever_waits_for_a_place_that_ends_is_told,
    what_is_no_name_is_refused,
    a_named_place_stays_open_without_its_parents_end,
    a_place_that_does_not_read_takes_no_more_clients_than_fit,
    a_detached_place_outlives_who_started_it,
    nobody_escapes_a_deadline_by_detaching,
    a_place_dies_of_one_that_it_is_linked_with,
    a_link_holds_in_both_directions,
    a_link_with_one_that_went_wrong_fires_at_once,
    a_link_is_undone,
    a_chain_of_links_ends_for_its_first_cause,
    a_place_is_watched_by_its_id,
    who_does_not_live_is_not_watched,
    this_node_is_a_node_like_any_other,
    other_nodes_are_reached_by_a_grant_alone,
    the_grant_of_nodes_is_passed_on_or_kept with ["--allow-nodes"],
}

/// Nothing takes longer, on a machine that does several things at once. Reaching it is a failure: something hangs.
const PATIENCE: Duration = Duration::from_secs(20);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("there are threads"));

/// Runs a test with a host of its own and the guest's module.
fn with_host<T: Future<Output = ()>>(test: impl FnOnce(Host, Module) -> T) {
    RUNTIME.block_on(async {
        let host = Host::builder().max_places(16).name("here").build().expect("there is room for a host");
        let module = host.load(&guest("nodes")).await.expect("it is a module");
        timeout(PATIENCE, test(host, module)).await.expect("something hangs");
    });
}

/// Starts a place under a name.
async fn named(host: &Host, module: &Module, start: &str, name: &str) -> Result<(Place, Channel), SpawnError> {
    let mut options = placehost::SpawnOptions::default();
    options.name = Some(name.into());
    host.spawn_at(&host.this_node(), module, start, PlaceConfig::default(), options).await
}

/// What a client of the counter is answered.
async fn add(client: &Channel, more: u32) -> serde_json::Value {
    client.put(json::to_message(&more.into()).expect("it is a message")).await.expect("the counter reads");
    json::from_message(&client.get().await.expect("the counter answers"))
}

#[test]
fn an_embedder_finds_places_by_name_and_id() {
    with_host(|host, module| async move {
        let (place, channel) = named(&host, &module, "counter", "the counter").await.expect("the name is free");
        drop(channel);
        let client = host.lookup("the counter").expect("it is there");
        assert_eq!((add(&client, 1).await, add(&client, 2).await), (1.into(), 3.into()));
        assert_eq!(host.find_named("the counter").map(|found| found.id()), Some(place.id()));
        let taken = named(&host, &module, "counter", "the counter").await;
        assert!(matches!(taken, Err(SpawnError::NameTaken { by, .. }) if by == place.id()));

        let watched = host.this_node().monitor(place.id()).await.expect("it lives");
        host.find(place.id()).expect("it lives").kill().await;
        assert_eq!(watched.wait().await, placehost::ExitReason::Killed);
        assert_eq!(client.get().await.expect_err("nobody answers"), GetError::Closed);
        assert!(matches!(host.lookup("the counter"), Err(LookupError::NoName { .. })));
        assert!(host.find(place.id()).is_none() && host.find_named("the counter").is_none());
        assert!(matches!(host.this_node().monitor(place.id()).await, Err(LookupError::NoPlace { .. })));
    });
}

#[test]
fn the_living_places_are_listed_with_what_they_do() {
    with_host(|host, module| async move {
        assert!(host.list().is_empty());
        let (counter, channel) = named(&host, &module, "counter", "counter").await.expect("the name is free");
        let (deaf, deaf_channel) = named(&host, &module, "reads-nothing", "deaf").await.expect("the name is free");
        let (nameless, nameless_channel) = host.spawn(&module, "waits", PlaceConfig::default()).expect("there is room");
        let client = host.lookup("counter").expect("it is there");
        for _ in 0..3 {
            add(&client, 1).await;
        }
        let unread = [host.lookup("deaf").expect("it is there"), host.lookup("deaf").expect("it is there")];
        while host.list().iter().any(|place| place.activity != Activity::Waiting) {
            yield_now().await;
        }
        let list = host.list();
        assert_eq!(list.iter().map(|place| place.id).collect::<Vec<_>>(), [counter.id(), deaf.id(), nameless.id()]);
        assert_eq!(list.iter().map(|place| &*place.start).collect::<Vec<_>>(), ["counter", "reads-nothing", "waits"]);
        assert_eq!(list.iter().map(|place| place.name.as_deref()).collect::<Vec<_>>(), [Some("counter"), Some("deaf"), None]);
        assert_eq!(list.iter().map(|place| place.pending).collect::<Vec<_>>(), [0, 2, 0]);
        // Three answers; three requests, and the client.
        assert_eq!(list.iter().map(|place| (place.put, place.got)).collect::<Vec<_>>(), [(3, 4), (0, 0), (0, 0)]);
        assert!(list.iter().all(|place| place.module == "nodes.wasm" && (64 << 10..64 << 20).contains(&place.memory)), "{list:?}");
        assert!(list[0].age >= list[2].age);

        for place in [counter, deaf, nameless] {
            place.kill().await;
        }
        assert!(host.list().is_empty());
        drop((channel, deaf_channel, nameless_channel, unread));
    });
}

#[test]
fn a_place_that_computes_is_listed_as_running() {
    RUNTIME.block_on(async {
        let host = Host::builder().max_places(2).build().expect("there is room for a host");
        let module = host.load(&guest("lives")).await.expect("it is a module");
        let (place, channel) = host.spawn(&module, "spins", PlaceConfig::default()).expect("there is room");
        channel.get().await.expect("it says that it is there");
        for _ in 0..100 {
            assert_eq!(host.list()[0].activity, Activity::Running);
            yield_now().await;
        }
        place.kill().await;
    });
}

/// Keeps what was printed.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Printed {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("nobody panicked").clone()).expect("it is text")
    }
}

impl Sink for Printed {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().expect("nobody panicked").extend_from_slice(bytes);
        Ok(())
    }
}

#[test]
fn a_detached_place_prints_where_its_node_does() {
    let (ours, nodes) = (Printed::default(), Printed::default());
    RUNTIME.block_on(async {
        let builder = Host::builder().max_places(4).output(Output::new(nodes.clone()), Output::null());
        let host = builder.build().expect("there is room for a host");
        let module = host.load(&guest("nodes")).await.expect("it is a module");
        let mut config = PlaceConfig::default();
        config.stdout = Output::new(ours.clone());
        let (place, _channel) = host.spawn(&module, "prints", config).expect("there is room");
        assert!(place.wait().await.is_success());
    });
    assert_eq!((&*ours.text(), &*nodes.text()), ("mine\n", "detached\n"));
}

#[test]
fn a_detached_place_that_goes_wrong_is_logged() {
    run("nodes", "starts-one-that-goes-wrong", &[]).fails(0, &["exited with code 3"]);
}

#[test]
fn detached_places_end_with_their_host() {
    with_host(|host, module| async move {
        let mut options = placehost::SpawnOptions::default();
        options.detached = true;
        let start =
            async |host: &Host| host.spawn_at(&host.this_node(), &module, "reads-nothing", PlaceConfig::default(), options.clone()).await;
        let (place, _channel) = start(&host).await.expect("there is room");
        host.shut_down();
        assert_eq!(place.wait().await, placehost::ExitReason::Killed);
        assert!(matches!(start(&host).await, Err(SpawnError::Ending)));
    });
}

#[test]
fn a_host_without_a_network_says_so() {
    with_host(|host, _| async move {
        assert_eq!((host.this_node().name(), host.this_node().id()), ("here", host.node()));
        let error = host.connect("localhost").await.expect_err("there is no network");
        assert!(matches!(error, NodeError::NoNetwork), "{error}");
        assert_eq!(error.to_string(), "this host knows no other nodes: it was built without a network");
    });
}
