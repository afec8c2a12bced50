//! Damaged components: whatever is done to the bytes of a module, it is refused or it runs to an end.
//!
//! The input of a failed case is printed as a list of changes to `hello_world.wasm`, which is all that is needed to see it again.

use std::fs;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use placehost::{ExitReason, Host, LoadError, Output, PlaceConfig};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::harness::{guest, placehost};

/// After this long a property is content with the cases it has seen: the machine has other things to do.
const ENOUGH: Duration = Duration::from_secs(12);
/// No place lives longer.
const DEADLINE: Duration = Duration::from_millis(200);
/// Nothing takes longer, on a machine that does several things at once. Reaching it is a failure: something hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is damaged.
static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| fs::read(guest("hello_world")).expect("it can be read"));
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("there are threads"));

/// A host for one test.
fn host() -> Host {
    let _inside = RUNTIME.enter();
    Host::builder().max_places(16).build().expect("there is room for a host")
}

/// A part of the module in which most changes are of one kind.
#[derive(Clone, Copy, Debug)]
enum Zone {
    /// The types and imports of the component, before the first core module.
    Head,
    /// The bodies of functions.
    Code,
    /// What links core modules to a component, after the large one.
    Tail,
    Anywhere,
}

/// What is done at some position in a zone.
#[derive(Clone, Debug)]
struct Change {
    zone: Zone,
    at: Index,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// Flips this bit.
    Flip(u8),
    /// Writes this byte.
    Set(u8),
    /// Removes as many bytes.
    Remove(usize),
    /// Copies as many bytes from there over what is here.
    Splice(Index, usize),
    /// Ends it here.
    Cut,
    /// Makes another of its type of the next instruction, so that mostly the code stays valid.
    Twist(u8),
}

impl Zone {
    fn range(self) -> std::ops::Range<usize> {
        let [module, code, code_end, tail] = *LANDMARKS;
        match self {
            Self::Head => 0..module,
            Self::Code => code..code_end,
            Self::Tail => tail..WHOLE.len(),
            Self::Anywhere => 0..WHOLE.len(),
        }
    }

    /// A position in it, in bytes that may have become fewer.
    fn at(self, index: Index, bytes: &[u8]) -> usize {
        let range = self.range();
        (range.start + index.index(range.len())).min(bytes.len().saturating_sub(1))
    }
}

/// Where the large core module begins, its code begins and ends, and where it ends itself.
static LANDMARKS: LazyLock<[usize; 4]> = LazyLock::new(|| {
    let large = sections(8, WHOLE.len()).find(|&(id, start, end)| id == 1 && end - start > 10_000).expect("it has a core module");
    let (_, module, tail) = large;
    let (_, code, code_end) = sections(module + 8, tail).find(|&(id, ..)| id == 10).expect("that has code");
    [module, code, code_end, tail]
});

/// The sections that lie between these positions: number, begin and end of the content.
fn sections(start: usize, end: usize) -> impl Iterator<Item = (u8, usize, usize)> {
    let mut next = start;
    std::iter::from_fn(move || {
        let id = *WHOLE[..end].get(next)?;
        let length = WHOLE[next + 1..].iter().position(|byte| byte & 0x80 == 0).expect("it is well-formed") + 1;
        let begin = next + 1 + length;
        let size = WHOLE[next + 1..begin].iter().rev().fold(0, |size, byte| size << 7 | usize::from(byte & 0x7f));
        next = begin + size;
        Some((id, begin, next))
    })
}

fn apply(changes: &[Change]) -> Vec<u8> {
    let mut bytes = WHOLE.clone();
    for &Change { zone, at, what } in changes {
        let at = zone.at(at, &bytes);
        match what {
            _ if bytes.is_empty() => {}
            What::Flip(bit) => bytes[at] ^= 1 << bit,
            What::Set(to) => bytes[at] = to,
            What::Remove(length) => drop(bytes.drain(at..(at + length).min(bytes.len()))),
            What::Splice(from, length) => {
                let from = from.index(bytes.len());
                let length = length.min(bytes.len() - from.max(at));
                bytes.copy_within(from..from + length, at);
            }
            What::Cut => bytes.truncate(at),
            What::Twist(by) => twist(&mut bytes[at..], by),
        }
    }
    bytes
}

/// Changes the first small constant, comparison or calculation. What looks like one may be a part of something else: so be it.
fn twist(code: &mut [u8], by: u8) {
    for at in 0..code.len() - 1 {
        match code[at] {
            // i32.const, with a constant of one byte.
            0x41 if code[at + 1] < 0x40 => code[at + 1] ^= by % 0x40,
            // i32.eq to i32.ge_u.
            0x46..=0x4f => code[at] = 0x46 + by % 10,
            // i32.add to i32.rotr.
            0x6a..=0x78 => code[at] = 0x6a + by % 15,
            _ => continue,
        }
        return;
    }
}

/// Changes to code that mostly keep it valid: many, for a place runs little of it.
fn twists() -> impl Strategy<Value = Vec<Change>> {
    let twist = (any::<Index>(), any::<u8>()).prop_map(|(at, by)| Change { zone: Zone::Code, at, what: What::Twist(by) });
    proptest::collection::vec(twist, 1..100)
}

/// A few changes of any other kind.
fn changes(zones: &'static [Zone]) -> impl Strategy<Value = Vec<Change>> {
    let what = prop_oneof![
        4 => (0..8u8).prop_map(What::Flip),
        4 => any::<u8>().prop_map(What::Set),
        1 => (1..64usize).prop_map(What::Remove),
        2 => (any::<Index>(), 1..64usize).prop_map(|(from, length)| What::Splice(from, length)),
        1 => Just(What::Cut),
    ];
    let change = (proptest::sample::select(zones), any::<Index>(), what).prop_map(|(zone, at, what)| Change { zone, at, what });
    proptest::collection::vec(change, 1..4)
}

/// Checks a property for this many cases, or for as many as there is time for.
#[track_caller]
fn holds(cases: u32, changes: impl Strategy<Value = Vec<Change>>, property: impl Fn(Vec<u8>)) {
    let began = Instant::now();
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 40, ..Config::default() };
    let result = TestRunner::new(config).run(&changes, |changes| {
        if began.elapsed() < ENOUGH {
            property(apply(&changes));
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

/// Starts each start function with nobody at the other end, and waits for its end.
async fn run(host: &Host, bytes: Vec<u8>) {
    let module = match timeout(PATIENCE, host.load_bytes(bytes)).await.expect("the compiler hangs") {
        Ok(module) => module,
        Err(LoadError::Compiler(error)) => panic!("the compiler panicked: {error}"),
        Err(_) => return,
    };
    for start in module.starts() {
        let mut config = PlaceConfig::default();
        config.limits.deadline = Some(DEADLINE);
        config.limits.memory = 8 << 20;
        (config.stdout, config.stderr) = (Output::null(), Output::null());
        let Ok((place, channel)) = host.spawn(&module, start, config) else { continue };
        drop(channel);
        let reason = timeout(PATIENCE, place.wait()).await.expect("the place hangs");
        // Nobody kills it; so its task has panicked.
        assert_ne!(reason, ExitReason::Killed);
    }
    // A child that computes ends at its next yield, which may be after the end of its parent was told.
    let none_left = async {
        while host.places() > 0 {
            yield_now().await;
        }
    };
    timeout(PATIENCE, none_left).await.expect("a place is left");
}

#[test]
fn a_damaged_component_is_inspected() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = folder.path().join("it.wasm");
    let host = host();
    holds(150, changes(&[Zone::Head, Zone::Tail, Zone::Anywhere]), |bytes| {
        fs::write(&path, bytes).expect("there is room for a file");
        let found = RUNTIME.block_on(async { timeout(PATIENCE, host.inspect(&path)).await.expect("it hangs") });
        let problem = found.expect("the file can be read").problem;
        assert!(!matches!(problem, Some(LoadError::Compiler(_))), "{problem:?}");
    });
}

#[test]
fn a_damaged_component_is_refused_or_runs_to_an_end() {
    let host = host();
    holds(60, changes(&[Zone::Head, Zone::Code, Zone::Tail, Zone::Anywhere]), |bytes| RUNTIME.block_on(run(&host, bytes)));
}

#[test]
fn twisted_code_is_refused_or_runs_to_an_end() {
    let host = host();
    holds(40, twists(), |bytes| RUNTIME.block_on(run(&host, bytes)));
}

#[test]
fn the_command_survives_damaged_components() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let cache = folder.path().join("cache");
    holds(30, changes(&[Zone::Head, Zone::Tail, Zone::Anywhere]), |bytes| {
        fs::write(folder.path().join("it.wasm"), bytes).expect("there is room for a file");
        let inspect = placehost(["inspect", "it.wasm"]).dir(folder.path());
        let ended = inspect.env("PLACEHOST_CACHE", cache.to_str().expect("its path is text")).end();
        assert!(matches!(ended.code, Some(0 | 125)), "{ended:?}");
        assert!(!ended.stderr.contains("panicked at "), "{ended:?}");
    });
}

#[test]
fn the_landmarks_are_where_they_should_be() {
    let [module, code, code_end, tail] = *LANDMARKS;
    assert!(WHOLE[module..].starts_with(b"\0asm\x01\0\0\0"));
    assert!(module < code && code < code_end && code_end < tail && tail < WHOLE.len());
    assert_eq!(apply(&[]), *WHOLE);
}
