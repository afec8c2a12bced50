//! The whole from outside: the real command, on real components. The tests are the target `all`; `scripts/test.sh` builds what they
//! need and runs them.
