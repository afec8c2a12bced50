//! CG of the NAS Parallel Benchmarks: the smallest eigenvalue of a sparse matrix, by conjugate gradients. The argument is the class: S,
//! W or A.
//!
//! Each rank has some rows of the matrix. For each product it needs all of the vector, which an allgatherv brings together; for each
//! scalar product, an allreduce.

#[path = "npb/kernel.rs"]
mod kernel;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use kernel::{Random, class, of_class, report};
use places::Channel;
use places_mpi::{Communicator, Error, finish, init, op};

/// The order of the matrix, how many entries its vectors have, how often the eigenvalue is improved, by what the matrix is shifted, and
/// what is right.
type Class = (usize, usize, usize, f64, f64);

const CLASSES: [(char, Class); 3] = [
    ('S', (1_400, 7, 15, 10.0, 8.597_177_507_864_8)),
    ('W', (7_000, 8, 15, 12.0, 10.362_595_087_124)),
    ('A', (14_000, 11, 15, 20.0, 17.130_235_054_029)),
];

/// Steps of the method for each solution.
const STEPS: usize = 25;

/// Some rows of a sparse matrix.
struct Rows {
    starts: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f64>,
}

#[places::start]
fn cg(ch: Channel) -> places::Result {
    let (world, args) = init(ch)?;
    let class = class(&args);
    let (order, entries, iterations, shift, right) = of_class(class, &CLASSES)?;
    let mine = world.partition(order);
    let rows = Rows::make(&mine, order, entries, shift);

    let mut x = vec![1.0; mine.len()];
    solve(&world, &rows, &x)?;
    let began = Instant::now();
    let mut zeta = 0.0;
    for _ in 0..iterations {
        let z = solve(&world, &rows, &x)?;
        let mut sums = [dot(&x, &z), dot(&z, &z)];
        world.allreduce(&mut sums, op::Sum)?;
        zeta = shift + 1.0 / sums[0];
        let length = 1.0 / sums[1].sqrt();
        x.iter_mut().zip(z).for_each(|(x, z)| *x = length * z);
    }
    report(&world, "cg", class, began.elapsed(), &format!("zeta {zeta:.10}"), (zeta - right).abs() < 1e-10)?;
    Ok(finish(world)?)
}

/// Solves for this right side, approximately.
fn solve(world: &Communicator, rows: &Rows, x: &[f64]) -> Result<Vec<f64>, Error> {
    let sum = |value: f64| -> Result<f64, Error> {
        let mut sum = [value];
        world.allreduce(&mut sum, op::Sum)?;
        Ok(sum[0])
    };
    let (mut z, mut r, mut p, mut q) = (vec![0.0; x.len()], x.to_vec(), x.to_vec(), vec![0.0; x.len()]);
    let mut rho = sum(dot(&r, &r))?;
    for _ in 0..STEPS {
        rows.times(&world.allgatherv(&p)?.concat(), &mut q);
        let alpha = rho / sum(dot(&p, &q))?;
        let before = rho;
        for index in 0..z.len() {
            z[index] += alpha * p[index];
            r[index] -= alpha * q[index];
        }
        rho = sum(dot(&r, &r))?;
        let beta = rho / before;
        p.iter_mut().zip(&r).for_each(|(p, r)| *p = r + beta * *p);
    }
    Ok(z)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Rows {
    /// These rows of the matrix of the specification: a sum of outer products of random sparse vectors, each weighted less than the one
    /// before.
    fn make(mine: &Range<usize>, order: usize, entries: usize, shift: f64) -> Self {
        const CONDITION: f64 = 0.1;
        let mut random = Random::new(314_159_265).after(1);
        let ratio = CONDITION.powf(1.0 / order as f64);
        let (mut size, mut rows) = (1.0, vec![BTreeMap::<u32, f64>::new(); mine.len()]);
        for index in 0..order {
            let vector = sparse(&mut random, index, order, entries);
            for &(row, value) in vector.iter().filter(|(row, _)| mine.contains(row)) {
                let scale = size * value;
                for &(column, value) in &vector {
                    let diagonal = if column == row && row == index { CONDITION - shift } else { 0.0 };
                    *rows[row - mine.start].entry(column as u32).or_default() += value * scale + diagonal;
                }
            }
            size *= ratio;
        }
        let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
        for row in rows {
            columns.extend(row.keys());
            values.extend(row.values());
            starts.push(columns.len());
        }
        Self { starts, columns, values }
    }

    fn times(&self, vector: &[f64], product: &mut [f64]) {
        for (row, product) in self.starts.windows(2).zip(product) {
            let range = row[0]..row[1];
            // In eights: the host looks at its clock once in each round of a loop, which is much beside a product.
            let (columns, last_columns) = self.columns[range.clone()].as_chunks::<8>();
            let (values, last_values) = self.values[range].as_chunks::<8>();
            let term = |column: u32, value: f64| value * vector[column as usize];
            let mut sum = 0.0;
            for (columns, values) in columns.iter().zip(values) {
                (0..8).for_each(|index| sum += term(columns[index], values[index]));
            }
            *product = last_columns.iter().zip(last_values).fold(sum, |sum, (&column, &value)| sum + term(column, value));
        }
    }
}

/// A random vector with so many entries, and one half at `index`.
fn sparse(random: &mut Random, index: usize, order: usize, entries: usize) -> Vec<(usize, f64)> {
    let range = order.next_power_of_two() as f64;
    let mut vector: Vec<(usize, f64)> = Vec::with_capacity(entries + 1);
    while vector.len() < entries {
        let (value, at) = (random.next(), (range * random.next()) as usize);
        if at < order && vector.iter().all(|(other, _)| *other != at) {
            vector.push((at, value));
        }
    }
    match vector.iter_mut().find(|(at, _)| *at == index) {
        Some((_, value)) => *value = 0.5,
        None => vector.push((index, 0.5)),
    }
    vector
}
