#!/usr/bin/env bash
# From a fresh clone to the first place: sets the machine up, builds `placehost` and the examples, and runs the slides' first
# program. A few minutes the first time, most of them for the WebAssembly engine; a second after that.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
cargo build --release --quiet -p placehost
scripts/build-guests.sh
set -x
target/release/placehost run target/guests/wasm32-wasip2/release/examples/hello_world.wasm main
