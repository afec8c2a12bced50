//! The slides' MPI program: every rank multiplies the numbers from 1 to the number of ranks.
//!
//! The first argument of `main` says how many ranks, else 8; each further one is the address of a node that they share.

use places::{Channel, Module};
use places_mpi::{Config, build_config, finish, init, launch, op, share};

/// A rank.
#[places::start]
fn prod_id(ch: Channel) -> places::Result {
    let (world, _) = init(ch)?;
    let mut product = [world.rank() as u64 + 1];
    world.allreduce(&mut product, op::Prod)?;
    println!("rank {} of {}: {}", world.rank(), world.size(), product[0]);
    Ok(finish(world)?)
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let mut args = std::env::args().skip(1);
    let ranks = args.next().map_or(Ok(8), |ranks| ranks.parse())?;
    let nodes: Vec<String> = args.collect();
    Ok(launch(&over(&nodes, ranks), Module::This, prod_id::NAME)?)
}

/// So many ranks, over these nodes or on this one.
fn over(nodes: &[String], ranks: u32) -> Config {
    if nodes.is_empty() {
        return build_config().ranks(ranks);
    }
    let on = |config: Config, (index, node): (usize, &String)| config.on(node, share(ranks as usize, index, nodes.len()).len() as u32);
    nodes.iter().enumerate().fold(build_config(), on)
}
