//! IS of the NAS Parallel Benchmarks: the ranks of random keys in their order, ten times. The argument is the class: S, W or A.
//!
//! Each rank counts its share of the keys by value. All counts together say how many keys are smaller, those of the ranks before how
//! many of the same value stand before.

#[path = "npb/kernel.rs"]
mod kernel;

use std::ops::Range;
use std::time::Instant;

use kernel::{Random, class, of_class, report};
use places::Channel;
use places_mpi::{Communicator, Error, finish, init, op};

const SEED: u64 = 314_159_265;
const ITERATIONS: usize = 10;

/// A class: the logarithms of how many keys there are and of their bound; keys whose ranks are known, those ranks in iteration 0, and
/// how they change with each further one.
#[derive(Clone, Copy)]
struct Class {
    keys: u32,
    bound: u32,
    known: [(usize, i64, i64); 5],
}

const CLASSES: [(char, Class); 3] = [
    (
        'S',
        Class {
            keys: 16,
            bound: 11,
            known: [(48_427, 0, 1), (17_148, 18, 1), (23_627, 346, 1), (62_548, 64_917, -1), (4_431, 65_463, -1)],
        },
    ),
    (
        'W',
        Class {
            keys: 20,
            bound: 16,
            known: [
                (357_773, 1_247, 1),
                (934_767, 11_696, 1),
                (875_723, 1_039_987, -1),
                (898_999, 1_043_896, -1),
                (404_505, 1_048_018, -1),
            ],
        },
    ),
    (
        'A',
        Class {
            keys: 23,
            bound: 19,
            known: [
                (2_112_377, 103, 1),
                (662_041, 17_522, 1),
                (5_336_171, 123_927, 1),
                (3_642_833, 8_288_933, -1),
                (4_250_760, 8_388_265, -1),
            ],
        },
    ),
];

#[places::start]
fn is(ch: Channel) -> places::Result {
    let (world, args) = init(ch)?;
    let class_name = class(&args);
    let class = of_class(class_name, &CLASSES)?;
    let (count, bound) = (1usize << class.keys, 1usize << class.bound);
    let mine = world.partition(count);
    let mut keys = make_keys(&mine, bound);

    let mut tables = Tables::new(keys.len(), bound);
    let mut right = true;
    let began = Instant::now();
    for iteration in 1..=ITERATIONS {
        for (at, key) in [(iteration, iteration), (iteration + ITERATIONS, bound - iteration)] {
            if mine.contains(&at) {
                keys[at - mine.start] = key as u32;
            }
        }
        tables.rank(&world, &keys)?;
        let smaller = &tables.smaller;
        right &= class.known.iter().all(|&(at, first, change)| {
            !mine.contains(&at) || i64::from(smaller[keys[at - mine.start] as usize]) == first + change * iteration as i64
        });
    }
    let time = began.elapsed();
    let mut wrong = [u8::from(!right)];
    world.allreduce(&mut wrong, op::Max)?;
    // In one number: what every other program that ranks these keys has to come to.
    let weighted = |(index, rank): (usize, &u32)| u64::from(*rank) * ((index + mine.start) as u64 % 1_009 + 1) % 1_000_000_007;
    let mut check = [tables.ranks.iter().enumerate().map(weighted).sum::<u64>() % 1_000_000_007];
    world.allreduce(&mut check, op::Sum)?;
    let result = format!("check {} of {count} keys", check[0] % 1_000_000_007);
    report(&world, "is", class_name, time, &result, wrong[0] == 0)?;
    Ok(finish(world)?)
}

/// Sums of four random numbers each, so that most keys are in the middle.
fn make_keys(range: &Range<usize>, bound: usize) -> Vec<u32> {
    let mut random = Random::new(SEED).after(4 * range.start as u64);
    range.clone().map(|_| ((bound / 4) as f64 * (random.next() + random.next() + random.next() + random.next())) as u32).collect()
}

/// What a rank counts in, made once: new memory costs more than to count in it.
struct Tables {
    /// How many keys of all have a value.
    counts: Vec<u32>,
    /// How many keys of all are below it.
    smaller: Vec<u32>,
    /// The rank of this rank's next key of it.
    next: Vec<u32>,
    /// The rank of each key.
    ranks: Vec<u32>,
}

impl Tables {
    fn new(keys: usize, bound: usize) -> Self {
        Self { counts: vec![0; bound], smaller: vec![0; bound], next: vec![0; bound], ranks: vec![0; keys] }
    }

    /// Ranks these keys among those of all ranks.
    fn rank(&mut self, world: &Communicator, keys: &[u32]) -> Result<(), Error> {
        let Self { counts, smaller, next, ranks } = self;
        counts.fill(0);
        // In eights: the host looks at its clock once in each round of a loop, which is much beside a count.
        let (eights, rest) = keys.as_chunks::<8>();
        for keys in eights {
            keys.iter().for_each(|&key| counts[key as usize] += 1);
        }
        rest.iter().for_each(|&key| counts[key as usize] += 1);
        let before = world.exscan(counts, op::Sum)?;
        world.allreduce(counts, op::Sum)?;
        let mut below = 0;
        for (smaller, count) in smaller.iter_mut().zip(counts) {
            *smaller = below;
            below += *count;
        }
        next.copy_from_slice(smaller);
        if let Some(before) = before {
            next.iter_mut().zip(before).for_each(|(next, before)| *next += before);
        }
        let mut rank = |(rank, &key): (&mut u32, &u32)| {
            let next = &mut next[key as usize];
            *rank = *next;
            *next += 1;
        };
        let (eight_ranks, rest_ranks) = ranks.as_chunks_mut::<8>();
        for (ranks, keys) in eight_ranks.iter_mut().zip(eights) {
            ranks.iter_mut().zip(keys).for_each(&mut rank);
        }
        rest_ranks.iter_mut().zip(rest).for_each(rank);
        Ok(())
    }
}
