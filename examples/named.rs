//! A named server: whoever knows its name is a client, and all share what it keeps. A bank beside it is one client's own.
//!
//! They are on this node, or on the one whose address is the first argument.

use std::collections::HashMap;

use places::{Channel, Node};

/// A table of numbers.
#[derive(Default)]
struct Table(HashMap<String, u32>);

#[places_rpc::server]
impl Table {
    fn set(&mut self, key: String, number: u32) -> u32 {
        self.0.insert(key, number);
        number
    }

    fn get(&self, key: &str) -> u32 {
        self.0.get(key).copied().unwrap_or_default()
    }
}

/// Accounts.
#[derive(Default)]
struct Bank(HashMap<String, u32>);

#[places_rpc::server]
impl Bank {
    fn new_account(&mut self, who: String) -> String {
        self.0.insert(who.clone(), 0);
        who
    }

    fn add(&mut self, who: &str, amount: u32) -> u32 {
        let balance = self.0.entry(who.to_owned()).or_default();
        *balance += amount;
        *balance
    }

    fn remove(&mut self, who: &str, amount: u32) -> u32 {
        let balance = self.0.entry(who.to_owned()).or_default();
        *balance = balance.saturating_sub(amount);
        *balance
    }
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let node = match std::env::args().nth(1) {
        Some(address) => Node::connect(&address)?,
        None => Node::this(),
    };
    table::at(&node).named("table").spawn()?;
    let bank = BankClient::from(bank::at(&node).spawn()?);

    let (c, d) = (TableClient::connect(&node, "table")?, TableClient::connect(&node, "table")?);
    println!("{}", c.set("user0", 100)?);
    println!("{}", d.set("user2", 200)?);
    println!("{}", c.get("user0")?);
    println!("{}", d.get("user2")?);
    println!("{}", d.get("user0")?);
    println!("{}", c.get("user2")?);
    println!("(created {})", bank.new_account("user0")?);
    println!("(ok {})", bank.add("user0", 10)?);
    println!("(ok {})", bank.remove("user0", 5)?);
    Ok(())
}
