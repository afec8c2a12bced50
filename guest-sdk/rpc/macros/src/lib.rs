//! The attribute of the crate `places-rpc`, which re-exports and documents it.

mod expand;
mod interface;
mod method;

use proc_macro::TokenStream;

/// Makes a server of an `impl` block: a start function, and a client.
///
/// ```text
/// #[places_rpc::server]
/// impl TupleServer {
///     fn set(&mut self, k: String, v: i64) -> i64 { … }
///     fn get(&self, k: &str) -> Option<i64> { … }
///     #[cast]
///     fn hello(&self) { … }
/// }
/// ```
///
/// It takes `version = 2`, for an interface that earlier clients cannot use, and `pub`, for a server whose clients are in other crates:
/// `#[places_rpc::server(pub, version = 2)]`. What it makes is `pub(crate)` otherwise.
#[proc_macro_attribute]
pub fn server(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = item.into();
    expand::expand(arguments.into(), &item).unwrap_or_else(|error| expand::beside(&error, &item)).into()
}
