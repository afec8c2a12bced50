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

/// The sites of one child, at which of them it is, and how far the search for one is that takes it.
///
/// To connect to a node takes a while, and who does that must be able to hear of other things meanwhile. So a search is one
/// [`Step`] after the other, and its owner says what came of each.
#[derive(Debug)]
pub(crate) struct Sites {
    list: Vec<Known>,
    current: usize,
    /// How many sites of this search have been passed over.
    passed: usize,
    /// Whether the node that the search is at has been connected to for it.
    fresh: bool,
    /// Why the last one was passed over.
    last: Error,
}

/// What a search does next.
#[derive(Debug)]
pub(crate) enum Step {
    /// To start the child: at this node, or where there is no list wherever the default is.
    Start(Option<Node>),
    /// To connect to the node that listens there.
    Dial(String),
    /// Nothing: no site takes the child. The error is that of the last.
    End(Error),
}

#[derive(Debug)]
struct Known {
    site: Site,
    /// The node that was there last: it may still be.
    node: Option<Node>,
}

impl Sites {
    pub(crate) fn new(list: Vec<Site>) -> Self {
        let list = list.into_iter().map(|site| Known { site, node: None }).collect();
        Self { list, current: 0, passed: 0, fresh: false, last: Error::NodeLost }
    }

    /// The one that it is at is lost: the next one is tried first.
    pub(crate) fn next(&mut self) {
        self.current += 1;
    }

    /// Begins a search at the current site.
    pub(crate) fn begin(&mut self) {
        (self.passed, self.fresh, self.last) = (0, false, Error::NodeLost);
    }

    /// What to do now.
    pub(crate) fn step(&mut self) -> Step {
        if self.list.is_empty() {
            return Step::Start(None);
        }
        if self.passed == self.list.len() {
            return Step::End(self.last.clone());
        }
        let Known { site, node } = self.at();
        match (node, site) {
            (Some(node), _) => Step::Start(Some(node.clone())),
            (None, Site::Here) => Step::Start(Some(Node::this())),
            (None, Site::At(address)) => Step::Dial(address.clone()),
        }
    }

    /// What came of connecting. An error that ends the search comes back.
    pub(crate) fn dialled(&mut self, node: Result<Node, Error>) -> Result<(), Error> {
        match node {
            Ok(node) => {
                self.at().node = Some(node);
                self.fresh = true;
                Ok(())
            }
            Err(error) => self.pass(error),
        }
    }

    /// The child has been started at the site that the search is at.
    pub(crate) fn started(&mut self) {
        self.current += std::mem::take(&mut self.passed);
    }

    /// It could not be. Where the node that was there last is lost, the search goes on with the one that is there now. An error that
    /// ends the search comes back.
    pub(crate) fn failed(&mut self, error: Error) -> Result<(), Error> {
        if self.list.is_empty() {
            return Err(error);
        }
        if error == Error::NodeLost {
            self.at().node = None;
            if !self.fresh && matches!(self.at().site, Site::At(_)) {
                return Ok(());
            }
        }
        self.pass(error)
    }

    /// Passes over a site whose node is not there or does not take the child: one that is about to stop does not, nor does one that is
    /// full.
    fn pass(&mut self, error: Error) -> Result<(), Error> {
        match error {
            Error::NodeLost | Error::Unreachable(_) | Error::Denied(_) | Error::Limit(_) => {
                (self.passed, self.fresh, self.last) = (self.passed + 1, false, error);
                Ok(())
            }
            error => {
                // As it is the child's and not the site's, the next search begins here.
                self.started();
                Err(error)
            }
        }
    }

    fn at(&mut self) -> &mut Known {
        let index = (self.current + self.passed) % self.list.len();
        &mut self.list[index]
    }
}
