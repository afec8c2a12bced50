//! How important each of some pages is, by those that link to it: a job for each round, on the same workers. The arguments are nodes.

use std::collections::BTreeMap;

use places::Channel;
use places_mapreduce::{Config, Emit, Job, MapReduce, Tasks, Values, mapper, reducer};
use serde::{Deserialize, Serialize};

const PAGES: u32 = 1000;
const ROUNDS: usize = 10;
const DAMPING: f64 = 0.85;

#[derive(Clone, Serialize, Deserialize)]
struct Page {
    rank: f64,
    links: Vec<u32>,
}

/// What a page hears.
#[derive(Serialize, Deserialize)]
enum Said {
    Rank(f64),
    Links(Vec<u32>),
}

#[mapper]
fn vote(pages: Vec<(u32, Page)>, out: &mut Emit<u32, Said>) {
    for (number, page) in pages {
        page.links.iter().for_each(|link| out.emit(link, Said::Rank(page.rank / page.links.len() as f64)));
        out.emit(&number, Said::Links(page.links));
    }
}

#[reducer]
fn count(page: u32, heard: Values<'_, Said>, out: &mut Emit<u32, Page>) {
    let (mut sum, mut links) = (0.0, Vec::new());
    for said in heard {
        match said {
            Said::Rank(rank) => sum += rank,
            Said::Links(its) => links = its,
        }
    }
    out.emit(&page, Page { rank: (1.0 - DAMPING) / f64::from(PAGES) + DAMPING * sum, links });
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let mut workers = MapReduce::workers(std::env::args().skip(1).fold(Config::default(), Config::on))?;
    // Each page links to its half, and to one that is not far.
    let links = |page: u32| vec![page / 2, (page * 7 + 1) % PAGES];
    let mut pages: BTreeMap<u32, Page> = (0..PAGES).map(|page| (page, Page { rank: 1.0 / f64::from(PAGES), links: links(page) })).collect();
    let job = Job::new(vote).reducer(count);
    for _ in 0..ROUNDS {
        let all: Vec<(u32, Page)> = pages.into_iter().collect();
        pages = workers.run(Tasks::values(all.chunks(100).map(<[_]>::to_vec)), &job)?.collect();
    }
    let mut ranks: Vec<(u32, f64)> = pages.iter().map(|(number, page)| (*number, page.rank)).collect();
    ranks.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranks.iter().take(5).for_each(|(page, rank)| println!("page {page}: {rank:.6}"));
    println!("all together: {:.6}", ranks.iter().map(|(_, rank)| rank).sum::<f64>());
    Ok(())
}
