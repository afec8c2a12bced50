//! A bad line: a relay for UDP packets that delays, reorders, loses and doubles them. What it does to which packet follows from a seed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How bad it is, in each direction.
#[derive(Clone, Copy)]
pub(crate) struct Badness {
    pub(crate) delay: Duration,
    /// Of a hundred packets, so many are late by up to the delay again, so many never come, and so many come twice.
    pub(crate) late: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) seed: u64,
}

/// A line to one address. It ends with the test.
pub(crate) struct BadLine {
    /// What is sent here comes out there.
    pub(crate) address: SocketAddr,
    carried: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

/// How soon threads notice that the line is over.
const TICK: Duration = Duration::from_millis(50);
/// Longer than any UDP packet.
const LONGEST: usize = 1 << 16;

impl BadLine {
    pub(crate) fn new(to: SocketAddr, badness: Badness) -> Self {
        let front = Arc::new(socket());
        let (address, over) = (front.local_addr().expect("it is bound"), Arc::new(AtomicBool::new(false)));
        let (ended, carried) = (Arc::clone(&over), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&carried);
        thread::spawn(move || {
            let mut lines: HashMap<SocketAddr, Direction> = HashMap::new();
            receive(&front, &ended, |packet, from| {
                counted.fetch_add(packet.len() as u64, Ordering::Relaxed);
                let number = lines.len() as u64;
                let there = lines.entry(from).or_insert_with(|| there_and_back(&front, from, to, badness, number, &ended));
                there.send(packet);
            });
        });
        Self { address, carried, over }
    }

    /// How many bytes have been sent there.
    pub(crate) fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }
}

impl Drop for BadLine {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// The line of one client, who is known to the other side by a port of its own. What it returns goes there.
fn there_and_back(
    front: &Arc<UdpSocket>,
    client: SocketAddr,
    to: SocketAddr,
    badness: Badness,
    number: u64,
    over: &Arc<AtomicBool>,
) -> Direction {
    let back = Arc::new(socket());
    let there = Direction::new(Badness { seed: badness.seed ^ (2 * number), ..badness }, Arc::clone(&back), to);
    let mut here = Direction::new(Badness { seed: badness.seed ^ (2 * number + 1), ..badness }, Arc::clone(front), client);
    let over = Arc::clone(over);
    thread::spawn(move || receive(&back, &over, |packet, _| here.send(packet)));
    there
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("there is a socket");
    socket.set_read_timeout(Some(TICK)).expect("it is not zero");
    socket
}

fn receive(socket: &UdpSocket, over: &AtomicBool, mut each: impl FnMut(&[u8], SocketAddr)) {
    let mut packet = vec![0; LONGEST];
    while !over.load(Ordering::Relaxed) {
        match socket.recv_from(&mut packet) {
            Ok((length, from)) => each(&packet[..length], from),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionRefused) => {}
            Err(error) => panic!("the line broke: {error}"),
        }
    }
}

/// One direction of one client's line.
struct Direction {
    badness: Badness,
    /// Of a generator of random numbers (xorshift64*); never zero.
    state: u64,
    packets: Sender<(Instant, Vec<u8>)>,
}

impl Direction {
    fn new(badness: Badness, by: Arc<UdpSocket>, to: SocketAddr) -> Self {
        let (packets, due) = channel();
        thread::spawn(move || deliver(&due, &by, to));
        Self { badness, state: badness.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, packets }
    }

    fn send(&mut self, packet: &[u8]) {
        let Badness { delay, late, lost, doubled, .. } = self.badness;
        if self.of_a_hundred(lost) {
            return;
        }
        for _ in 0..=u8::from(self.of_a_hundred(doubled)) {
            let more = if self.of_a_hundred(late) { delay * self.random(100) as u32 / 100 } else { Duration::ZERO };
            // It ends only with this.
            let _ = self.packets.send((Instant::now() + delay + more, packet.to_vec()));
        }
    }

    fn of_a_hundred(&mut self, count: u64) -> bool {
        self.random(100) < count
    }

    fn random(&mut self, below: u64) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % below
    }
}

/// Sends each packet when it is due.
fn deliver(packets: &Receiver<(Instant, Vec<u8>)>, by: &UdpSocket, to: SocketAddr) {
    let (mut waiting, mut number) = (BinaryHeap::new(), 0);
    loop {
        let next = waiting
            .peek()
            .map_or(TICK, |Reverse((due, ..)): &Reverse<(Instant, u64, Vec<u8>)>| due.saturating_duration_since(Instant::now()));
        match packets.recv_timeout(next) {
            Ok((due, packet)) => {
                number += 1;
                waiting.push(Reverse((due, number, packet)));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while waiting.peek().is_some_and(|Reverse((due, ..))| *due <= Instant::now()) {
            if let Some(Reverse((.., packet))) = waiting.pop() {
                // Who is gone misses nothing.
                let _ = by.send_to(&packet, to);
            }
        }
    }
}
