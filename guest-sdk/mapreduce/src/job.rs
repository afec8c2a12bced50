//! What a job is made of.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::emit::write_value;
use crate::function::{Combiner, Lines, Mapper, Of, Outputer, Partitioner, Reducer};
use crate::objects::is_url;

/// Which functions a job has, and how it is to be run; from inputs `I` to results of `K2` and `V2`.
#[derive(Clone, Debug)]
#[must_use]
pub struct Job<I, K, V, K2 = K, V2 = V> {
    pub(crate) order: Order,
    pub(crate) outputer: Option<Outputer<K2, V2>>,
    types: PhantomData<fn(I, K) -> V>,
}

/// The same without types.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) mapper: String,
    pub(crate) combiner: Option<String>,
    pub(crate) partitioner: Option<String>,
    pub(crate) reducer: Option<String>,
    pub(crate) reducers: Option<u32>,
    pub(crate) output: Option<String>,
    /// Absent for what is usual for such an output.
    pub(crate) output_at: Option<OutputAt>,
    pub(crate) attempts: u32,
    pub(crate) speculation: bool,
    pub(crate) split: u64,
    /// Tasks are told one by one.
    pub(crate) verbose: bool,
    /// Results are lines of text, though there is no directory for them.
    pub(crate) lines: bool,
    pub(crate) args: Vec<String>,
}

impl Order {
    pub(crate) const SPLIT: u64 = 16 << 20;
    pub(crate) const ATTEMPTS: u32 = 4;

    /// Where reduce tasks write themselves, if they do.
    pub(crate) fn output_of_workers(&self) -> Option<&str> {
        let output = self.output.as_deref()?;
        let usual = if is_url(output) { OutputAt::Workers } else { OutputAt::Job };
        (self.output_at.unwrap_or(usual) == OutputAt::Workers).then_some(output)
    }
}

/// Who writes the results of a job that has an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputAt {
    /// The place that runs the job, to which all results go: usual for directories, which are that place's.
    Job,
    /// The workers that do the reduce tasks, each its own: usual for object stores. They need the grant to write there. A directory has to
    /// be the same one on all of them.
    Workers,
}

impl<I, K, V> Job<I, K, V> {
    /// A job of a mapper alone: its pairs are the results, sorted by their keys within each part.
    pub fn new(mapper: impl FnOnce() -> Mapper<I, K, V>) -> Self {
        let order = Order {
            mapper: mapper().name().into(),
            combiner: None,
            partitioner: None,
            reducer: None,
            reducers: None,
            output: None,
            output_at: None,
            attempts: Order::ATTEMPTS,
            speculation: true,
            split: Order::SPLIT,
            verbose: false,
            lines: false,
            args: Vec::new(),
        };
        Self { order, outputer: None, types: PhantomData }
    }

    /// What makes of the values of a key results.
    pub fn reducer<K2, V2>(self, reducer: impl FnOnce() -> Reducer<K, V, K2, V2>) -> Job<I, K, V, K2, V2> {
        Job { order: Order { reducer: Some(reducer().name().into()), ..self.order }, outputer: None, types: PhantomData }
    }
}

impl<I, K, V, K2, V2> Job<I, K, V, K2, V2> {
    /// What makes of two values of a key one, where they were emitted.
    pub fn combiner(mut self, combiner: impl FnOnce() -> Combiner<V>) -> Self {
        self.order.combiner = Some(combiner().name().into());
        self
    }

    /// Which reduce task gets which keys; else the hash of the key says so.
    pub fn partitioner(mut self, partitioner: impl FnOnce() -> Partitioner<K>) -> Self {
        self.order.partitioner = Some(partitioner().name().into());
        self
    }

    /// Who gets the results, when the job is done; [`Workers::run`](crate::Workers::run) then has none.
    pub fn outputer(mut self, outputer: impl FnOnce() -> Outputer<K2, V2>) -> Self {
        self.outputer = Some(outputer());
        self
    }

    /// How many reduce tasks there are; else as many as the workers have slots.
    pub fn reducers(mut self, reducers: u32) -> Self {
        self.order.reducers = Some(reducers);
        self
    }

    /// A directory for the results, or `s3://BUCKET/PREFIX` or `file:///DIR`, as lines, in a file or an object for each reduce task:
    /// `part-00000` and so on. There is nothing else then. One that has a `part-…` already is refused.
    ///
    /// Each part appears whole or not at all. In a directory that the place of the job writes, all appear at the end; others when
    /// their tasks are done, and they are removed where the job fails.
    pub fn output(mut self, to: impl Into<String>) -> Self {
        self.order.output = Some(to.into());
        self
    }

    /// Who writes the output; else workers write objects, and the place of the job writes files.
    pub fn output_at(mut self, at: OutputAt) -> Self {
        self.order.output_at = Some(at);
        self
    }

    /// Arguments of the job: what [`args`](crate::args()) returns within its functions.
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.order.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// How often a task may fail before the job does; 4 unless this says otherwise.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.order.attempts = attempts.max(1);
        self
    }

    /// Whether tasks that take long get a copy elsewhere near the end; they do unless this says otherwise.
    pub fn speculation(mut self, speculation: bool) -> Self {
        self.order.speculation = speculation;
        self
    }

    /// The most bytes of a file that one map task gets; 16 MiB unless this says otherwise.
    pub fn split(mut self, bytes: u64) -> Self {
        self.order.split = bytes.max(1);
        self
    }

    /// Tells of each task that begins and ends.
    pub fn verbose(mut self) -> Self {
        self.order.verbose = true;
        self
    }
}

/// What a job's map tasks work on.
#[derive(Clone, Debug)]
pub struct Tasks<I> {
    pub(crate) what: What,
    types: PhantomData<fn() -> I>,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Values(Result<Vec<Vec<u8>>, String>),
    Files(Vec<String>),
}

impl Tasks<Lines> {
    /// Lines of files: paths, folders and patterns like `data/*.txt`, in the directories that the workers were granted; and lines of objects,
    /// `s3://bucket/data/*.txt` or `file:///data/*.txt`, in the stores that they were. Each map task gets a split of one, which begins and
    /// ends with a line; what is packed by gzip or zstd is not split.
    pub fn files<S: Into<String>>(patterns: impl IntoIterator<Item = S>) -> Self {
        Self { what: What::Files(patterns.into_iter().map(Into::into).collect()), types: PhantomData }
    }
}

impl<T: Serialize> Tasks<Of<T>> {
    /// Values of the program's own, one for each map task.
    pub fn values(values: impl IntoIterator<Item = T>) -> Self {
        let write = |value: T| {
            let mut bytes = Vec::new();
            write_value(&value, &mut bytes).map(|()| bytes)
        };
        Self { what: What::Values(values.into_iter().map(write).collect()), types: PhantomData }
    }
}
