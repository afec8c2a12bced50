//! `nodes`: this node and others.
//!
//! Whoever has a handle to a node may use it; what needs the grant is coming by one of another node.

use std::time::Duration;

use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use crate::bindings::places::core::nodes::{self, Error, Host, HostNode, NodeId};
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
        Self { listen_port, placehost_path, ssh_path, user, time_out: time_out.map(Duration::from_nanos), fuel: None }
    }
}
