//! EP of the NAS Parallel Benchmarks: pairs of Gaussian deviates, counted by where they lie. The argument is the class: S, W or A.
//!
//! Each rank makes its share of the blocks of 2^16 pairs, from where in the sequence of random numbers they begin; what is communicated
//! are the sums.

#[path = "npb/kernel.rs"]
mod kernel;

use std::time::Instant;

use kernel::{Random, class, of_class, report};
use places::Channel;
use places_mpi::{finish, init, op};

/// The logarithm of the pairs in a block.
const BLOCK: u32 = 16;
const SEED: u64 = 271_828_183;

/// Of each class the logarithm of all pairs, and the sums of x and of y that are right.
const CLASSES: [(char, (u32, f64, f64)); 3] = [
    ('S', (24, -3.247_834_652_034_74e3, -6.958_407_078_382_297e3)),
    ('W', (25, -2.863_319_731_645_753e3, -6.320_053_679_109_499e3)),
    ('A', (28, -4.295_875_165_629_892e3, -1.580_732_573_678_431e4)),
];

#[places::start]
fn ep(ch: Channel) -> places::Result {
    let (world, args) = init(ch)?;
    let class = class(&args);
    let (pairs, right_x, right_y) = of_class(class, &CLASSES)?;
    let began = Instant::now();
    let (mut sums, mut counts) = ([0.0; 2], [0u64; 10]);
    for block in world.partition(1 << (pairs - BLOCK)) {
        let mut random = Random::new(SEED).after((block as u64) << (BLOCK + 1));
        for _ in 0..1 << BLOCK {
            let (x, y) = (2.0 * random.next() - 1.0, 2.0 * random.next() - 1.0);
            let square = x * x + y * y;
            if square <= 1.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                let (x, y) = (x * factor, y * factor);
                counts[x.abs().max(y.abs()) as usize] += 1;
                sums[0] += x;
                sums[1] += y;
            }
        }
    }
    world.allreduce(&mut sums, op::Sum)?;
    world.allreduce(&mut counts, op::Sum)?;
    let is = |sum: f64, right: f64| ((sum - right) / right).abs() < 1e-8;
    let result = format!("{:.9e} and {:.9e} of {} pairs", sums[0], sums[1], counts.iter().sum::<u64>());
    report(&world, "ep", class, began.elapsed(), &result, is(sums[0], right_x) && is(sums[1], right_y))?;
    Ok(finish(world)?)
}
