use places_rpc::server;

#[server]
fn table() {}

struct Table;

#[server]
impl Clone for Table {
    fn clone(&self) -> Self {
        Self
    }
}

struct Generic<T>(T);

#[server]
impl<T> Generic<T> {
    fn get(&self) -> u32 {
        1
    }
}

struct Versioned;

#[server(version = "two")]
impl Versioned {
    fn get(&self) -> u32 {
        1
    }
}

struct Named;

#[server(name = "table")]
impl Named {
    fn get(&self) -> u32 {
        1
    }
}

struct Empty;

#[server]
impl Empty {
    fn new() -> Self {
        Self
    }
}

fn main() {}
