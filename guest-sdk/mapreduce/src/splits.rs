//! What a job is split into: a worker lists the input, and each says whether it may read that and write the output.

use std::collections::BTreeSet;

use places::Happened;

use crate::error::Error;
use crate::event::Event;
use crate::job::{Order, What};
use crate::objects::is_url;
use crate::wire::{Find, Found, FromAgent, Input, Packing, Raw, ToAgent};
use crate::workers::{Key, Workers};

/// How long a wait for workers is, in milliseconds, before it is begun anew.
const WAIT: u64 = 1000;

/// What each map task works on.
pub(crate) fn of(
    workers: &mut Workers,
    what: What,
    order: &Order,
    output: Option<&str>,
    event: &mut dyn FnMut(Event),
) -> Result<Vec<Input>, Error> {
    match what {
        What::Values(values) => {
            let inputs = values?.into_iter().map(|value| Input::Value(Raw(value))).collect();
            if output.is_some() {
                find(workers, &[], order.split, output, event)?;
            }
            Ok(inputs)
        }
        What::Files(patterns) => {
            let found = find(workers, &patterns, order.split, output, event)?;
            Ok(found.into_iter().flat_map(|file| cut(file, order.split)).collect())
        }
    }
}

/// What there is to read. What lies in stores, and where workers write, all of them are asked whether they may.
fn find(
    workers: &mut Workers,
    patterns: &[String],
    split: u64,
    output: Option<&str>,
    event: &mut dyn FnMut(Event),
) -> Result<Vec<Found>, Error> {
    let all = output.is_some() || patterns.iter().any(|pattern| is_url(pattern));
    let living = workers.living();
    let Some(&first) = living.first() else { return Err(Error::Cannot("no worker is left".into())) };
    let asked = || living.iter().copied().filter(|worker| all || *worker == first);
    for worker in asked() {
        let output = output.map(str::to_owned);
        workers.tell(worker, ToAgent::Find(Find { patterns: patterns.to_vec(), list: worker == first, split, output }))?;
    }
    let mut waited: BTreeSet<u32> = asked().collect();
    let mut files = Vec::new();
    while !waited.is_empty() {
        for (key, happened) in workers.wait(WAIT)? {
            match (key, happened) {
                (Key::Control, _) => return Err(Error::Interrupted),
                (Key::Agent(from), Happened::Message(mut message)) => {
                    let FromAgent::Files { list, found } = message.read()? else { continue };
                    // Else it is the answer to a question that was asked before the worker that was to list was lost.
                    if list == (from == first) && waited.remove(&from) {
                        let name = &workers.agents[from as usize].name;
                        files.extend(found.map_err(|error| format!("{error}, on the worker `{name}`"))?);
                    }
                }
                (Key::Agent(from), _) => {
                    workers.gone(from, 0, event);
                    waited.remove(&from);
                    if from == first {
                        return find(workers, patterns, split, output, event);
                    }
                }
                (Key::Out(..), _) => {}
            }
        }
    }
    Ok(files)
}

fn cut(file: Found, split: u64) -> Vec<Input> {
    let Found { path, size, packing } = file;
    match packing {
        Packing::None => {
            let starts = (0..size.div_ceil(split)).map(|n| n * split);
            starts.map(|offset| Input::Split { path: path.clone(), offset, len: split.min(size - offset), size, packing }).collect()
        }
        Packing::Unseen if size == 0 => Vec::new(),
        Packing::Gzip | Packing::Zstd | Packing::Unseen => vec![Input::Split { path, offset: 0, len: size, size, packing }],
    }
}
