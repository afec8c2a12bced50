#!/usr/bin/env bash
# What every commit passes beside the tests: formatting, lints and documentation, without a warning. The guests are checked as what
# they are, for their own target.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo fmt --all --check
cargo clippy --release --quiet --workspace --exclude places-examples --exclude test-guests --all-targets -- -D warnings
cargo clippy --release --quiet --target wasm32-wasip2 --target-dir target/guests -p places-examples -p test-guests --examples -- -D warnings
RUSTDOCFLAGS='-D warnings' cargo doc --release --quiet --no-deps -p placehost -p placehost-proto -p places -p places-macros -p places-mapreduce -p places-mapreduce-macros -p places-mpi -p places-rpc -p places-rpc-macros -p places-supervision
