//! Every collective operation of MPI held against a naive one, on random cases: in ranks, sizes, types, roots and communicators.
//!
//! All ranks draw the same random numbers and know what each rank gives, so each computes by itself what has to come out.

use std::collections::BTreeMap;
use std::fmt::Debug;

use places::{Channel, Module};
use places_mpi::op::{self, Op};
use places_mpi::{Communicator, Config, Datatype, Error, Loc, finish, init, launch, localhost_config, remote_config, share};

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

fn mix(seed: u64) -> u64 {
    let z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A type under test: how an element of it is made of random bits.
trait Element: Datatype + PartialEq + Debug {
    fn of(bits: u64) -> Self;
}

macro_rules! elements {
    ($($integer:ty)*; $($float:ty)*) => {
        $(impl Element for $integer {
            fn of(bits: u64) -> Self {
                bits as Self
            }
        })*
        // Small whole numbers, so that sums are exact in any order.
        $(impl Element for $float {
            fn of(bits: u64) -> Self {
                (bits % 256) as Self - 100.0
            }
        })*
    };
}

elements! { i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize; f32 f64 }

impl Element for Loc<f64> {
    fn of(bits: u64) -> Self {
        Self { value: (bits % 4) as f64, index: bits >> 40 }
    }
}

impl Element for Loc<i32> {
    fn of(bits: u64) -> Self {
        Self { value: (bits % 4) as i32, index: (bits >> 40) as u32 }
    }
}

/// A communicator, and what everybody knows of it.
struct Group<'a> {
    comm: &'a Communicator,
    /// What distinguishes the cases.
    case: u64,
}

impl Group<'_> {
    /// What a rank gives as a part for another.
    fn data<T: Element>(&self, rank: usize, part: usize, len: usize) -> Vec<T> {
        let seed = mix(self.case ^ mix(((rank as u64) << 32) | part as u64));
        (0..len as u64).map(|index| T::of(mix(seed.wrapping_add(index)))).collect()
    }

    fn all<T: Element>(&self, len: usize) -> Vec<Vec<T>> {
        (0..self.comm.size()).map(|rank| self.data(rank, 0, len)).collect()
    }

    /// The lengths that ranks give to each other where they may differ.
    fn len(&self, from: usize, to: usize, at_most: usize) -> usize {
        (mix(self.case ^ mix(((from as u64 + 1) << 20) | to as u64)) % (at_most as u64 + 1)) as usize
    }

    fn expect<T: PartialEq + Debug>(&self, what: &str, got: &[T], expected: &[T]) {
        let Some(at) = (0..got.len().max(expected.len())).find(|&at| got.get(at) != expected.get(at)) else { return };
        let (rank, size) = (self.comm.rank(), self.comm.size());
        panic!(
            "{what}, case {:#x}, rank {rank} of {size}: element {at} of {} is {:?} and should be {:?} of {}",
            self.case,
            got.len(),
            got.get(at),
            expected.get(at),
            expected.len()
        );
    }

    /// Those that move elements.
    fn moves<T: Element>(&self, len: usize, root: usize) -> Result<(), Error> {
        let (comm, me, size) = (self.comm, self.comm.rank(), self.comm.size());
        let mine = self.data::<T>(me, 0, len);

        let mut data = mine.clone();
        comm.broadcast(&mut data, root)?;
        self.expect("broadcast", &data, &self.data(root, 0, len));

        let everything = self.all::<T>(len).concat();
        let gathered = comm.gather(&mine, root)?;
        assert_eq!(gathered.is_some(), me == root);
        self.expect("gather", &gathered.unwrap_or_else(|| everything.clone()), &everything);
        self.expect("allgather", &comm.allgather(&mine)?, &everything);

        let parts = (me == root).then_some(&everything[..]);
        self.expect("scatter", &comm.scatter(parts, root)?, &mine);

        let each = len.min(2_000);
        let to_all: Vec<T> = (0..size).flat_map(|to| self.data::<T>(me, to, each)).collect();
        let from_all: Vec<T> = (0..size).flat_map(|from| self.data::<T>(from, me, each)).collect();
        self.expect("alltoall", &comm.alltoall(&to_all)?, &from_all);

        let block = |from: usize, to: usize| self.data::<T>(from, to, self.len(from, to, each));
        let gathered = comm.gatherv(&block(me, 0), root)?;
        let expected: Vec<_> = (0..size).map(|rank| block(rank, 0)).collect();
        assert_eq!(gathered.is_some(), me == root);
        self.expect("gatherv", &gathered.unwrap_or_else(|| expected.clone()), &expected);
        self.expect("allgatherv", &comm.allgatherv(&block(me, 0))?, &expected);
        let parts = (me == root).then_some(&expected[..]);
        self.expect("scatterv", &comm.scatterv(parts, root)?, &expected[me]);
        let (to_all, from_all): (Vec<_>, Vec<_>) = (0..size).map(|other| (block(me, other), block(other, me))).unzip();
        self.expect("alltoallv", &comm.alltoallv(&to_all)?, &from_all);
        Ok(())
    }

    /// Those that combine elements.
    fn combines<T: Element>(&self, len: usize, root: usize, op: impl Op<T>) -> Result<(), Error> {
        let (comm, me, size) = (self.comm, self.comm.rank(), self.comm.size());
        let mine = self.data::<T>(me, 0, len);
        let sum = |ranks: &[Vec<T>]| {
            let mut sum = ranks[0].clone();
            ranks[1..].iter().for_each(|other| op.after(&mut sum, other));
            sum
        };
        let all = self.all::<T>(len);
        let total = sum(&all);

        let reduced = comm.reduce(&mine, &op, root)?;
        assert_eq!(reduced.is_some(), me == root);
        self.expect("reduce", &reduced.unwrap_or_else(|| total.clone()), &total);

        let mut data = mine.clone();
        comm.allreduce(&mut data, &op)?;
        self.expect("allreduce", &data, &total);

        let mut data = mine.clone();
        comm.scan(&mut data, &op)?;
        self.expect("scan", &data, &sum(&all[..=me]));

        let before = comm.exscan(&mine, &op)?;
        assert_eq!(before.is_some(), me > 0);
        if let Some(before) = before {
            self.expect("exscan", &before, &sum(&all[..me]));
        }

        let lengths: Vec<usize> = (0..size).map(|part| share(len, part, size).len()).collect();
        let block = comm.reduce_scatter(&mine, &lengths, &op)?;
        self.expect("reduce_scatter", &block, &total[share(len, me, size)]);

        let even = len / size * size;
        let block = comm.reduce_scatter_block(&mine[..even], &op)?;
        self.expect("reduce_scatter_block", &block, &total[..even][share(even, me, size)]);
        Ok(())
    }

    /// Those on any values.
    fn values(&self, root: usize) -> Result<(), Error> {
        let (comm, me, size) = (self.comm, self.comm.rank(), self.comm.size());
        type Value = BTreeMap<String, Vec<Option<u32>>>;
        let value = |from: usize, to: usize| -> Value {
            (0..self.len(from, to, 5)).map(|key| (format!("{key} ü"), vec![None, Some((from * 100 + to) as u32)])).collect()
        };
        let all: Vec<Value> = (0..size).map(|rank| value(rank, 0)).collect();
        let given = (me == root).then(|| value(root, 0));
        assert_eq!(comm.broadcast_value(given, root)?, value(root, 0));
        assert_eq!(comm.gather_value(value(me, 0), root)?, (me == root).then(|| all.clone()));
        assert_eq!(comm.allgather_value(value(me, 0))?, all);
        assert_eq!(comm.scatter_value((me == root).then_some(&all[..]), root)?, all[me]);
        let to_all = (0..size).map(|to| value(me, to)).collect();
        assert_eq!(comm.alltoall_value(to_all)?, (0..size).map(|from| value(from, me)).collect::<Vec<_>>());

        // Putting texts one behind the other is associative and nothing else.
        let text = |ranks: usize| (0..ranks).map(|rank| format!("{rank},")).collect::<String>();
        let mine = || format!("{me},");
        let join = |a: String, b: String| a + &b;
        assert_eq!(comm.reduce_value(mine(), join, root)?, (me == root).then(|| text(size)));
        assert_eq!(comm.allreduce_value(mine(), join)?, text(size));
        assert_eq!(comm.scan_value(mine(), join)?, text(me + 1));
        assert_eq!(comm.exscan_value(mine(), join)?, (me > 0).then(|| text(me)));
        let parts = (0..size).map(|to| format!("{me}-{to},")).collect();
        assert_eq!(comm.reduce_scatter_value(parts, join)?, (0..size).map(|from| format!("{from}-{me},")).collect::<String>());
        // Longer than what shares a message, and than what is sent at once.
        let long = |rank: usize| format!("{rank},").repeat([1, 2_000, 70_000][self.len(rank, rank, 2)]);
        let all: Vec<String> = (0..size).map(long).collect();
        assert_eq!(comm.allgather_value(long(me))?, all);
        assert_eq!(comm.gather_value(long(me), root)?, (me == root).then(|| all.clone()));
        assert_eq!(comm.broadcast_value((me == root).then(|| long(me)), root)?, all[root]);
        assert_eq!(comm.scatter_value((me == root).then_some(&all[..]), root)?, all[me]);
        assert_eq!(comm.alltoall_value(all.clone())?, vec![all[me].clone(); size]);
        assert_eq!(comm.allreduce_value(long(me), join)?, all.concat());
        Ok(())
    }

    fn case(&self, rng: &mut Rng, longest: usize) -> Result<(), Error> {
        let len = match rng.below(20) {
            0 => 0,
            1..8 => rng.below(8),
            8..16 => rng.below(400),
            16..19 => rng.below(5_000.min(longest)),
            _ => rng.below(longest),
        };
        let root = rng.below(self.comm.size());
        // An affine map in each element: composing them is associative and not commutative.
        let compose = op::ordered(|a: &u64, b: &u64| {
            let (a1, a0, b1, b0) = ((a >> 32) as u32, *a as u32, (b >> 32) as u32, *b as u32);
            u64::from(a1.wrapping_mul(b1)) << 32 | u64::from(a1.wrapping_mul(b0).wrapping_add(a0))
        });
        let gcd = op::own(|a: &u32, b: &u32| {
            let (mut a, mut b) = (*a, *b);
            while b != 0 {
                (a, b) = (b, a % b);
            }
            a
        });
        match rng.below(24) {
            0 => self.combines::<i8>(len, root, op::Sum),
            1 => self.combines::<u16>(len, root, op::Prod),
            2 => self.combines::<i32>(len, root, op::Min),
            3 => self.combines::<i64>(len, root, op::Max),
            4 => self.combines::<u128>(len, root, op::Sum),
            5 => self.combines::<i128>(len, root, op::BitXor),
            6 => self.combines::<usize>(len, root, op::BitAnd),
            7 => self.combines::<isize>(len, root, op::BitOr),
            8 => self.combines::<u8>(len, root, op::LogicalAnd),
            9 => self.combines::<i16>(len, root, op::LogicalOr),
            10 => self.combines::<u32>(len, root, op::LogicalXor),
            11 => self.combines::<f32>(len, root, op::Sum),
            12 => self.combines::<f64>(len, root, op::Max),
            13 => self.combines::<Loc<f64>>(len, root, op::MinLoc),
            14 => self.combines::<Loc<i32>>(len, root, op::MaxLoc),
            15 => self.combines(len, root, compose),
            16 => self.combines(len.min(500), root, gcd),
            17 => self.moves::<u8>(len, root),
            18 => self.moves::<i16>(len, root),
            19 => self.moves::<f32>(len, root),
            20 => self.moves::<f64>(len, root),
            21 => self.moves::<u128>(len, root),
            22 => self.moves::<Loc<f64>>(len, root),
            _ => self.values(root),
        }
    }
}

/// A rank: the seed, how many cases, and the longest data, in elements.
#[places::start]
fn cases(ch: Channel) -> places::Result {
    let (world, args) = init(ch)?;
    let number = |index: usize| args[index].parse::<u64>();
    let (seed, count, longest) = (number(0)?, number(1)?, number(2)? as usize);
    let mut rng = Rng(seed);
    for _ in 0..count {
        let case = rng.next();
        if rng.below(3) > 0 {
            Group { comm: &world, case }.case(&mut rng, longest)?;
            continue;
        }
        // Communicators of a part of the ranks, in another order; each has random numbers of its own.
        let colors = 1 + rng.below(3) as u64;
        let color = |rank: usize| mix(case ^ rank as u64) % (colors + 1);
        let mine = color(world.rank());
        let key = (mix(case.wrapping_add(world.rank() as u64)) % 5) as i64 - 2;
        let part = world.split((mine < colors).then_some(mine as u32), key)?;
        assert_eq!(part.is_some(), mine < colors);
        if let Some(part) = part {
            let members = (0..world.size()).filter(|&rank| color(rank) == mine).count();
            assert_eq!(part.size(), members, "split, case {case:#x}");
            let mut order = vec![(key, world.rank())];
            order = part.allgather_value(order)?.concat();
            assert!(order.is_sorted(), "split, case {case:#x}: {order:?}");
            let mut rng = Rng(mix(case ^ mine));
            let again = part.dup()?;
            Group { comm: &part, case: mix(case ^ mine) }.case(&mut rng, longest)?;
            Group { comm: &again, case: mix(case ^ mine ^ 1) }.case(&mut rng, longest)?;
        }
    }
    Ok(finish(world)?)
}

fn job(config: Config, seed: u64, count: u32, longest: u32) -> places::Result {
    let config = config.args([seed.to_string(), count.to_string(), longest.to_string()]);
    Ok(launch(&config, Module::This, cases::NAME)?)
}

/// From 1 to 17 ranks, many short cases.
#[places::start]
fn mpi_collectives_agree_with_naive_ones(_: Channel) -> places::Result {
    (1..=17).try_for_each(|ranks| job(localhost_config(ranks), 1_000 + u64::from(ranks), 120, 2_000))
}

/// A few cases up to 1 MiB.
#[places::start]
fn mpi_collectives_agree_with_naive_ones_on_long_data(_: Channel) -> places::Result {
    [2, 5, 8].into_iter().try_for_each(|ranks| job(localhost_config(ranks), 2_000 + u64::from(ranks), 60, 131_072))
}

/// Over the nodes at the addresses in the arguments.
#[places::start]
fn far(_: Channel) -> places::Result {
    let nodes: Vec<String> = std::env::args().skip(1).collect();
    for (seed, each) in [(1, [1, 1, 1]), (2, [3, 1, 2]), (3, [2, 2, 2]), (4, [1, 6, 4]), (5, [6, 6, 5])] {
        job(remote_config(nodes.iter().cloned().zip(each)), 3_000 + seed, 60, 20_000)?;
    }
    Ok(())
}
