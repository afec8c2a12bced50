//! FT of the NAS Parallel Benchmarks: a partial differential equation by Fourier transforms in three dimensions. The argument is the
//! class: S, W or A. The number of ranks has to divide the grid's first and last sides.
//!
//! Each rank has some planes. Two dimensions it transforms alone; for the third all exchange blocks, so that each has some columns.

#[path = "npb/kernel.rs"]
mod kernel;

use std::f64::consts::PI;
use std::time::Instant;

use kernel::{Random, class, of_class, report};
use places::Channel;
use places_mpi::{Communicator, Error, finish, init, op};

/// A complex number.
type Complex = [f64; 2];

/// The sides of the grid, and the checksums that are right after each of the six steps.
type Class = ([usize; 3], [Complex; 6]);

const CLASSES: [(char, Class); 3] = [
    (
        'S',
        (
            [64, 64, 64],
            [
                [5.546087004964e2, 4.845363331978e2],
                [5.546385409189e2, 4.865304269511e2],
                [5.546148406171e2, 4.883910722336e2],
                [5.545423607415e2, 4.901273169046e2],
                [5.544255039624e2, 4.917475857993e2],
                [5.542683411902e2, 4.932597244941e2],
            ],
        ),
    ),
    (
        'W',
        (
            [128, 128, 32],
            [
                [5.673612178944e2, 5.293246849175e2],
                [5.631436885271e2, 5.282149986629e2],
                [5.594024089970e2, 5.270996558037e2],
                [5.560698047020e2, 5.260027904925e2],
                [5.530898991250e2, 5.249400845633e2],
                [5.504159734538e2, 5.239212247086e2],
            ],
        ),
    ),
    (
        'A',
        (
            [256, 256, 128],
            [
                [5.046735008193e2, 5.114047905510e2],
                [5.059412319734e2, 5.098809666433e2],
                [5.069376896287e2, 5.098144042213e2],
                [5.077892868474e2, 5.101336130759e2],
                [5.085233095391e2, 5.104914655194e2],
                [5.091487099959e2, 5.107917842803e2],
            ],
        ),
    ),
];

/// How fast waves decay.
const ALPHA: f64 = 1e-6;

#[places::start]
fn ft(ch: Channel) -> places::Result {
    let (world, args) = init(ch)?;
    let class = class(&args);
    let ([nx, ny, nz], right) = of_class(class, &CLASSES)?;
    let ranks = world.size();
    if nx % ranks != 0 || nz % ranks != 0 {
        return Err(format!("{ranks} ranks do not divide the sides {nx} and {nz} of class {class}").into());
    }
    let grid = Grid { world: &world, nx, ny, nz };

    let began = Instant::now();
    let waves = grid.forward(grid.initial())?;
    let mut last = [0.0; 2];
    for (step, right) in (1..).zip(right) {
        let mut sum = grid.checksum(&grid.backward(grid.decayed(&waves, f64::from(step)))?);
        world.allreduce(&mut sum, op::Sum)?;
        last = sum.map(|part| part / (nx * ny * nz) as f64);
        let is = |part: usize| ((last[part] - right[part]) / right[part]).abs() < 1e-12;
        if !is(0) || !is(1) {
            report(&world, "ft", class, began.elapsed(), &format!("checksum {last:?} of step {step}"), false)?;
        }
    }
    report(&world, "ft", class, began.elapsed(), &format!("checksum {:.9e} and {:.9e}", last[0], last[1]), true)?;
    Ok(finish(world)?)
}

/// A grid of which each rank has some planes: `z` slowest, `x` fastest. Of its waves each rank has some columns: `x` slowest, then `y`,
/// `z` fastest.
struct Grid<'a> {
    world: &'a Communicator,
    nx: usize,
    ny: usize,
    nz: usize,
}

impl Grid<'_> {
    /// Random numbers.
    fn initial(&self) -> Vec<Complex> {
        let planes = self.world.partition(self.nz);
        let mut random = Random::new(314_159_265).after((2 * planes.start * self.nx * self.ny) as u64);
        (0..planes.len() * self.nx * self.ny).map(|_| [random.next(), random.next()]).collect()
    }

    /// From planes to waves.
    fn forward(&self, mut planes: Vec<Complex>) -> Result<Vec<Complex>, Error> {
        self.transform_planes(&mut planes, 1.0);
        let mut waves = self.to_columns(&planes)?;
        transform_rows(&mut waves, self.nz, 1.0);
        Ok(waves)
    }

    /// From waves to planes.
    fn backward(&self, mut waves: Vec<Complex>) -> Result<Vec<Complex>, Error> {
        transform_rows(&mut waves, self.nz, -1.0);
        let mut planes = self.to_planes(&waves)?;
        self.transform_planes(&mut planes, -1.0);
        Ok(planes)
    }

    fn transform_planes(&self, planes: &mut [Complex], sign: f64) {
        transform_rows(planes, self.nx, sign);
        let mut turned = vec![[0.0; 2]; self.nx * self.ny];
        for plane in planes.chunks_exact_mut(self.nx * self.ny) {
            turn(plane, self.nx, &mut turned);
            transform_rows(&mut turned, self.ny, sign);
            turn(&turned, self.ny, plane);
        }
    }

    /// Exchanges blocks: a rank gives each its columns of the planes it has.
    fn to_columns(&self, planes: &[Complex]) -> Result<Vec<Complex>, Error> {
        let (wide, deep) = (self.nx / self.world.size(), self.nz / self.world.size());
        let mut blocks = Vec::with_capacity(planes.len());
        for to in 0..self.world.size() {
            for x in to * wide..(to + 1) * wide {
                for y in 0..self.ny {
                    blocks.extend((0..deep).map(|z| planes[(z * self.ny + y) * self.nx + x]));
                }
            }
        }
        let came = self.exchanged(&blocks)?;
        let mut columns = Vec::with_capacity(planes.len());
        for column in 0..wide * self.ny {
            for from in 0..self.world.size() {
                columns.extend_from_slice(&came[(from * wide * self.ny + column) * deep..][..deep]);
            }
        }
        Ok(columns)
    }

    /// The way back.
    fn to_planes(&self, columns: &[Complex]) -> Result<Vec<Complex>, Error> {
        let (wide, deep) = (self.nx / self.world.size(), self.nz / self.world.size());
        let mut blocks = Vec::with_capacity(columns.len());
        for to in 0..self.world.size() {
            for column in 0..wide * self.ny {
                blocks.extend_from_slice(&columns[column * self.nz + to * deep..][..deep]);
            }
        }
        let came = self.exchanged(&blocks)?;
        let mut planes = vec![[0.0; 2]; columns.len()];
        let mut came = came.into_iter();
        for x in 0..self.nx {
            for y in 0..self.ny {
                for (z, value) in (0..deep).zip(&mut came) {
                    planes[(z * self.ny + y) * self.nx + x] = value;
                }
            }
        }
        Ok(planes)
    }

    fn exchanged(&self, blocks: &[Complex]) -> Result<Vec<Complex>, Error> {
        let came = self.world.alltoall(blocks.as_flattened())?;
        Ok(came.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect())
    }

    /// The waves after so much time.
    fn decayed(&self, waves: &[Complex], time: f64) -> Vec<Complex> {
        let square = |index: usize, side: usize| {
            let wave = if index < side / 2 { index as f64 } else { index as f64 - side as f64 };
            wave * wave
        };
        let factor = -4.0 * ALPHA * PI * PI * time;
        let along: Vec<f64> = (0..self.nz).map(|z| (factor * square(z, self.nz)).exp()).collect();
        let mut decayed = Vec::with_capacity(waves.len());
        let mut columns = waves.chunks_exact(self.nz);
        for x in self.world.partition(self.nx) {
            for (y, column) in (0..self.ny).zip(&mut columns) {
                let across = (factor * (square(x, self.nx) + square(y, self.ny))).exp();
                decayed.extend(column.iter().zip(&along).map(|(wave, along)| wave.map(|part| part * across * along)));
            }
        }
        decayed
    }

    /// The sum of 1,024 of all points, as far as this rank has them.
    fn checksum(&self, planes: &[Complex]) -> Complex {
        let mine = self.world.partition(self.nz);
        let mut sum = [0.0; 2];
        for index in 1..=1_024 {
            let (x, y, z) = (index % self.nx, 3 * index % self.ny, 5 * index % self.nz);
            if mine.contains(&z) {
                let point = planes[((z - mine.start) * self.ny + y) * self.nx + x];
                sum = [sum[0] + point[0], sum[1] + point[1]];
            }
        }
        sum
    }
}

/// Rows become columns.
fn turn(from: &[Complex], width: usize, to: &mut [Complex]) {
    let height = from.len() / width;
    for (y, row) in from.chunks_exact(width).enumerate() {
        for (x, value) in row.iter().enumerate() {
            to[x * height + y] = *value;
        }
    }
}

/// Transforms each row of a power of two: Stockham's method, which sorts as it goes.
fn transform_rows(rows: &mut [Complex], length: usize, sign: f64) {
    let roots: Vec<Complex> =
        (0..length / 2).map(|k| (sign * 2.0 * PI * k as f64 / length as f64).sin_cos()).map(|(sin, cos)| [cos, sin]).collect();
    let mut room = vec![[0.0; 2]; length];
    for row in rows.chunks_exact_mut(length) {
        // From one to the other and back.
        let (mut from, mut to) = (&mut *row, &mut room[..]);
        let mut stride = 1;
        while stride < length {
            let (left, right) = from.split_at(length / 2);
            let pairs = left.chunks_exact(stride).zip(right.chunks_exact(stride));
            for ((group, (left, right)), sums) in pairs.enumerate().zip(to.chunks_exact_mut(2 * stride)) {
                let [cos, sin] = roots[group * stride];
                let (sums, differences) = sums.split_at_mut(stride);
                for (((a, b), sum), difference) in left.iter().zip(right).zip(sums).zip(differences) {
                    let apart = [a[0] - b[0], a[1] - b[1]];
                    *sum = [a[0] + b[0], a[1] + b[1]];
                    *difference = [apart[0] * cos - apart[1] * sin, apart[0] * sin + apart[1] * cos];
                }
            }
            (from, to) = (to, from);
            stride *= 2;
        }
        if length.ilog2() % 2 == 1 {
            to.copy_from_slice(from);
        }
    }
}
