use places::Channel;

/// Nothing that serde knows.
struct Secret;

#[derive(Default)]
struct Table;

#[places_rpc::server]
impl Table {
    fn secret(&self) -> Secret {
        Secret
    }
}

#[derive(Default)]
struct Count;

#[places_rpc::server]
impl Count {
    fn add(&mut self, key: String, more: u64) -> u64 {
        key.len() as u64 + more
    }
}

fn uses(channel: Channel) {
    let count = CountClient::from(channel);
    let _ = count.add(7, 1);
    let _ = count.add("key", "one");
    let _ = count.remove("key");
}

/// Begins as nobody knows what.
struct Unknown(u32);

#[places_rpc::server]
impl Unknown {
    fn get(&self) -> u32 {
        self.0
    }
}

fn main() {}
