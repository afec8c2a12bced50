#!/usr/bin/env bash
# From a fresh clone to the first place: sets the machine up, builds `placehost` and the slides' first program, and runs it. Eleven
# minutes of two cores the first time, most of them for the WebAssembly engine; a second after that.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
# As scripts/test.sh selects packages, so that it finds what is compiled here.
cargo build --release --quiet --workspace --exclude places-examples --exclude test-guests --bins
# Of all guests, which scripts/build-guests.sh compiles, this one.
cargo build --quiet --release --target wasm32-wasip2 --target-dir target/guests -p places-examples -p test-guests --example hello_world
set -x
target/release/placehost run target/guests/wasm32-wasip2/release/examples/hello_world.wasm main
