//! Workers: the nodes that do the tasks of jobs, kept from one job to the next.

use places::{ExitReason, Happened, Module, Node, Options, Place, Selector, Value, spawn};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::agent::mapreduce_agent;
use crate::coordinator;
use crate::error::Error;
use crate::event::{Event, Summary};
use crate::job::{Job, Order, Tasks, What};
use crate::registry::Functions;
use crate::results::Results;
use crate::wire::{FromAgent, Inlet, Spec, ToAgent};

/// Where workers are, and how much each does at a time.
#[derive(Clone, Debug)]
#[must_use]
pub struct Config {
    workers: Vec<(Option<String>, Option<u32>)>,
    slots: u32,
    memory: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self { workers: Vec::new(), slots: 2, memory: None }
    }
}

impl Config {
    /// A worker on this node, which there is also if no other is named.
    pub fn here(mut self) -> Self {
        self.workers.push((None, None));
        self
    }

    /// A worker on the node at an address. Whoever runs jobs needs the grant to reach nodes.
    pub fn on(mut self, address: impl Into<String>) -> Self {
        self.workers.push((Some(address.into()), None));
        self
    }

    pub(crate) fn worker(mut self, address: Option<String>, slots: Option<u32>) -> Self {
        self.workers.push((address, slots));
        self
    }

    /// How many map tasks, and as many reduce tasks, each worker does at a time; 2 unless this says otherwise.
    pub fn slots(mut self, slots: u32) -> Self {
        self.slots = slots.max(1);
        self
    }

    /// Bytes of memory for each place that does tasks; half of it is for buffers. Unless this says otherwise it has as much as the place
    /// that runs the job, and 24 MiB of buffers.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    fn buffer(&self) -> u64 {
        /// What a place has by itself, less what its program and a page of output need.
        const BUFFER: u64 = 24 << 20;
        self.memory.map_or(BUFFER, |memory| (memory / 2).saturating_sub(2 << 20).max(1 << 20))
    }
}

/// How jobs are run: on [workers](Self::workers).
#[derive(Debug)]
pub struct MapReduce(());

impl MapReduce {
    /// Starts workers.
    ///
    /// # Errors
    /// [`Error::Cannot`] where none of them can be reached.
    pub fn workers(config: Config) -> Result<Workers, Error> {
        Workers::start(config, None, &mut |_| {})
    }
}

/// Workers that run. They end with the place that started them, and when this is dropped.
pub struct Workers {
    pub(crate) agents: Vec<Agent>,
    pub(crate) selector: Selector<Key>,
    buffer: u64,
    memory: Option<u64>,
    jobs: u64,
    summary: Summary,
}

/// What a coordinator waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Agent(u32),
    /// What a reduce task puts out.
    Out(u32, u32),
    /// Whoever wants the job.
    Control,
}

/// A worker.
pub(crate) struct Agent {
    pub(crate) place: Place<FromAgent, ToAgent>,
    pub(crate) name: String,
    pub(crate) slots: u32,
    pub(crate) alive: bool,
    inlet: Inlet,
    scratch: bool,
    /// Where it is, for another one in its place; absent for this node.
    node: Option<Node>,
    /// Which one it is of those that were started in place of each other, from 0.
    pub(crate) restarts: u32,
}

impl Workers {
    pub(crate) fn start(config: Config, control: Option<places::Channel<(), Event>>, event: &mut dyn FnMut(Event)) -> Result<Self, Error> {
        let buffer = config.buffer();
        let memory = config.memory;
        let mut workers = Self { agents: Vec::new(), selector: Selector::new(), buffer, memory, jobs: 0, summary: Summary::default() };
        if let Some(control) = control {
            workers.selector.add(Key::Control, control)?;
        }
        let wanted = if config.workers.is_empty() { vec![(None, None)] } else { config.workers.clone() };
        let mut last = String::new();
        for (number, (address, slots)) in (0..).zip(wanted) {
            let slots = slots.unwrap_or(config.slots).max(1);
            let name = address.clone().unwrap_or_else(|| Node::this().name());
            match workers.add(address.clone(), slots) {
                Ok(name) => event(Event::Joined { worker: workers.agents.len() as u32 - 1, name, address, slots }),
                Err(error) => {
                    last = format!("the worker `{name}` cannot be used: {error}");
                    event(Event::Lost { worker: number, name, why: error.to_string(), again: 0 });
                }
            }
        }
        if workers.agents.is_empty() {
            return Err(Error::Cannot(last));
        }
        workers.introduce()?;
        Ok(workers)
    }

    /// Starts a worker; what its node calls itself.
    fn add(&mut self, address: Option<String>, slots: u32) -> Result<String, places::Error> {
        let node = address.as_deref().map(Node::connect).transpose()?;
        self.start_agent(node, slots, 0)?;
        Ok(self.agents.last().map(|agent| agent.name.clone()).unwrap_or_default())
    }

    fn start_agent(&mut self, node: Option<Node>, slots: u32, restarts: u32) -> Result<(), places::Error> {
        let here = node.clone().unwrap_or_else(Node::this);
        let worker = self.agents.len() as u32;
        let place: Place<FromAgent, ToAgent> = spawn(Module::This, mapreduce_agent::NAME, Options::new().at(&here))?.typed();
        place.put(ToAgent::Begin { worker, slots, memory: self.memory })?;
        let Ok(FromAgent::Ready { inlet, scratch }) = place.get() else {
            return Err(places::Error::Invalid(format!("its agent {}", place.wait())));
        };
        self.selector.add(Key::Agent(worker), place.channel().clone())?;
        self.agents.push(Agent { place, name: here.name(), slots, alive: true, inlet, scratch, node, restarts });
        Ok(())
    }

    /// Has another agent in the place of one that has ended while its node lives; its number. It is another worker, for what the first one
    /// had is lost.
    pub(crate) fn replace(&mut self, worker: u32) -> Result<u32, places::Error> {
        let agent = &self.agents[worker as usize];
        let (node, slots, restarts) = (agent.node.clone(), agent.slots, agent.restarts + 1);
        self.start_agent(node, slots, restarts)?;
        let new = self.agents.len() as u32 - 1;
        for other in self.living().into_iter().filter(|other| *other != new) {
            let (to_other, to_new) = (self.agents[new as usize].inlet.clone(), self.agents[other as usize].inlet.clone());
            self.selector.put(&Key::Agent(new), Value(ToAgent::Inlet { worker: other, inlet: to_new }))?;
            // Who is lost as well is told of soon.
            let _ = self.selector.put(&Key::Agent(other), Value(ToAgent::Inlet { worker: new, inlet: to_other }));
        }
        Ok(new)
    }

    /// A worker is there no more; why.
    pub(crate) fn ended(&mut self, worker: u32) -> ExitReason {
        let agent = &mut self.agents[worker as usize];
        agent.alive = false;
        let why = agent.place.wait();
        self.selector.remove(&Key::Agent(worker));
        for other in self.living() {
            // Who is lost as well is told of soon.
            let _ = self.tell(other, ToAgent::Lost { worker });
        }
        why
    }

    /// A worker is lost.
    pub(crate) fn gone(&mut self, worker: u32, again: u32, event: &mut dyn FnMut(Event)) {
        let why = self.ended(worker).to_string();
        event(Event::Lost { worker, name: self.agents[worker as usize].name.clone(), why, again });
    }

    /// How many there were, without those that came in the place of others.
    pub(crate) fn number(&self) -> u32 {
        self.agents.iter().filter(|agent| agent.restarts == 0).count() as u32
    }

    /// Tells each agent the ways to the others. Its own never leaves its node.
    fn introduce(&mut self) -> Result<(), places::Error> {
        for to in 0..self.agents.len() as u32 {
            for worker in 0..self.agents.len() {
                if worker as u32 != to {
                    let inlet = self.agents[worker].inlet.clone();
                    self.selector.put(&Key::Agent(to), Value(ToAgent::Inlet { worker: worker as u32, inlet }))?;
                }
            }
        }
        Ok(())
    }

    /// Runs a job to its end, and returns what it has put out; nothing, where it has an [output directory](Job::output).
    ///
    /// # Errors
    /// [`Error`]. The workers are there still, but for those that were lost.
    pub fn run<I, K, V, K2, V2>(&mut self, tasks: Tasks<I>, job: &Job<I, K, V, K2, V2>) -> Result<Results<K2, V2>, Error>
    where
        K2: Serialize + DeserializeOwned,
        V2: Serialize + DeserializeOwned,
    {
        self.run_with(tasks, job, |_| {})
    }

    /// As [`Self::run`], and tells what happens meanwhile.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_with<I, K, V, K2, V2>(
        &mut self,
        tasks: Tasks<I>,
        job: &Job<I, K, V, K2, V2>,
        mut event: impl FnMut(Event),
    ) -> Result<Results<K2, V2>, Error>
    where
        K2: Serialize + DeserializeOwned,
        V2: Serialize + DeserializeOwned,
    {
        let results = Results::new(self.run_order(tasks.what, &job.order, &mut event)?);
        let Some(outputer) = job.outputer else { return Ok(results) };
        outputer.give(results)?;
        Ok(Results::new(Vec::new()))
    }

    pub(crate) fn run_order(&mut self, what: What, order: &Order, event: &mut dyn FnMut(Event)) -> Result<Vec<Vec<u8>>, Error> {
        self.jobs += 1;
        let slots: u32 = self.agents.iter().filter(|agent| agent.alive).map(|agent| agent.slots).sum();
        let scratch = self.agents.iter().filter(|agent| agent.alive).all(|agent| agent.scratch);
        let spec = Spec {
            job: self.jobs,
            mapper: order.mapper.clone(),
            combiner: order.combiner.clone(),
            partitioner: order.partitioner.clone(),
            reducer: order.reducer.clone(),
            parts: order.reducers.unwrap_or(slots).max(1),
            buffer: self.buffer,
            lines: order.lines || order.output.is_some(),
            scratch: scratch.then(|| "/scratch".into()),
            output: order.output_of_workers().map(str::to_owned),
            args: order.args.clone(),
        };
        Functions::of(&spec)?.check()?;
        let (summary, results) = coordinator::run(self, &spec, what, order, event)?;
        self.summary = summary;
        Ok(results)
    }

    /// What the last job has done that came to its end.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// How many workers there are, of those that were started.
    pub fn alive(&self) -> usize {
        self.agents.iter().filter(|agent| agent.alive).count()
    }

    pub(crate) fn tell(&mut self, worker: u32, message: ToAgent) -> Result<(), Error> {
        if self.agents[worker as usize].alive {
            self.selector.put(&Key::Agent(worker), Value(message))?;
        }
        Ok(())
    }

    /// The workers that live.
    pub(crate) fn living(&self) -> Vec<u32> {
        (0..).zip(&self.agents).filter(|(_, agent)| agent.alive).map(|(worker, _)| worker).collect()
    }

    /// What has happened, in so many milliseconds.
    pub(crate) fn wait(&mut self, millis: u64) -> Result<Vec<(Key, Happened)>, Error> {
        Ok(self.selector.wait_for(256, std::time::Duration::from_millis(millis))?)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.agents.iter().filter(|agent| agent.alive).for_each(|agent| agent.place.kill());
    }
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.agents.iter().map(|agent| &agent.name)).finish()
    }
}
