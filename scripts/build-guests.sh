#!/usr/bin/env bash
# Compiles the guests (examples/ and tests/guests/) to components, in target/guests, so that neither they nor the native crates
# are built twice. The guest target must be there: scripts/setup-guest-target.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --target wasm32-wasip2 --target-dir target/guests -p places-examples -p test-guests --examples
