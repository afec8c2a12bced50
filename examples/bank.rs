//! A bank: a server whose answers may be errors, which its clients get as what they are.
//!
//! It is on this node, or on the one whose address is the first argument.

use std::collections::BTreeMap;
use std::fmt;

use places::{Channel, Node};
use serde::{Deserialize, Serialize};

#[derive(Default)]
struct Bank {
    accounts: BTreeMap<String, u64>,
}

/// Why the bank did not do what it was asked.
#[derive(Debug, Serialize, Deserialize)]
enum Refusal {
    AlreadyExists,
    InvalidAccount(String),
    InsufficientFunds(u64),
}

#[places_rpc::server]
impl Bank {
    /// Opens an account.
    fn new_account(&mut self, who: &str) -> Result<String, Refusal> {
        if self.accounts.contains_key(who) {
            return Err(Refusal::AlreadyExists);
        }
        self.accounts.insert(who.to_owned(), 0);
        Ok(who.to_owned())
    }

    /// Pays in; the balance.
    fn add(&mut self, who: &str, amount: u64) -> Result<u64, Refusal> {
        let balance = self.account(who)?;
        *balance += amount;
        Ok(*balance)
    }

    /// Pays out; the balance.
    fn remove(&mut self, who: &str, amount: u64) -> Result<u64, Refusal> {
        let balance = self.account(who)?;
        *balance = balance.checked_sub(amount).ok_or(Refusal::InsufficientFunds(*balance))?;
        Ok(*balance)
    }
}

/// What is not offered.
impl Bank {
    fn account(&mut self, who: &str) -> Result<&mut u64, Refusal> {
        self.accounts.get_mut(who).ok_or_else(|| Refusal::InvalidAccount(who.to_owned()))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyExists => f.write_str("(already-exists)"),
            Self::InvalidAccount(who) => write!(f, "(invalid-account {who})"),
            Self::InsufficientFunds(balance) => write!(f, "(insufficient-funds {balance})"),
        }
    }
}

fn say<T: fmt::Display>(done: &str, result: Result<T, Refusal>) {
    match result {
        Ok(value) => println!("({done} {value})"),
        Err(refusal) => println!("{refusal}"),
    }
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let node = match std::env::args().nth(1) {
        Some(address) => Node::connect(&address)?,
        None => Node::this(),
    };
    let bank = BankClient::from(bank::at(&node).spawn()?);
    say("created", bank.new_account("user0")?);
    say("created", bank.new_account("user0")?);
    say("ok", bank.add("user0", 10)?);
    say("ok", bank.remove("user0", 5)?);
    say("ok", bank.remove("user0", 6)?);
    say("ok", bank.add("user1", 10)?);
    Ok(())
}
