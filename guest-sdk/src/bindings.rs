//! The contract in `wit/`, as functions that this component imports.
#![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated, and private to this crate")]

wit_bindgen::generate!({
    path: "../wit",
    world: "places:core/place",
    with: { "wasi:io/poll@0.2.12": wasip2::io::poll },
});

pub(crate) use self::places::core::{channels, events, logging, nodes, objects, places as api, types};
