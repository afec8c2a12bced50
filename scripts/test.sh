#!/usr/bin/env bash
# Passes all tests, from a fresh clone: sets the machine up, builds the command and the guests once, runs the unit tests and
# doctests, then the tests of the whole, then scripts/check.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
cargo build --release -p placehost --bins --examples
scripts/build-guests.sh
cargo test --release
cargo test --release -p placehost-tests
scripts/check.sh
