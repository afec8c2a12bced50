//! `nodes`: this node and others.
//!
//! Whoever has a handle to a node may use it; what needs the grant is coming by one of another node.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use crate::bindings::places::core::nodes::{self, Error, Host, HostDialling, HostNode, NodeId};
use crate::channel::Channel;
use crate::node::{CreateOptions, Node, NodeError};
use crate::place::State;

type Fallible<T> = wasmtime::Result<Result<T, Error>>;

impl Host for State {}

impl HostNode for State {
    fn this(&mut self) -> wasmtime::Result<Resource<Node>> {
        Ok(self.table.push(Node::here(&self.host))?)
    }

    async fn connect(&mut self, address: String) -> Fallible<Resource<Node>> {
        let network = self.may_reach_nodes().and(self.host.network());
        let node = match network {
            Ok(network) => network.connect(&address).await,
            Err(error) => Err(error),
        };
        self.reached(node)
    }

    fn dial(&mut self, address: String) -> wasmtime::Result<Resource<Dialling>> {
        let network = self.may_reach_nodes().and(self.host.network()).map(Arc::clone);
        let dialling = Box::pin(async move { Ok(network?.connect(&address).await?) });
        Ok(self.table.push(Dialling::UnderWay(dialling))?)
    }

    async fn create(&mut self, hostname: String, options: nodes::CreateOptions) -> Fallible<Resource<Node>> {
        let network = self.may_reach_nodes().and(self.host.network());
        let node = match network {
            Ok(network) => {
                let (stdout, stderr) = (self.config.stdout.clone(), self.config.stderr.clone());
                // What this place starts there has no more than it has, and that has to be counted.
                let options = CreateOptions { fuel: self.config.limits.fuel, ..options.into() };
                network.create(&hostname, options, stdout, stderr).await
            }
            Err(error) => Err(error),
        };
        self.reached(node)
    }

    fn id(&mut self, node: Resource<Node>) -> wasmtime::Result<NodeId> {
        Ok(self.table.get(&node)?.id().into())
    }

    fn name(&mut self, node: Resource<Node>) -> wasmtime::Result<String> {
        Ok(self.table.get(&node)?.name().into())
    }

    fn address(&mut self, node: Resource<Node>) -> wasmtime::Result<Option<String>> {
        Ok(self.table.get(&node)?.address())
    }

    async fn lookup(&mut self, node: Resource<Node>, name: String) -> Fallible<Resource<Channel>> {
        match self.table.get(&node)?.lookup(&name).await {
            Ok(end) => Ok(Ok(self.table.push(end)?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn exit(&mut self, node: Resource<Node>) -> Fallible<()> {
        Ok(self.table.get(&node)?.exit().await.map_err(Error::from))
    }

    fn share(&mut self, node: Resource<Node>) -> wasmtime::Result<Resource<Node>> {
        let node = self.table.get(&node)?.clone();
        Ok(self.table.push(node)?)
    }

    fn subscribe(&mut self, node: Resource<Node>) -> wasmtime::Result<Resource<DynPollable>> {
        let lost = Lost(self.table.get(&node)?.clone());
        let lost = self.table.push(lost)?;
        subscribe(&mut self.table, lost)
    }

    fn drop(&mut self, node: Resource<Node>) -> wasmtime::Result<()> {
        self.table.delete(node)?;
        Ok(())
    }
}

impl HostDialling for State {
    fn subscribe(&mut self, dialling: Resource<Dialling>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(&mut self.table, dialling)
    }

    async fn finish(&mut self, dialling: Resource<Dialling>) -> Fallible<Resource<Node>> {
        match self.table.get_mut(&dialling)?.done().await.clone() {
            Ok(node) => Ok(Ok(self.table.push(node)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    fn drop(&mut self, dialling: Resource<Dialling>) -> wasmtime::Result<()> {
        self.table.delete(dialling)?;
        Ok(())
    }
}

/// A node that a place is connecting to, for as long as that place waits for it: no task goes on behind its back, so what it began ends
/// with it.
#[expect(unreachable_pub, reason = "the generated bindings, private too, name it in a `pub use`")]
pub enum Dialling {
    UnderWay(Pin<Box<dyn Future<Output = Result<Node, Error>> + Send>>),
    Done(Result<Node, Error>),
}

impl Dialling {
    /// What came of it. Who stops waiting and waits again finds it as far as it was.
    async fn done(&mut self) -> &Result<Node, Error> {
        if let Self::UnderWay(dialling) = self {
            *self = Self::Done(dialling.await);
        }
        match self {
            Self::Done(result) => result,
            Self::UnderWay(_) => unreachable!("it has been waited for"),
        }
    }
}

#[async_trait]
impl Pollable for Dialling {
    async fn ready(&mut self) {
        self.done().await;
    }
}

/// A node as a pollable: ready when the connection to it is gone.
struct Lost(Node);

#[async_trait]
impl Pollable for Lost {
    async fn ready(&mut self) {
        self.0.lost().await;
    }
}

impl State {
    fn may_reach_nodes(&self) -> Result<(), NodeError> {
        match self.config.grants.nodes {
            true => Ok(()),
            false => Err(NodeError::Denied("this place may not reach other nodes: it has no grant of `nodes` (`--allow-nodes`)".into())),
        }
    }

    fn reached(&mut self, node: Result<Node, NodeError>) -> Fallible<Resource<Node>> {
        match node {
            Ok(node) => Ok(Ok(self.table.push(node)?)),
            Err(error) => Ok(Err(error.into())),
        }
    }
}

impl From<nodes::CreateOptions> for CreateOptions {
    fn from(options: nodes::CreateOptions) -> Self {
        let nodes::CreateOptions { listen_port, placehost_path, ssh_path, user, time_out } = options;
        let time_out = time_out.map(Duration::from_nanos);
        Self { listen_port, placehost_path, ssh_path, user, time_out, ..Self::default() }
    }
}
