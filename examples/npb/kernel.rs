//! What the kernels of the NAS Parallel Benchmarks share: their random numbers, and how a run is reported.

use std::time::Duration;

use places_mpi::Communicator;

/// The linear congruential generator of the specification (NPB 1, section 2.3): a = 5^13, modulo 2^46. It is computed in doubles there;
/// in whole numbers the low bits of a product are the same thing.
#[derive(Clone, Copy)]
pub(crate) struct Random(u64);

const A: u64 = 1_220_703_125;
const MASK: u64 = (1 << 46) - 1;

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, between 0 and 1.
    #[inline]
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(A) & MASK;
        self.0 as f64 / (1u64 << 46) as f64
    }

    /// The generator after so many numbers.
    pub(crate) fn after(self, mut count: u64) -> Self {
        let (mut state, mut factor) = (self.0, A);
        while count > 0 {
            if count & 1 == 1 {
                state = state.wrapping_mul(factor) & MASK;
            }
            factor = factor.wrapping_mul(factor) & MASK;
            count >>= 1;
        }
        Self(state)
    }
}

/// The class that the first argument names, S where there is none.
pub(crate) fn class(args: &[String]) -> char {
    args.first().and_then(|text| text.chars().next()).unwrap_or('S')
}

/// The numbers of a class.
pub(crate) fn of_class<T: Copy>(class: char, known: &[(char, T)]) -> Result<T, String> {
    let found = known.iter().find(|(name, _)| *name == class).map(|(_, numbers)| *numbers);
    found
        .ok_or_else(|| format!("there is no class `{class}` here; there are {:?}", known.iter().map(|(name, _)| *name).collect::<Vec<_>>()))
}

/// Says what came out and how long it took, if it is what the specification says.
pub(crate) fn report(world: &Communicator, kernel: &str, class: char, time: Duration, result: &str, right: bool) -> Result<(), String> {
    if !right {
        return Err(format!("{kernel} of class {class} over {} ranks: {result} is wrong", world.size()));
    }
    if world.rank() == 0 {
        println!("{kernel}: {result}, verified");
        eprintln!("placehost.npb.{kernel}.{class}.np{} {:.6} s", world.size(), time.as_secs_f64());
    }
    Ok(())
}
