//! The attributes of the crate `places-mapreduce`, which re-exports and documents them.

mod expand;

use proc_macro::TokenStream;

use expand::Role;

/// Makes a mapper of a function: `fn words(line: &str, out: &mut Emit<String, u64>)`.
///
/// What it takes is a line, as `&str`, `&[u8]` or a `Line`, which knows its place; or any other type, which is then a value of the
/// program's own. It returns nothing or a `Result`, whose error ends the task.
#[proc_macro_attribute]
pub fn mapper(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Role::Mapper, arguments.into(), item.into()).into()
}

/// Makes a combiner of a function that adds a value to another of the same key: `fn sum(total: &mut u64, more: u64)`.
///
/// It is called on the mappers' side as values come, in no promised grouping: it should be associative.
#[proc_macro_attribute]
pub fn combiner(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Role::Combiner, arguments.into(), item.into()).into()
}

/// Makes a partitioner of a function that says which of so many reduce tasks a key belongs to: `fn by_letter(key: &str, of: u32) -> u32`.
#[proc_macro_attribute]
pub fn partitioner(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Role::Partitioner, arguments.into(), item.into()).into()
}

/// Makes a reducer of a function: `fn total(word: &str, counts: Values<'_, u64>, out: &mut Emit<String, u64>)`.
///
/// It returns nothing or a `Result`, whose error ends the task.
#[proc_macro_attribute]
pub fn reducer(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Role::Reducer, arguments.into(), item.into()).into()
}

/// Makes an outputer of a function that gets all results, in the driver: `fn print(results: Results<String, u64>)`.
///
/// It returns nothing or a `Result`.
#[proc_macro_attribute]
pub fn outputer(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Role::Outputer, arguments.into(), item.into()).into()
}
