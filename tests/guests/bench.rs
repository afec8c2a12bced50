//! What `scripts/bench.sh` measures, from a place's side of the boundary. Each measure prints lines of `name value unit`.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use places::{Bytes, Channel, Error, Grants, Node, Options, Place, Router};
use places_rpc::Pending;
use places_supervision::{Answer, Child, Command, Site, Strategy, Supervisor};

type End = Channel<Bytes, Bytes>;
/// Puts messages like this one.
type Put<'a> = &'a dyn Fn(&Place, &[u8]) -> Result<(), Error>;

/// Answers with what it got until the other end is gone.
#[places::start]
fn echo(ch: End) -> places::Result {
    loop {
        match ch.get() {
            Ok(message) => ch.put(message)?,
            Err(Error::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Answers one message and ends.
#[places::start]
fn once(ch: End) -> places::Result {
    Ok(ch.put(ch.get()?)?)
}

/// Reads until the other end closes, then acknowledges.
#[places::start]
fn sink(ch: End) -> places::Result {
    while ch.get_many().is_ok() {}
    Ok(ch.put(&[])?)
}

/// As `sink`, one message a call.
#[places::start]
fn slow_sink(ch: End) -> places::Result {
    while ch.get().is_ok() {}
    Ok(ch.put(&[])?)
}

/// Computes for ever.
#[places::start]
fn spin(_: Channel) {
    let mut n = 0u64;
    loop {
        n = std::hint::black_box(n.wrapping_add(1));
    }
}

/// spawn, first reply, exit: one place after another.
#[places::start]
fn spawn_rate(_: Channel) -> places::Result {
    let n = number(0)?;
    let one = || -> places::Result {
        let place = once::spawn()?;
        place.put(&[0; 16])?;
        place.get()?;
        place.wait();
        Ok(())
    };
    for _ in 0..n / 10 {
        one()?;
    }
    let start = Instant::now();
    for _ in 0..n {
        one()?;
    }
    report("spawn.first_reply_exit", start.elapsed().as_secs_f64() * 1e6 / n as f64, "us");
    Ok(())
}

/// Round trips of one message, raw and typed.
#[places::start]
fn round_trip(_: Channel) -> places::Result {
    let (n, size) = (number(0)?, number(1)?);
    let place = echo::spawn()?;
    let message = vec![7; size];
    let trip = |n: usize| (0..n).try_for_each(|_| place.put_get(&message).map(drop));
    trip(n / 10)?;
    let start = Instant::now();
    trip(n)?;
    report(&format!("ping.{size}B"), start.elapsed().as_secs_f64() * 1e6 / n as f64, "us");

    let two_calls = |n: usize| (0..n).try_for_each(|_| place.put(&message).and_then(|()| place.get()).map(drop));
    let start = Instant::now();
    two_calls(n)?;
    report(&format!("ping.{size}B.two_calls"), start.elapsed().as_secs_f64() * 1e6 / n as f64, "us");

    let typed: Place<Vec<u64>, Vec<u64>> = echo::spawn()?.typed();
    let numbers = vec![u64::MAX; size / 9];
    let start = Instant::now();
    (0..n).try_for_each(|_| typed.put_get(&numbers).map(drop))?;
    report(&format!("ping.{size}B.typed"), start.elapsed().as_secs_f64() * 1e6 / n as f64, "us");
    Ok(())
}

/// Messages one way, then one back.
#[places::start]
fn one_way(_: Channel) -> places::Result {
    let (n, size) = (number(0)?, number(1)?);
    let message = vec![7; size];
    let measure = |name: &str, place: Place, put: &dyn Fn(&Place) -> Result<(), Error>| -> places::Result {
        let start = Instant::now();
        put(&place)?;
        place.close();
        place.get()?;
        let seconds = start.elapsed().as_secs_f64();
        report(&format!("{name}.{size}B.rate"), n as f64 / seconds, "msg/s");
        report(&format!("{name}.{size}B"), (n * size) as f64 / seconds / 1e6, "MB/s");
        Ok(())
    };
    measure("tput", slow_sink::spawn()?, &|place| (0..n).try_for_each(|_| place.put(&message)))?;
    measure("tput_many", sink::spawn()?, &|place| place.put_many((0..n).map(|_| &message)))
}

/// Places that have answered one message and wait.
#[places::start]
fn idle(_: Channel) -> places::Result {
    let n = number(0)?;
    let (before, maps_before) = (memory()?, maps()?);
    let start = Instant::now();
    // Without the directory that this place reads its figures from: an open file each is not what is measured.
    let alone = || echo::spawn_with(Options::new().grants(Grants::default()));
    let places = (0..n).map(|_| alone()).collect::<Result<Vec<_>, _>>()?;
    for place in &places {
        place.put(&[0; 16])?;
    }
    for place in &places {
        place.get()?;
    }
    report(&format!("idle.n{n}.spawn_all"), start.elapsed().as_secs_f64() * 1e3, "ms");
    report(&format!("idle.n{n}.memory"), (memory()? - before) / n as f64, "KiB");
    report(&format!("idle.n{n}.maps"), (maps()? - maps_before) / n as f64, "maps");
    Ok(())
}

/// The process's memory maps, of which the machine allows `vm.max_map_count`.
fn maps() -> Result<f64, std::io::Error> {
    // A line at a time: for 100,000 places all of it is more than this place may have.
    Ok(BufReader::new(File::open("/proc/self/maps")?).split(b'\n').count() as f64)
}

/// What the process has of the machine's memory, with its page tables, in KiB. Pages that places share count once: so it is not
/// the resident set, in which each place's view of the module's data counts again.
fn memory() -> Result<f64, Box<dyn std::error::Error>> {
    let field = |file: &str, name: &str| -> Result<f64, Box<dyn std::error::Error>> {
        let text = std::fs::read_to_string(file)?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such field")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    };
    Ok(field("/proc/self/smaps_rollup", "Pss:")? + field("/proc/self/status", "VmPTE:")?)
}

/// Round trips beside places that compute for ever: the latencies.
#[places::start]
fn fairness(_: Channel) -> places::Result {
    let (n, spinners) = (number(0)?, number(1)?);
    let _spinning = (0..spinners).map(|_| spin::spawn()).collect::<Result<Vec<_>, _>>()?;
    let place = echo::spawn()?;
    latencies(&format!("fairness.{spinners}_spinners"), &place, n)
}

/// Times so many round trips of 64 B.
fn latencies(name: &str, echo: &Place, n: usize) -> places::Result {
    let mut times = Vec::with_capacity(n);
    for _ in 0..n {
        let start = Instant::now();
        echo.put_get(&[0; 64])?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    report(&format!("{name}.p50"), times[n / 2], "us");
    report(&format!("{name}.p99"), times[n * 99 / 100], "us");
    Ok(())
}

/// As `spawn_rate`, with the places on the node whose address is the first argument.
#[places::start]
fn far_spawn(_: Channel) -> places::Result {
    let (node, n) = (far_node()?, number(1)?);
    let one = || once::at(&node).spawn()?.put_get(&[0; 16]);
    (0..n / 10).try_for_each(|_| one().map(drop))?;
    let start = Instant::now();
    (0..n).try_for_each(|_| one().map(drop))?;
    report("far.spawn.first_reply", start.elapsed().as_secs_f64() * 1e6 / n as f64, "us");
    Ok(())
}

/// As `round_trip` and `one_way`, with the other place on that node.
#[places::start]
fn far(_: Channel) -> places::Result {
    let node = far_node()?;
    let place = echo::at(&node).spawn()?;
    for (size, n) in [(64, 20_000), (65_536, 2_000)] {
        let message = vec![7; size];
        (0..n / 10).try_for_each(|_| place.put_get(&message).map(drop))?;
        let start = Instant::now();
        (0..n).try_for_each(|_| place.put_get(&message).map(drop))?;
        report(&format!("far.ping.{size}B"), start.elapsed().as_secs_f64() * 1e6 / n as f64, "us");
    }
    let measure = |name: &str, place: Place, size: usize, n: usize, put: Put<'_>| -> places::Result {
        let message = vec![7; size];
        let start = Instant::now();
        put(&place, &message)?;
        place.close();
        place.get()?;
        let seconds = start.elapsed().as_secs_f64();
        report(&format!("far.{name}.{size}B.rate"), n as f64 / seconds, "msg/s");
        report(&format!("far.{name}.{size}B"), (n * size) as f64 / seconds / 1e6, "MB/s");
        Ok(())
    };
    for (size, n) in [(64, 1_000_000), (65_536, 10_000), (1 << 20, 600)] {
        let put = move |place: &Place, message: &[u8]| (0..n).try_for_each(|_| place.put(message));
        measure("tput", slow_sink::at(&node).spawn()?, size, n, &put)?;
    }
    let n = 2_000_000;
    let put_many = move |place: &Place, message: &[u8]| place.put_many((0..n).map(|_| message));
    measure("tput_many", sink::at(&node).spawn()?, 64, n, &put_many)
}

/// Round trips to that node beside a channel to it that is always full: the latencies.
#[places::start]
fn far_beside(_: Channel) -> places::Result {
    let (node, n) = (far_node()?, number(1)?);
    let (echo, feeder) = (echo::at(&node).spawn()?, feeder::spawn()?);
    feeder.put(slow_sink::at(&node).spawn()?.into_channel())?;
    latencies("far.beside_bulk", &echo, n)
}

/// Fills a channel as long as it is there.
#[places::start]
fn feeder(ch: Channel<End, ()>) -> places::Result {
    let (end, message) = (ch.get()?, vec![7; 1 << 20]);
    loop {
        end.put(&message)?;
    }
}

/// The first use of this module on that node: shipped, compiled, started.
#[places::start]
fn far_first(_: Channel) -> places::Result {
    let node = far_node()?;
    let start = Instant::now();
    echo::at(&node).spawn()?.put_get(&[0; 16])?;
    report("far.first_use", start.elapsed().as_secs_f64() * 1e3, "ms");
    Ok(())
}

/// A node launched by the command that is the first argument, in the place of ssh, until a place there has answered. The second
/// is the command `placehost`.
#[places::start]
fn launch(_: Channel) -> places::Result {
    let argument = |index| std::env::args().nth(index).ok_or("an argument is missing");
    let start = Instant::now();
    let node = Node::create("127.0.0.1").ssh_path(argument(1)?).placehost_path(argument(2)?).launch()?;
    echo::at(&node).spawn()?.put_get(&[0; 16])?;
    report("far.launch.first_reply", start.elapsed().as_secs_f64() * 1e3, "ms");
    Ok(())
}

/// Channels over one connection, each used once.
#[places::start]
fn far_channels(_: Channel) -> places::Result {
    let n = number(1)?;
    let node = far_node()?;
    let hub: Place<Bytes, Channel> = forwarder::at(&node).spawn()?.typed();
    let start = Instant::now();
    let mut ends = Vec::with_capacity(n);
    for _ in 0..n {
        let (here, there) = Channel::pair()?;
        hub.put(there)?;
        here.put(&[0; 16])?;
        ends.push(here);
    }
    for end in &ends {
        end.get()?;
    }
    report(&format!("far.channels.n{n}"), start.elapsed().as_secs_f64() * 1e3, "ms");
    Ok(())
}

/// Gets ends of channels, and answers one message on each.
#[places::start]
fn forwarder(ch: Channel<Channel, Bytes>) -> places::Result {
    let mut ends: Vec<Channel> = Vec::new();
    while let Ok(end) = ch.get() {
        end.put(end.get()?)?;
        ends.push(end);
    }
    Ok(())
}

/// A server of the kind that costs nothing, so that what is measured is the way to it.
#[derive(Default)]
struct Counter(u64);

#[places_rpc::server]
impl Counter {
    fn add(&mut self, more: u64) -> u64 {
        self.0 += more;
        self.0
    }
}

/// Calls so often, when it is told to, and says that it is done.
#[places::start]
fn rpc_client(ch: Channel<(Channel, u64), ()>) -> places::Result {
    let (server, calls) = ch.get()?;
    let c = CounterClient::from(server);
    c.add(1)?;
    ch.put(())?;
    ch.get().ok();
    (0..calls).try_for_each(|_| c.add(1).map(drop))?;
    Ok(ch.put(())?)
}

/// Calls of a server here, or at the address that is the first argument: of one client, one at a time and pipelined, and of 16.
#[places::start]
fn rpc(_: Channel) -> places::Result {
    let (node, kind) = match std::env::args().nth(1) {
        Some(address) => (Node::connect(&address)?, "far.rpc"),
        None => (Node::this(), "rpc"),
    };
    let n = if kind == "rpc" { 200_000 } else { 20_000 };
    counter::at(&node).named("counter").spawn()?;
    let c = CounterClient::connect(&node, "counter")?;
    let per_second = |calls: usize, start: Instant| calls as f64 / start.elapsed().as_secs_f64();
    (0..n / 10).try_for_each(|_| c.add(1).map(drop))?;
    let start = Instant::now();
    (0..n).try_for_each(|_| c.add(1).map(drop))?;
    report(&format!("{kind}.1_client"), per_second(n, start), "calls/s");

    const WINDOW: usize = 256;
    let mut under_way = std::collections::VecDeque::with_capacity(WINDOW);
    let start = Instant::now();
    for _ in 0..10 * n {
        if under_way.len() == WINDOW {
            under_way.pop_front().map(Pending::join).transpose()?;
        }
        under_way.push_back(c.add_async(1)?);
    }
    under_way.into_iter().try_for_each(|call| call.join().map(drop))?;
    report(&format!("{kind}.pipelined"), per_second(10 * n, start), "calls/s");

    for clients in [4, 16] {
        let calls = 4 * n / clients;
        let places = (0..clients).map(|_| rpc_client::spawn()).collect::<Result<Vec<_>, _>>()?;
        for place in &places {
            place.put((node.lookup("counter")?, calls as u64))?;
            place.get()?;
        }
        let start = Instant::now();
        places.iter().for_each(|place| place.close());
        places.iter().try_for_each(|place| place.get())?;
        report(&format!("{kind}.{clients}_clients"), per_second(calls * clients, start), "calls/s");
    }
    Ok(())
}

/// Awaited calls of one place, one at a time, beside waits for others from which nothing comes.
#[places::start]
fn open_waits(_: Channel) -> places::Result {
    let calls = number(0)?;
    let server = echo::spawn()?;
    for waits in [1, 8, 100, 1000] {
        let silent = (1..waits).map(|_| Channel::pair::<Bytes, Bytes>()).collect::<Result<Vec<_>, _>>()?;
        let began = Cell::new(None);
        Router::run(|router| {
            for (end, _) in &silent {
                router.each(end, |_| Err("nothing comes".into()));
            }
            router.spawn(async {
                for call in 0..calls + calls / 10 {
                    if call == calls / 10 {
                        began.set(Some(Instant::now()));
                    }
                    server.put_get_async(&[0; 16]).await?;
                }
                router.stop(());
                Ok(())
            });
        })?;
        let seconds = began.get().map_or(f64::NAN, |began: Instant| began.elapsed().as_secs_f64());
        report(&format!("task.{waits}_waits"), calls as f64 / seconds, "calls/s");
    }
    Ok(())
}

/// As `open_waits`, but something comes of each: so many calls at once, of a place each.
#[places::start]
fn open_calls(_: Channel) -> places::Result {
    let calls = number(0)?;
    for at_once in [1, 8, 100, 1000] {
        let servers = (0..at_once).map(|_| echo::spawn()).collect::<Result<Vec<_>, _>>()?;
        let began = Instant::now();
        Router::<()>::run(|router| {
            for server in &servers {
                router.spawn(async {
                    for _ in 0..calls / at_once {
                        server.put_get_async(&[0; 16]).await?;
                    }
                    Ok(())
                });
            }
        })?;
        report(&format!("task.{at_once}_calls"), calls as f64 / began.elapsed().as_secs_f64(), "calls/s");
    }
    Ok(())
}

/// Keeps the server alive, and kills it when it is told to.
#[places::start]
fn rpc_guardian(ch: Channel<(), ()>) -> places::Result {
    loop {
        let server = counter::named("counter").spawn()?;
        if ch.get().is_err() {
            return Ok(());
        }
        server.kill();
    }
}

/// From the death of a server to the first answer of its successor.
#[places::start]
fn rpc_restart(_: Channel) -> places::Result {
    let n = number(0)?;
    let guardian = rpc_guardian::spawn()?;
    let c = CounterClient::reconnecting(&Node::this(), "counter")?;
    let mut times = Vec::with_capacity(n);
    for _ in 0..n {
        c.add(1)?;
        let start = Instant::now();
        guardian.put(())?;
        // Its predecessor counts on, and what it is asked when it dies is lost.
        while c.add(1) != Ok(1) {}
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    report("rpc.successor.p50", times[n / 2], "us");
    Ok(())
}

/// Answers its clients one after the other, and ends when one asks nothing.
#[places::start]
fn mortal(ch: Channel<Channel, ()>) -> places::Result {
    loop {
        let client = ch.get()?;
        while let Ok(message) = client.get() {
            if message.is_empty() {
                places::exit(1);
            }
            client.put(message)?;
        }
    }
}

/// Keeps one of those alive, here or at its argument.
#[places::start]
fn keeps_alive(ch: Channel<Command, Answer>) -> places::Result {
    let site = std::env::args().nth(1).map_or(Site::Here, Site::At);
    let supervisor = Supervisor::new(Strategy::OneForOne).intensity(u32::MAX, Duration::from_secs(1));
    Ok(supervisor.child(Child::new("mortal", mortal::NAME).named().on([site])).serve(ch)?)
}

/// From the death of a named server, which its client brings about, to the first answer of its successor; at the node whose address is
/// the second argument, or here.
#[places::start]
fn recovery(_: Channel) -> places::Result {
    let (n, address) = (number(0)?, std::env::args().nth(2));
    let node = address.as_ref().map_or_else(|| Ok(Node::this()), |address| Node::connect(address))?;
    let _keeper = keeps_alive::spawn_with(Options::new().args(address.clone()))?;
    let first_answer = || loop {
        if let Ok(client) = node.lookup::<Bytes, Bytes>("mortal")
            && client.put_get(&[0; 16]).is_ok()
        {
            return client;
        }
    };
    let mut times = Vec::with_capacity(n);
    for _ in 0..n {
        let client = first_answer();
        let start = Instant::now();
        client.put(&[])?;
        // Until it reads `closed` it might find the one that is about to end.
        assert!(client.get().is_err());
        first_answer();
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    let name = if address.is_some() { "far.recovery" } else { "recovery" };
    report(&format!("{name}.p50"), times[n / 2], "us");
    report(&format!("{name}.p99"), times[n * 99 / 100], "us");
    Ok(())
}

fn far_node() -> Result<Node, Box<dyn std::error::Error>> {
    Ok(Node::connect(&std::env::args().nth(1).ok_or("the address of a node is missing")?)?)
}

fn number(index: usize) -> Result<usize, Box<dyn std::error::Error>> {
    Ok(std::env::args().nth(index + 1).ok_or("an argument is missing")?.parse()?)
}

fn report(name: &str, value: f64, unit: &str) {
    println!("placehost.{name} {value:.3} {unit}");
}
