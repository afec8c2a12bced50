#!/usr/bin/env bash
# What every commit passes beside the tests: formatting, lints and documentation, without a warning.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo fmt --all --check
cargo clippy --release --quiet --workspace --all-targets -- -D warnings
RUSTDOCFLAGS='-D warnings' cargo doc --release --quiet --no-deps -p placehost -p places -p places-macros
