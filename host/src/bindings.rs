//! The contract in `wit/`, as Rust: one trait for each interface that the host implements.
//!
//! Calls that can wait are `async`: wasmtime suspends the place's fiber there. The others are plain calls. Any function may
//! trap the place by returning an error; what a guest can handle is a WIT `result` instead.

wasmtime::component::bindgen!({
    path: "../wit",
    world: "places:core/place",
    imports: {
        "places:core/channels.[method]channel.put": async | trappable,
        "places:core/channels.[method]channel.get": async | trappable,
        "places:core/channels.[method]channel.put-get": async | trappable,
        "places:core/channels.[method]channel.put-many": async | trappable,
        "places:core/channels.[method]channel.get-many": async | trappable,
        "places:core/channels.[method]channel.send": async | trappable,
        "places:core/channels.[method]channel.receive": async | trappable,
        "places:core/nodes.[static]node.connect": async | trappable,
        "places:core/nodes.[static]node.create": async | trappable,
        "places:core/nodes.[method]node.lookup": async | trappable,
        "places:core/nodes.[method]node.exit": async | trappable,
        "places:core/events.sync": async | trappable,
        "places:core/events.[method]selector.wait": async | trappable,
        "places:core/places.[method]place.id": async | trappable,
        "places:core/places.[method]place.wait": async | trappable,
        "places:core/places.[method]place.kill": async | trappable,
        "places:core/places.[static]monitor.create": async | trappable,
        "places:core/places.[method]monitor.wait": async | trappable,
        "places:core/places.spawn": async | trappable,
        default: trappable,
    },
    with: {
        "wasi:io": wasmtime_wasi::p2::bindings::io,
        "places:core/channels.channel": crate::channel::Channel,
        "places:core/channels.blob": crate::channel::Blob,
        "places:core/events.selector": crate::imports::Selector,
        "places:core/nodes.node": crate::node::Node,
        "places:core/places.monitor": crate::place::Monitor,
        "places:core/places.place": crate::place::Place,
    },
    require_store_data_send: true,
});
