#!/usr/bin/env bash
# Installs what building placehost and its guests needs, and says so: a C compiler (from apt, if there is none) and Rust's target
# wasm32-wasip2. Does nothing where they are there.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v cargo >/dev/null; then
    echo "setup: there is no cargo; install Rust with rustup" >&2
    exit 1
fi
if ! command -v cc >/dev/null; then
    echo "setup: installing a C compiler (apt-get install gcc libc6-dev)" >&2
    as_root=$([ "$(id -u)" = 0 ] || echo sudo)
    $as_root apt-get update -qq
    $as_root apt-get install -qq -y --no-install-recommends gcc libc6-dev >&2
fi
scripts/setup-guest-target.sh
