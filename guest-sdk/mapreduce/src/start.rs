//! Jobs without a driver: the start function that `placehost mapreduce` starts. `EVENTS.md` is its contract.

use std::io::Write;

use places::Channel;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::event::Event;
use crate::job::{self, OutputAt, What};
use crate::registry::{self, Names};
use crate::workers::{Config, Workers};

/// The first message.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Order {
    #[serde(default)]
    workers: Vec<WorkerOrder>,
    #[serde(default)]
    slots: Option<u32>,
    inputs: Vec<String>,
    #[serde(default)]
    split: Option<u64>,
    #[serde(default)]
    output: Option<String>,
    #[serde(default)]
    output_at: Option<OutputAt>,
    #[serde(default)]
    mapper: Option<String>,
    #[serde(default)]
    combiner: Option<String>,
    #[serde(default)]
    partitioner: Option<String>,
    #[serde(default)]
    reducer: Option<String>,
    #[serde(default)]
    outputer: Option<String>,
    #[serde(default)]
    reducers: Option<u32>,
    #[serde(default)]
    memory: Option<u64>,
    #[serde(default)]
    attempts: Option<u32>,
    #[serde(default)]
    speculation: Option<bool>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    verbosity: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WorkerOrder {
    #[serde(default)]
    address: Option<String>,
    #[serde(default)]
    slots: Option<u32>,
}

/// Runs a job as its first message says, and says what happens.
#[places::start]
pub(crate) fn mapreduce_job(ch: Channel<Order, Event>) -> places::Result {
    let order = ch.get()?;
    let last = match run(order, &ch) {
        Ok(summary) => Event::Done(summary),
        Err(Error::Task(task)) => Event::Failed { error: task.to_string(), task: Some(*task) },
        Err(error) => Event::Failed { error: error.to_string(), task: None },
    };
    // Who has closed the channel does not want to know.
    let _ = ch.put(last);
    Ok(())
}

fn run(order: Order, ch: &Channel<Order, Event>) -> Result<crate::event::Summary, Error> {
    let mut event = |event: Event| {
        // What comes often may be left out; the rest is little, and has room.
        let result = match event {
            Event::Progress(_) | Event::TaskBegan { .. } | Event::TaskEnded { .. } => ch.try_put(event),
            event => ch.put(event),
        };
        drop(result);
    };
    let names = Names::choose(order.mapper, order.combiner, order.partitioner, order.reducer, order.outputer)?;
    let mut config = order.workers.into_iter().fold(Config::default(), |config, worker| config.worker(worker.address, worker.slots));
    if let Some(slots) = order.slots {
        config = config.slots(slots);
    }
    if let Some(memory) = order.memory {
        config = config.memory(memory);
    }
    let outputer = names.outputer.as_deref().filter(|_| order.output.is_none()).map(registry::outputer).transpose()?;
    let lines = outputer.is_none() && order.output.is_none();
    let job = job::Order {
        mapper: names.mapper,
        combiner: names.combiner,
        partitioner: names.partitioner,
        reducer: names.reducer,
        reducers: order.reducers,
        output: order.output,
        output_at: order.output_at,
        attempts: order.attempts.unwrap_or(job::Order::ATTEMPTS).max(1),
        speculation: order.speculation.unwrap_or(true),
        split: order.split.unwrap_or(job::Order::SPLIT).max(1),
        verbose: order.verbosity > 0,
        lines,
        args: order.args,
    };
    let mut workers = Workers::start(config, Some(ch.clone().typed()), &mut event)?;
    let results = workers.run_order(What::Files(order.inputs), &job, &mut event)?;
    match outputer {
        Some(outputer) => outputer.output(results)?,
        None => print(&results)?,
    }
    Ok(workers.summary().clone())
}

/// Prints results that are lines.
fn print(results: &[Vec<u8>]) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    let printed = results.iter().try_for_each(|lines| stdout.write_all(lines)).and_then(|()| stdout.flush());
    printed.map_err(|error| Error::Cannot(format!("cannot print the results: {error}")))
}
