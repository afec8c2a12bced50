//! MG of the NAS Parallel Benchmarks: Poisson's equation in a periodic cube, by four cycles over grids of all sizes. The argument is the
//! class: S, W or A. The number of ranks is a power of two, at most half the cube's side.
//!
//! Each rank has some planes of the large grids, and beside them copies of its neighbours' nearest ones. Grids with fewer planes than
//! two for each rank every rank has whole.

#[path = "npb/kernel.rs"]
mod kernel;

use std::time::Instant;

use kernel::{Random, class, of_class, report};
use places::Channel;
use places_mpi::{Communicator, Error, finish, init, op};

/// Of each class the logarithm of the cube's side, and the norm that is right.
const CLASSES: [(char, (u32, f64)); 3] =
    [('S', (5, 0.530_770_700_573_4e-4)), ('W', (7, 0.646_732_937_533_9e-5)), ('A', (8, 0.243_336_530_906_9e-5))];
const CYCLES: usize = 4;

/// The equation, by distance: a point, its faces, edges and corners.
const EQUATION: [f64; 4] = [-8.0 / 3.0, 0.0, 1.0 / 6.0, 1.0 / 12.0];
/// What smooths a solution.
const SMOOTHER: [f64; 4] = [-3.0 / 8.0, 1.0 / 32.0, -1.0 / 64.0, 0.0];
/// What the next smaller grid gets.
const COARSER: [f64; 4] = [0.5, 0.25, 0.125, 0.0625];

#[places::start]
fn mg(ch: Channel) -> places::Result {
    let (world, args) = init(ch)?;
    let class = class(&args);
    let (levels, right) = of_class(class, &CLASSES)?;
    if !world.size().is_power_of_two() || world.size() > 1 << (levels - 1) {
        return Err(format!("the ranks of mg are a power of two up to {}, not {}", 1 << (levels - 1), world.size()).into());
    }
    let sides: Vec<usize> = (1..=levels).map(|level| 1 << level).collect();
    let top = sides.len() - 1;
    let v = charges(&world, sides[top])?;
    let grids = || sides.iter().map(|&side| Grid::new(&world, side)).collect::<Vec<_>>();
    let (mut u, mut r) = (grids(), grids());

    let began = Instant::now();
    r[top] = v.minus(&u[top])?;
    for _ in 0..CYCLES {
        for level in (0..top).rev() {
            r[level] = r[level + 1].coarser()?;
        }
        u[0].values.fill(0.0);
        u[0].smooth(&r[0])?;
        for level in 1..=top {
            if level < top {
                u[level].values.fill(0.0);
            }
            let coarse = u[level - 1].clone();
            u[level].add_finer(&coarse)?;
            r[level] = if level == top { v.minus(&u[level])? } else { r[level].minus(&u[level])? };
            u[level].smooth(&r[level])?;
        }
        r[top] = v.minus(&u[top])?;
    }
    let norm = r[top].norm()?;
    report(&world, "mg", class, began.elapsed(), &format!("norm {norm:.9e}"), ((norm - right) / right).abs() < 1e-8)?;
    Ok(finish(world)?)
}

/// A cube, or the planes of it that this rank has; with a layer around it of what is beyond, which is its other side.
#[derive(Clone)]
struct Grid<'a> {
    world: &'a Communicator,
    side: usize,
    planes: usize,
    /// Whether each rank has other planes.
    shared: bool,
    values: Vec<f64>,
}

impl<'a> Grid<'a> {
    fn new(world: &'a Communicator, side: usize) -> Self {
        let shared = world.size() > 1 && side / world.size() >= 2;
        let planes = if shared { side / world.size() } else { side };
        Self { world, side, planes, shared, values: vec![0.0; (planes + 2) * (side + 2) * (side + 2)] }
    }

    /// How far apart planes are, and rows.
    fn strides(&self) -> (usize, usize) {
        ((self.side + 2) * (self.side + 2), self.side + 2)
    }

    /// Copies what is beyond.
    fn wrap(&mut self) -> Result<(), Error> {
        let (plane, row) = self.strides();
        let side = self.side;
        for z in 1..=self.planes {
            for y in 1..=side {
                let at = z * plane + y * row;
                self.values[at] = self.values[at + side];
                self.values[at + side + 1] = self.values[at + 1];
            }
            let at = z * plane;
            self.values.copy_within(at + side * row..at + (side + 1) * row, at);
            self.values.copy_within(at + row..at + 2 * row, at + (side + 1) * row);
        }
        let last = self.planes * plane;
        if !self.shared {
            self.values.copy_within(last..last + plane, 0);
            self.values.copy_within(plane..2 * plane, last + plane);
            return Ok(());
        }
        let (me, ranks) = (self.world.rank(), self.world.size());
        let (below, above) = ((me + ranks - 1) % ranks, (me + 1) % ranks);
        let (lower, _) = self.world.sendrecv(&self.values[last..last + plane], (above, 0), (below, 0))?;
        let (upper, _) = self.world.sendrecv(&self.values[plane..2 * plane], (below, 1), (above, 1))?;
        self.values[..plane].copy_from_slice(&lower);
        self.values[last + plane..].copy_from_slice(&upper);
        Ok(())
    }

    /// The weighted sums of a point's neighbours in a row, for each point of it: those of all distances, added to `sums`.
    fn weigh(&self, (z, y): (usize, usize), weights: [f64; 4], sums: &mut [f64]) {
        let (plane, row) = self.strides();
        let line = |dz: usize, dy: usize| &self.values[(z + dz - 1) * plane + (y + dy - 1) * row..][..row];
        let middle = line(1, 1);
        let (faces, edges) = ([line(0, 1), line(2, 1), line(1, 0), line(1, 2)], [line(0, 0), line(0, 2), line(2, 0), line(2, 2)]);
        let mut near = [0.0; 2 * 512];
        let (near, far) = near[..2 * row].split_at_mut(row);
        for x in 0..row {
            near[x] = faces[0][x] + faces[1][x] + faces[2][x] + faces[3][x];
            far[x] = edges[0][x] + edges[1][x] + edges[2][x] + edges[3][x];
        }
        for x in 1..row - 1 {
            sums[x] += weights[0] * middle[x]
                + weights[1] * (middle[x - 1] + middle[x + 1] + near[x])
                + weights[2] * (near[x - 1] + near[x + 1] + far[x])
                + weights[3] * (far[x - 1] + far[x + 1]);
        }
    }

    /// What is left of this where the equation holds for `u`: the residual.
    fn minus(&self, u: &Self) -> Result<Self, Error> {
        let mut rest = self.clone();
        let (plane, row) = self.strides();
        let equation = EQUATION.map(|weight| -weight);
        for z in 1..=self.planes {
            for y in 1..=self.side {
                u.weigh((z, y), equation, &mut rest.values[z * plane + y * row..][..row]);
            }
        }
        rest.wrap()?;
        Ok(rest)
    }

    /// Improves this by what is left.
    fn smooth(&mut self, rest: &Self) -> Result<(), Error> {
        let (plane, row) = self.strides();
        for z in 1..=self.planes {
            for y in 1..=self.side {
                rest.weigh((z, y), SMOOTHER, &mut self.values[z * plane + y * row..][..row]);
            }
        }
        self.wrap()
    }

    /// The same on a grid of half the side.
    fn coarser(&self) -> Result<Self, Error> {
        let mut coarse = Self::new(self.world, self.side / 2);
        let (plane, row) = coarse.strides();
        let planes = self.planes / 2;
        let mut sums = vec![0.0; self.side + 2];
        let mut mine = Vec::with_capacity(planes * plane);
        for z in 1..=planes {
            for y in 0..coarse.side + 2 {
                let within = (1..=coarse.side).contains(&y);
                if within {
                    sums.fill(0.0);
                    self.weigh((2 * z, 2 * y), COARSER, &mut sums);
                }
                mine.extend((0..row).map(|x| if within && (1..=coarse.side).contains(&x) { sums[2 * x] } else { 0.0 }));
            }
        }
        // A grid that is the first to be whole is put together.
        let all = if self.shared && !coarse.shared { self.world.allgather(&mine)? } else { mine };
        coarse.values[plane..plane + all.len()].copy_from_slice(&all);
        coarse.wrap()?;
        Ok(coarse)
    }

    /// Adds a grid of half the side: between its points, the mean of the nearest ones.
    fn add_finer(&mut self, coarse: &Self) -> Result<(), Error> {
        let (plane, row) = self.strides();
        let (coarse_plane, coarse_row) = coarse.strides();
        // Where this has a part of the planes and the coarse grid is whole.
        let offset = if self.shared && !coarse.shared { self.world.rank() * self.planes / 2 } else { 0 };
        // The coarse points on both sides of a point, which are one where it is on it.
        let sides = |at: usize| (at / 2, at.div_ceil(2));
        let mut line = vec![0.0; coarse_row];
        for z in 1..=self.planes {
            for y in 1..=self.side {
                let ((z0, z1), (y0, y1)) = (sides(z), sides(y));
                let at = |z: usize, y: usize| &coarse.values[(z + offset) * coarse_plane + y * coarse_row..][..coarse_row];
                let lines = [at(z0, y0), at(z0, y1), at(z1, y0), at(z1, y1)];
                line.iter_mut().enumerate().for_each(|(x, mean)| *mean = 0.25 * lines.iter().map(|line| line[x]).sum::<f64>());
                let values = &mut self.values[z * plane + y * row..][..row];
                for (x, value) in values.iter_mut().enumerate().take(self.side + 1).skip(1) {
                    let (x0, x1) = sides(x);
                    *value += 0.5 * (line[x0] + line[x1]);
                }
            }
        }
        self.wrap()
    }

    /// The root of the mean of the squares.
    fn norm(&self) -> Result<f64, Error> {
        let (plane, row) = self.strides();
        let mut sum = [0.0];
        for z in 1..=self.planes {
            for y in 1..=self.side {
                sum[0] += self.values[z * plane + y * row..][1..=self.side].iter().map(|value| value * value).sum::<f64>();
            }
        }
        if self.shared {
            self.world.allreduce(&mut sum, op::Sum)?;
        }
        Ok((sum[0] / (self.side * self.side * self.side) as f64).sqrt())
    }
}

/// Ten points of -1 and ten of 1, at the least and the greatest of random numbers.
fn charges(world: &Communicator, side: usize) -> Result<Grid<'_>, Error> {
    const MANY: usize = 10;
    let mut grid = Grid::new(world, side);
    let first = if grid.shared { world.rank() * grid.planes } else { 0 };
    let begin = (first * side * side) as u64;
    let mut random = Random::new(314_159_265).after(begin);
    let mut found: Vec<(f64, u64)> = (begin..begin + (grid.planes * side * side) as u64).map(|at| (random.next(), at)).collect();
    // The extremes of this rank, and then of all of them.
    let mut extremes = |descending: bool| -> Result<Vec<u64>, Error> {
        let order = |a: &(f64, u64), b: &(f64, u64)| if descending { b.0.total_cmp(&a.0) } else { a.0.total_cmp(&b.0) };
        found.select_nth_unstable_by(MANY, order);
        let mut all = if grid.shared { world.allgather_value(found[..MANY].to_vec())?.concat() } else { found[..MANY].to_vec() };
        all.sort_by(order);
        Ok(all[..MANY].iter().map(|(_, at)| *at).collect())
    };
    let (least, greatest) = (extremes(false)?, extremes(true)?);
    let (plane, row) = grid.strides();
    for (points, charge) in [(least, -1.0), (greatest, 1.0)] {
        for at in points.into_iter().map(|at| at as usize) {
            let (z, y, x) = (at / (side * side), at / side % side, at % side);
            if (first..first + grid.planes).contains(&z) {
                grid.values[(z - first + 1) * plane + (y + 1) * row + x + 1] = charge;
            }
        }
    }
    grid.wrap()?;
    Ok(grid)
}
