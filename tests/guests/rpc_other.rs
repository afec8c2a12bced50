//! The servers of `rpc.rs` as somebody else built them: a later version that is compatible, and one that is not.

use places::Channel;

/// Has a method more, and a parameter more.
#[derive(Default)]
struct Table {
    numbers: Vec<(String, i64)>,
}

#[places_rpc::server]
impl Table {
    fn set(&mut self, k: String, v: i64, only_if_new: Option<bool>) -> i64 {
        match self.numbers.iter_mut().find(|(key, _)| *key == k) {
            Some((_, there)) if only_if_new == Some(true) => return *there,
            Some((_, there)) => *there = v,
            None => self.numbers.push((k, v)),
        }
        v
    }

    fn get(&self, k: &str) -> Option<i64> {
        self.numbers.iter().find(|(key, _)| key == k).map(|(_, v)| *v)
    }

    fn len(&self) -> usize {
        self.numbers.len()
    }
}

/// Says that it is another thing now.
#[derive(Default)]
struct Journal;

#[places_rpc::server(version = 2)]
impl Journal {
    fn write(&mut self, entries: Vec<(u64, String)>) -> usize {
        entries.len()
    }
}

/// Has changed without saying so.
#[derive(Default)]
struct Careless;

#[places_rpc::server]
impl Careless {
    fn add(&mut self, number: u64) -> String {
        format!("it was {number}")
    }
}

/// No server at all: answers numbers with their squares.
#[places::start]
fn square(ch: Channel<Channel<u64, u64>, ()>) -> places::Result {
    for client in ch.iter() {
        let client = client?;
        while let Ok(n) = client.get() {
            client.put(n * n)?;
        }
    }
    Ok(())
}
