//! The macros of the crate `places`, which re-exports and documents them.

mod contract;
mod start;
mod sync;

use proc_macro::TokenStream;

/// Makes a function a start function: a named export of the component.
///
/// ```ignore
/// #[places::start]
/// fn hello_world(ch: Channel<String, String>) -> places::Result {
///     ch.put(format!("Hello {}", ch.get()?))?;
///     Ok(())
/// }
/// ```
///
/// The export is named after the function, with `-` for `_`: `hello-world`. The function takes the place's end of the channel to
/// its parent, typed by what it gets and what it puts, and returns nothing or a `Result` whose error becomes the exit reason. It
/// stays callable. Beside it comes a module of the same name:
///
/// * `hello_world::spawn()` starts it as a place and returns a `Place` that gets what the function puts, and the reverse;
/// * `hello_world::at(&node)` and `hello_world::named("greeter")` begin one on another node, or one that others find by name:
///   `hello_world::at(&node).named("greeter").spawn()`, see [`Spawner`](../places/struct.Spawner.html);
/// * `hello_world::spawn_with(options)` does so with [`Options`](../places/struct.Options.html);
/// * `hello_world::NAME` is `"hello-world"`.
#[proc_macro_attribute]
pub fn start(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = item.into();
    start::expand(arguments.into(), &item).unwrap_or_else(|error| start::beside(&error, &item)).into()
}

/// Waits for whichever comes first, and goes on there.
///
/// ```ignore
/// sync! {
///     reply = place.get() => println!("got {}", reply?),
///     why = place.exited() => println!("it ended: {why}"),
///     _ = after(Duration::from_secs(5)) => println!("no answer"),
/// }
/// ```
///
/// Each arm is a pattern, an event, and what to do with its value. Exactly one event is taken: a message that was not chosen stays
/// where it is. Of several that are ready each has its turn; a timer fires only when nothing else is ready. The arms yield one
/// value, as those of a `match` do, and may `return`, `break` or use `?`.
///
/// Events are values that implement [`Event`](../places/trait.Event.html): `channel.message()` (here also written `channel.get()`),
/// `place.exited()`, `monitor.ended()`, `node.lost()`, `after(duration)`, `at(instant)`, `ready(&pollable)`.
#[proc_macro]
pub fn sync(input: TokenStream) -> TokenStream {
    syn::parse::<sync::Arms>(input).map_or_else(syn::Error::into_compile_error, sync::Arms::expand).into()
}
