#!/usr/bin/env bash
# Passes all tests, from a fresh clone: sets the machine up, builds the command and the guests once, runs the unit tests, the
# doctests and the tests of the whole, then scripts/check.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
scripts/setup-tests.sh
# The same packages each time: with others, cargo would choose other features for what they share, and compile it again.
packages=(--workspace --exclude places-examples --exclude test-guests)
cargo build --release "${packages[@]}" --bins --tests --examples
scripts/build-guests.sh
cargo test --release "${packages[@]}"
scripts/check.sh
