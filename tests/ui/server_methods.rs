use places_rpc::Reply;

macro_rules! server {
    ($name:ident: $($method:tt)*) => {
        struct $name;

        #[places_rpc::server]
        impl $name {
            $($method)*
        }
    };
}

server! { Waits: async fn get(&self) -> u32 { 1 } fn set(&mut self) {} }
server! { WaitsAndReplies: async fn get(&self, _reply: Reply<u32>) {} }
server! { Ends: fn get(self) -> u32 { 1 } }
server! { Generic: fn get<T>(&self, _key: T) -> u32 { 1 } }
server! { Changes: fn get(&self, _keys: &mut Vec<u32>) -> u32 { 1 } }
server! { Takes: fn get(&self, (_a, _b): (u32, u32)) -> u32 { 1 } }
server! { Lends: fn get(&self) -> &u32 { &1 } }
server! { Says: #[cast] fn say(&self) -> u32 { 1 } }
server! { SaysLater: #[cast] fn say(&self, _reply: Reply<u32>) {} }
server! { Twice: fn get(&self, _reply: Reply<u32>) -> u32 { 1 } }
server! { Connects: fn connect(&self) -> u32 { 1 } }
server! { Long: fn get(&self, _a: u8, _b: u8, _c: u8, _d: u8, _e: u8, _f: u8, _g: u8, _h: u8, _i: u8) {} }
server! { Twin: fn get(&self) {} fn get_async(&self) {} }
server! { Forgets: fn get(&self) {} #[snapshot] fn snapshot(&self) -> u32 { 1 } }

fn main() {}
