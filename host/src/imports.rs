//! What guests import, one file for each interface of `wit/`.
//!
//! A mistake that a guest can handle is a WIT `result`; a broken contract traps, and ends that place only.

mod channels;
mod events;
mod logging;
mod nodes;
mod objects;
mod places;
mod types;

#[expect(unreachable_pub, reason = "the generated bindings, private too, name it in a `pub use`")]
pub use events::Selector;
#[expect(unreachable_pub, reason = "the generated bindings, private too, name it in a `pub use`")]
pub use nodes::Dialling;
