//! The servers that `rpc.rs` makes claims about.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use places::{Channel, after, sync};
use places_rpc::Reply;
use serde::{Deserialize, Serialize};

/// Notes numbers.
#[derive(Default)]
pub(crate) struct Log(Vec<u32>);

#[places_rpc::server]
impl Log {
    #[cast]
    fn note(&mut self, number: u32) {
        self.0.push(number);
    }

    fn count(&self) -> usize {
        self.0.len()
    }

    fn all(&self) -> Vec<u32> {
        self.0.clone()
    }
}

/// The slides' server.
#[derive(Default)]
pub(crate) struct Table(HashMap<String, i64>);

#[places_rpc::server]
impl Table {
    fn set(&mut self, k: String, v: i64) -> i64 {
        self.0.insert(k, v);
        v
    }

    fn get(&self, k: &str) -> Option<i64> {
        self.0.get(k).copied()
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) x: i32,
    pub(crate) y: i32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum NoQuotient {
    ByZero,
}

/// Answers with what it is given.
#[derive(Default)]
pub(crate) struct Echo;

#[places_rpc::server]
impl Echo {
    fn number(&self, n: u32) -> u32 {
        n
    }

    fn text(&self, text: &str) -> String {
        text.to_owned()
    }

    fn sum(&self, numbers: &[u32]) -> u32 {
        numbers.iter().sum()
    }

    fn mirror(&self, point: &Point) -> Point {
        Point { x: -point.x, y: -point.y }
    }

    fn nothing(&self) {}

    fn divide(&self, dividend: i32, divisor: i32) -> Result<i32, NoQuotient> {
        dividend.checked_div(divisor).ok_or(NoQuotient::ByZero)
    }

    #[expect(clippy::too_many_arguments, reason = "as many as there may be")]
    fn pick(&self, a: u8, b: &str, c: &[Point], _d: Point, _e: Option<String>, f: Option<Vec<u8>>, _g: bool, _h: char) -> String {
        format!("{a} {b} {} {f:?}", c.len())
    }

    /// Puts the double of what comes on an end on another, until nothing comes.
    fn doubler(&self, end: Channel<u32, u32>) -> Result<Channel<u32, u32>, String> {
        let (ours, theirs) = Channel::pair::<u32, u32>().map_err(|error| error.to_string())?;
        let worker = doubles::spawn().map_err(|error| error.to_string())?;
        worker.put((end, ours)).map_err(|error| error.to_string())?;
        Ok(theirs)
    }
}

/// From where numbers come, and where their doubles go.
type Ends = (Channel<u32, u32>, Channel<u32, u32>);

#[places::start]
fn doubles(ch: Channel<Ends, ()>) -> places::Result {
    let (from, to) = ch.get()?;
    for n in from.iter() {
        to.put(2 * n?)?;
    }
    Ok(())
}

/// A server of another name.
#[derive(Default)]
pub(crate) struct Later;

#[places_rpc::server]
impl Later {
    fn later(&self) -> u32 {
        1
    }
}

/// As `rpc_other.rs` has it, in an earlier version.
#[derive(Default)]
pub(crate) struct Journal;

#[places_rpc::server]
impl Journal {
    fn write(&mut self, entry: &str) -> usize {
        entry.len()
    }
}

/// As `rpc_other.rs` has it, with another parameter, and a cast that is not there.
#[derive(Default)]
pub(crate) struct Careless;

#[places_rpc::server]
impl Careless {
    fn add(&mut self, text: &str) -> String {
        text.to_owned()
    }

    #[cast]
    fn say(&self, _text: &str) {}
}

/// Does all that a server should not.
#[derive(Default)]
pub(crate) struct Moody {
    waiting: Vec<Reply<()>>,
    count: u32,
}

#[places_rpc::server]
impl Moody {
    fn panic(&self, why: &str) {
        panic!("{why}");
    }

    /// Answered by `release` alone.
    fn never(&mut self, reply: Reply<()>) {
        self.waiting.push(reply);
    }

    /// How many wait for that.
    fn waiting(&mut self) -> usize {
        self.waiting.retain(Reply::is_wanted);
        self.waiting.len()
    }

    /// How many waited.
    fn release(&mut self) -> usize {
        let waiting = self.waiting();
        self.waiting.drain(..).for_each(|reply| reply.send(()));
        waiting
    }

    fn forget(&self, reply: Reply<()>) {
        drop(reply);
    }

    fn compute(&self) -> u64 {
        let mut n = 0u64;
        loop {
            n = std::hint::black_box(n + 1);
        }
    }

    fn sleep(&self, milliseconds: u64) {
        sync! { _ = after(Duration::from_millis(milliseconds)) => {} }
    }

    /// Says that it is called, and waits until it may return.
    fn hold(&self, gate: Channel<(), ()>) -> Result<(), String> {
        gate.put(()).and_then(|()| gate.get()).map_err(|error| error.to_string())
    }

    fn count(&mut self) -> u32 {
        self.count += 1;
        self.count
    }
}

/// Knows its arguments.
pub(crate) struct Arguments(Vec<String>);

#[places_rpc::server]
impl Arguments {
    fn new() -> Self {
        Self(std::env::args().collect())
    }

    fn all(&self) -> Vec<String> {
        self.0.clone()
    }
}

/// Counts on from life to life.
#[derive(Default)]
pub(crate) struct Counter(u64);

#[places_rpc::server]
impl Counter {
    fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }

    fn panic(&self) {
        panic!("as told");
    }

    #[snapshot]
    fn snapshot(&self) -> u64 {
        self.0
    }

    #[restore]
    fn restore(count: u64) -> Self {
        Self(count)
    }
}

/// Has handlers that wait.
#[derive(Default)]
pub(crate) struct Patient {
    other: RefCell<Option<PatientClient>>,
    waiting: Cell<u32>,
    done: Cell<u32>,
}

/// Counts a handler as long as it is there.
struct Waits<'a>(&'a Cell<u32>);

impl<'a> Waits<'a> {
    fn count(waiting: &'a Cell<u32>) -> Self {
        waiting.set(waiting.get() + 1);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[places_rpc::server]
impl Patient {
    /// Whom it asks.
    fn know(&self, other: Channel) {
        self.other.replace(Some(PatientClient::from(other)));
    }

    /// Asks the other, which asks back, so often.
    async fn bounce(&self, times: u32) -> Result<u32, String> {
        let Some(fewer) = times.checked_sub(1) else { return Ok(0) };
        let other = self.other.borrow().clone().ok_or("it knows nobody")?;
        let call = other.bounce_async(fewer).map_err(|error| error.to_string())?;
        Ok(call.await.map_err(|error| error.to_string())?? + 1)
    }

    /// How many were done before.
    async fn sleep(&self, milliseconds: u64) -> u32 {
        let _waits = Waits::count(&self.waiting);
        after(Duration::from_millis(milliseconds)).await;
        self.done.replace(self.done.get() + 1)
    }

    #[cast]
    async fn doze(&self, milliseconds: u64) {
        self.sleep(milliseconds).await;
    }

    async fn panic(&self, why: &str) {
        after(Duration::from_millis(1)).await;
        panic!("{why}");
    }

    fn waiting(&self) -> u32 {
        self.waiting.get()
    }

    fn done(&self) -> u32 {
        self.done.get()
    }
}

/// Counts on from life to life, and takes its time.
#[derive(Default)]
pub(crate) struct Slow(Cell<u64>);

#[places_rpc::server]
impl Slow {
    async fn next(&self) -> u64 {
        after(Duration::from_millis(1)).await;
        self.0.set(self.0.get() + 1);
        self.0.get()
    }

    #[snapshot]
    fn snapshot(&self) -> u64 {
        self.0.get()
    }

    #[restore]
    fn restore(count: u64) -> Self {
        Self(Cell::new(count))
    }
}
