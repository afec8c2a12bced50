//! Where a child runs: one node of a list, and the next one when that is lost.

use places::{Error, Node};
use serde::{Deserialize, Serialize};

/// A node that a child may run on. A node that comes back is another one, so it is known by where it listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Site {
    /// The supervisor's own.
    Here,
    /// The one that listens there, as for [`Node::connect`].
    At(String),
}

impl From<&str> for Site {
    fn from(address: &str) -> Self {
        Self::At(address.into())
    }
}

impl From<String> for Site {
    fn from(address: String) -> Self {
        Self::At(address)
    }
}

impl From<&Node> for Site {
    /// Where it was reached.
    fn from(node: &Node) -> Self {
        node.address().map_or(Self::Here, Self::At)
    }
}

impl Site {
    fn node(&self) -> Result<Node, Error> {
        match self {
            Self::Here => Ok(Node::this()),
            Self::At(address) => Node::connect(address),
        }
    }
}

/// The sites of one child, and at which of them it is.
#[derive(Debug)]
pub(crate) struct Sites {
    list: Vec<Known>,
    current: usize,
}

#[derive(Debug)]
struct Known {
    site: Site,
    /// The node that was there last: it may still be.
    node: Option<Node>,
}

impl Known {
    /// Does something at the node that was there last, or at the one that is there now where that is lost.
    fn at<T>(&mut self, start: &mut impl FnMut(Option<&Node>) -> Result<T, Error>) -> Result<T, Error> {
        if let Some(node) = &self.node {
            match start(Some(node)) {
                Err(Error::NodeLost) => self.node = None,
                result => return result,
            }
        }
        start(Some(self.node.insert(self.site.node()?)))
    }
}

impl Sites {
    pub(crate) fn new(list: Vec<Site>) -> Self {
        Self { list: list.into_iter().map(|site| Known { site, node: None }).collect(), current: 0 }
    }

    /// The one that it is at is lost: the next one is tried first.
    pub(crate) fn next(&mut self) {
        self.current += 1;
    }

    /// Does something at the first site, from the current one on, whose node is there and takes it: one that is about to stop does not,
    /// nor does one that is full. Where none does, the error is that of the last.
    pub(crate) fn first<T>(&mut self, mut start: impl FnMut(Option<&Node>) -> Result<T, Error>) -> Result<T, Error> {
        if self.list.is_empty() {
            return start(None);
        }
        let mut last = Error::NodeLost;
        for step in 0..self.list.len() {
            let index = (self.current + step) % self.list.len();
            match self.list[index].at(&mut start) {
                Err(error @ (Error::NodeLost | Error::Unreachable(_) | Error::Denied(_) | Error::Limit(_))) => last = error,
                result => {
                    self.current = index;
                    return result;
                }
            }
        }
        Err(last)
    }
}
