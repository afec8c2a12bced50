//! Clusters of random points by the method of k means, as on the slides: each rank has some of the points. The argument is how many
//! there are, else 65,536.

use std::time::Instant;

use places::Channel;
use places_mpi::{finish, init, op};

const DIMENSIONS: usize = 4;
const CLUSTERS: usize = 16;
const ROUNDS: usize = 20;

type Point = [f64; DIMENSIONS];

/// SplitMix64, from anywhere in its sequence.
fn random(index: u64) -> f64 {
    let z = 42u64.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

fn point(index: usize) -> Point {
    std::array::from_fn(|dimension| random((index * DIMENSIONS + dimension) as u64))
}

fn square_distance(a: &Point, b: &Point) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn nearest(point: &Point, centres: &[Point; CLUSTERS]) -> usize {
    let (mut best, mut least) = (0, f64::INFINITY);
    for (index, centre) in centres.iter().enumerate() {
        let distance = square_distance(point, centre);
        if distance < least {
            (best, least) = (index, distance);
        }
    }
    best
}

#[places::start]
fn kmeans(ch: Channel) -> places::Result {
    let (world, args) = init(ch)?;
    let count = args.first().map_or(Ok(65_536), |count| count.parse())?;
    let points: Vec<Point> = world.partition(count).map(point).collect();
    // The first points are the first centres.
    let mut centres: [Point; CLUSTERS] = std::array::from_fn(point);
    let began = Instant::now();
    for _ in 0..ROUNDS {
        // Of each cluster the sum of its points, and behind that their number.
        let mut sums = [[0.0; DIMENSIONS + 1]; CLUSTERS];
        for point in &points {
            let sum = &mut sums[nearest(point, &centres)];
            sum.iter_mut().zip(point).for_each(|(sum, part)| *sum += part);
            sum[DIMENSIONS] += 1.0;
        }
        world.allreduce(sums.as_flattened_mut(), op::Sum)?;
        for (centre, sum) in centres.iter_mut().zip(&sums).filter(|(_, sum)| sum[DIMENSIONS] > 0.0) {
            centre.iter_mut().zip(sum).for_each(|(part, total)| *part = total / sum[DIMENSIONS]);
        }
    }
    if world.rank() == 0 {
        let check: f64 = centres.as_flattened().iter().zip(1..).map(|(part, index)| part * f64::from(index)).sum();
        println!("kmeans: {count} points in {CLUSTERS} clusters, check {check:.9}");
        eprintln!("placehost.kmeans.{count}.np{} {:.6} s", world.size(), began.elapsed().as_secs_f64());
    }
    Ok(finish(world)?)
}
