//! What other nodes may do on this one.

use placehost_proto::frame::{Refusal, Spawn};

use crate::channel::Bounds;
use crate::config::{Dir, Grants, Limits, Output, PlaceConfig, SCRATCH};
use crate::place::LONGEST;

/// What other nodes may do here, and what their places may have at most. The default lets them start and end places, look at what
/// runs, and stop the node; gives a place 64 MiB, and nothing of this machine.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Policy {
    /// What they may do.
    pub allowed: Allowed,
    /// What each of their places may use at most, and has where less is not asked for.
    pub limits: Limits,
    /// What their places may reach, if the places that start them may too. Directories are this machine's, known to others by their
    /// path in the guest. Environment variables come from the node that asks.
    pub grants: Grants,
    /// Whether what their places log goes to the nodes that started them, even where those do not ask for it.
    pub log_to_parent: bool,
}

/// What other nodes may do. All of them are of the same cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Start places.
    pub spawn: bool,
    /// See which places and nodes there are.
    pub list: bool,
    /// End places that somebody else started.
    pub kill: bool,
    /// Stop the node.
    pub stop: bool,
}

impl Default for Allowed {
    fn default() -> Self {
        Self { spawn: true, list: true, kill: true, stop: true }
    }
}

impl Allowed {
    /// Nothing.
    pub const NOTHING: Self = Self { spawn: false, list: false, kill: false, stop: false };
}

pub(super) fn denied(what: &str) -> Refusal {
    Refusal::Denied(format!("the policy of that node does not let others {what}"))
}

impl Policy {
    /// The configuration of a place that another node asks for: what it asks for, as far as it is allowed.
    pub(super) fn config(&self, spawn: &Spawn, stdout: Output, stderr: Output) -> Result<PlaceConfig, Refusal> {
        let mut config = PlaceConfig::default();
        config.args.clone_from(&spawn.args);
        config.limits = self.limits(spawn)?;
        config.grants = self.grants(spawn)?;
        config.bounds = Bounds {
            messages: usize::try_from(spawn.bounds.0).unwrap_or(usize::MAX),
            bytes: usize::try_from(spawn.bounds.1).unwrap_or(usize::MAX),
        };
        (config.stdout, config.stderr) = (stdout, stderr);
        config.log_to_parent = self.log_to_parent || spawn.log_to_parent;
        Ok(config)
    }

    fn limits(&self, spawn: &Spawn) -> Result<Limits, Refusal> {
        if spawn.memory > self.limits.memory {
            let text = format!("that node gives a place at most {} bytes of memory, not {}", self.limits.memory, spawn.memory);
            return Err(Refusal::Limit(text));
        }
        let deadline = spawn.deadline.map(|nanos| std::time::Duration::from_nanos(nanos).min(LONGEST));
        let shortest = [deadline, self.limits.deadline].into_iter().flatten().min();
        let fuel = [spawn.fuel, self.limits.fuel].into_iter().flatten().min();
        Ok(Limits { memory: spawn.memory, deadline: shortest, fuel })
    }

    /// What was asked for by name and is not there is refused; what merely was at hand over there is left out.
    fn grants(&self, spawn: &Spawn) -> Result<Grants, Refusal> {
        let wanted = &spawn.grants;
        let refuse = |what: String| Refusal::Denied(format!("that node does not grant {what} to places from other nodes"));
        if wanted.explicit && wanted.network && !self.grants.network {
            return Err(refuse("the network".into()));
        }
        if wanted.explicit && wanted.nodes && !self.grants.nodes {
            return Err(refuse("other nodes".into()));
        }
        let (mut dirs, mut scratch) = (Vec::new(), false);
        for (guest, read_only) in &wanted.dirs {
            match self.grants.dirs.iter().find(|dir| dir.guest == *guest) {
                Some(dir) => dirs.push(Dir { read_only: dir.read_only || *read_only, ..dir.clone() }),
                None if guest == SCRATCH && self.grants.scratch => scratch = true,
                None if guest == SCRATCH && wanted.explicit => return Err(refuse("a scratch directory".into())),
                None if wanted.explicit => return Err(refuse(format!("a directory `{guest}`"))),
                None => {}
            }
        }
        Ok(Grants {
            dirs,
            scratch,
            env: wanted.env.clone(),
            network: wanted.network && self.grants.network,
            nodes: wanted.nodes && self.grants.nodes,
        })
    }
}
