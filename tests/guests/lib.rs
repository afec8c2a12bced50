//! Guests for the tests and benchmarks: each file is a component of its own, made by `scripts/build-guests.sh`.
