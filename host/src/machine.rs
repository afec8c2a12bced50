//! What the machine allows: memory maps, address space, open files.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Memory maps that a place takes: its stack and the guard below; of its memory, what comes before the copy-on-write image, the
/// image, the heap behind it, and the rest.
const MAPS_PER_PLACE: u64 = 6;
/// Memory maps for everything else in the process.
const OTHER_MAPS: u64 = 2_000;
/// More places than this are not counted on, whatever the limits say.
const ENOUGH: u64 = 1_000_000;

/// Limits of this machine and process that bound how many places there can be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `vm.max_map_count`; absent where the system has no such limit.
    pub max_map_count: Option<u64>,
    /// `ulimit -v`, in bytes; absent where unlimited.
    pub address_space: Option<u64>,
    /// `ulimit -n`; absent where unlimited.
    pub open_files: Option<u64>,
}

impl Limits {
    /// Those in force.
    pub fn read() -> Self {
        let max_map_count = fs::read_to_string("/proc/sys/vm/max_map_count").ok();
        Self {
            max_map_count: max_map_count.and_then(|text| text.trim().parse().ok()),
            address_space: getrlimit(Resource::As).current,
            open_files: getrlimit(Resource::Nofile).current,
        }
    }

    /// How many places the memory maps suffice for.
    pub fn places(&self) -> u32 {
        let maps = self.max_map_count.map_or(u64::MAX, |maps| maps.saturating_sub(OTHER_MAPS) / MAPS_PER_PLACE);
        u32::try_from(maps.min(ENOUGH)).unwrap_or(u32::MAX).max(1)
    }
}

/// The `vm.max_map_count` that this many places want.
pub fn maps_for(places: u32) -> u64 {
    (u64::from(places) * MAPS_PER_PLACE + OTHER_MAPS).next_power_of_two()
}

/// Raises this process's limit of open files as far as it may go: each place opens the directories that it is granted.
pub fn raise_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where that is refused, the limit stays; who runs into it is told.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
