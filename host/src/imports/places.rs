//! `places`: starting a place with at most what its parent has.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use super::types::chain;
use crate::bindings::places::core::places::{Error, ExitReason, Grants, Host, HostMonitor, HostPlace, PlaceId, SpawnOptions};
use crate::channel::Channel;
use crate::config::{self, Limits, Output, PlaceConfig, SCRATCH};
use crate::engine::LoadError;
use crate::node::{Node, Order};
use crate::place::{ExitCall, LONGEST, Monitor, Place, Prefixed, SpawnError, State};

impl Host for State {
    async fn spawn(
        &mut self,
        module: Option<String>,
        start: String,
        options: SpawnOptions,
    ) -> wasmtime::Result<Result<(Resource<Place>, Resource<Channel>), Error>> {
        let node = match &options.at {
            Some(node) => self.table.get(node)?.clone(),
            None => Node::here(&self.host),
        };
        match self.try_spawn(module, start, node, options).await {
            Ok((place, channel)) => Ok(Ok((self.table.push(place)?, self.table.push(channel)?))),
            Err(error) => Ok(Err(error)),
        }
    }

    fn self_id(&mut self) -> wasmtime::Result<PlaceId> {
        Ok(self.life.id().into())
    }

    fn exit(&mut self, code: u8) -> wasmtime::Result<()> {
        Err(ExitCall(code).into())
    }

    fn panicked(&mut self, message: String) -> wasmtime::Result<()> {
        self.panic = Some(message);
        Ok(())
    }
}

impl HostPlace for State {
    async fn id(&mut self, place: Resource<Place>) -> wasmtime::Result<PlaceId> {
        let place = self.table.get(&place)?;
        place.started().await;
        Ok(place.id().into())
    }

    async fn wait(&mut self, place: Resource<Place>) -> wasmtime::Result<ExitReason> {
        Ok(self.table.get(&place)?.wait().await.into())
    }

    async fn kill(&mut self, place: Resource<Place>) -> wasmtime::Result<()> {
        let place = self.table.get(&place)?;
        match self.host.preempt {
            true => place.kill().await,
            // It may compute for ever, and then so would who waited for it.
            false => place.kill_soon(),
        }
        Ok(())
    }

    fn link(&mut self, place: Resource<Place>) -> wasmtime::Result<()> {
        self.life.link(self.table.get(&place)?);
        Ok(())
    }

    fn unlink(&mut self, place: Resource<Place>) -> wasmtime::Result<()> {
        self.life.unlink(self.table.get(&place)?);
        Ok(())
    }

    fn subscribe(&mut self, place: Resource<Place>) -> wasmtime::Result<Resource<DynPollable>> {
        let ended = Ended(Monitor::new(self.table.get(&place)?.clone()));
        let ended = self.table.push(ended)?;
        subscribe(&mut self.table, ended)
    }

    fn drop(&mut self, place: Resource<Place>) -> wasmtime::Result<()> {
        self.table.delete(place)?;
        Ok(())
    }
}

impl HostMonitor for State {
    async fn create(&mut self, id: PlaceId) -> wasmtime::Result<Result<Resource<Monitor>, Error>> {
        match self.host.monitor(id.into()).await {
            Ok(monitor) => Ok(Ok(self.table.push(monitor)?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn wait(&mut self, monitor: Resource<Monitor>) -> wasmtime::Result<ExitReason> {
        Ok(self.table.get(&monitor)?.wait().await.into())
    }

    fn subscribe(&mut self, monitor: Resource<Monitor>) -> wasmtime::Result<Resource<DynPollable>> {
        let ended = Ended(self.table.get(&monitor)?.clone());
        let ended = self.table.push(ended)?;
        subscribe(&mut self.table, ended)
    }

    fn drop(&mut self, monitor: Resource<Monitor>) -> wasmtime::Result<()> {
        self.table.delete(monitor)?;
        Ok(())
    }
}

/// A place as a pollable: ready when it has ended.
struct Ended(Monitor);

#[async_trait]
impl Pollable for Ended {
    async fn ready(&mut self) {
        self.0.wait().await;
    }
}

impl State {
    async fn try_spawn(
        &mut self,
        module: Option<String>,
        start: String,
        node: Node,
        mut options: SpawnOptions,
    ) -> Result<(Place, Channel), Error> {
        let (name, detached, link) = (options.name.take(), options.detached, options.link);
        let explicit_grants = options.grants.is_some();
        let mut config = child_config(&self.config, options)?;
        if !explicit_grants {
            config.shared.clone_from(&self.scratch);
        }
        if detached {
            config.limits.deadline = [config.limits.deadline, self.time_left()].into_iter().flatten().min();
        }
        let module = match module {
            Some(path) => {
                let file = self.resolve(Path::new(&path))?;
                self.host.clone().modules.load(&file).await.map_err(|error| load_error(&path, &error))?
            }
            None => self.module.clone(),
        };
        let owner = Arc::clone(&self.owner);
        let (module, compiled) = (module.source().clone(), Some(module));
        match node.spawn(Order { module, compiled, start, config, name, detached, owner, explicit_grants }).await {
            // This place is being killed and has only not noticed yet. There is nothing it could do with an error.
            Err(SpawnError::Ending) => std::future::pending().await,
            Err(error) => Err(error.into()),
            Ok((place, channel)) => {
                if link {
                    self.life.link(&place);
                }
                Ok((place, channel))
            }
        }
    }

    /// Until its deadline.
    fn time_left(&self) -> Option<Duration> {
        let deadline = self.config.limits.deadline?;
        Some(deadline.saturating_sub(Instant::now().duration_since(self.since)))
    }

    /// Finds the module inside the folder of this place's own, or inside one that the host allows. A path that leads elsewhere is
    /// refused whether or not there is something: a place must not be able to look around by spawning.
    fn resolve(&self, path: &Path) -> Result<PathBuf, Error> {
        let denied = || Error::Denied(format!("`{}` is outside the folders from which this place may start modules", path.display()));
        let folders = self.module.folder().into_iter().chain(self.host.module_dirs.iter().map(PathBuf::as_path));
        let plain = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        let mut found = None;
        for folder in folders {
            let Ok(folder) = folder.canonicalize() else { continue };
            // Joining an absolute path yields that path.
            match folder.join(path).canonicalize() {
                Ok(file) if file.starts_with(&folder) => return Ok(file),
                Ok(_) => {}
                Err(_) if plain => found = Some(folder.join(path)),
                Err(_) => {}
            }
        }
        found.ok_or_else(denied)
    }
}

fn load_error(path: &str, error: &LoadError) -> Error {
    match error {
        LoadError::NotFound { .. } => Error::NotFound(format!("there is no module `{path}`")),
        error => Error::BadModule(format!("`{path}`: {}", chain(error))),
    }
}

/// The child's configuration: its parent's, narrowed.
fn child_config(parent: &PlaceConfig, options: SpawnOptions) -> Result<PlaceConfig, Error> {
    let SpawnOptions { args, memory, deadline, fuel, bounds, grants, log_to_parent, prefix, .. } = options;
    let limits = Limits {
        memory: at_most("bytes of memory", memory, Some(parent.limits.memory))?.unwrap_or(parent.limits.memory),
        // The parent's own deadline ends its children too.
        deadline: deadline.map(|nanos| Duration::from_nanos(nanos).min(LONGEST)),
        fuel: at_most("units of fuel", fuel, parent.limits.fuel)?,
    };
    let grants = match grants {
        None => parent.grants.clone(),
        Some(wanted) => narrow(&parent.grants, wanted)?,
    };
    let (stdout, stderr) = outputs(parent, prefix.as_deref())?;
    Ok(PlaceConfig {
        args,
        limits,
        grants,
        bounds: bounds.into(),
        stdout,
        stderr,
        log_to_parent: parent.log_to_parent || log_to_parent,
        log: parent.log.clone(),
        shared: None,
    })
}

/// Its parent's, with the prefix.
fn outputs(parent: &PlaceConfig, prefix: Option<&str>) -> Result<(Output, Output), Error> {
    let (stdout, stderr) = (parent.stdout.clone(), parent.stderr.clone());
    match prefix {
        None => Ok((stdout, stderr)),
        Some(prefix) if prefix.len() > 255 || prefix.contains(char::is_control) => {
            Err(Error::Invalid("a prefix has at most 255 bytes, none of them of control characters".into()))
        }
        Some(prefix) => Ok((Prefixed::output(prefix, stdout), Prefixed::output(prefix, stderr))),
    }
}

fn at_most(what: &str, wanted: Option<u64>, had: Option<u64>) -> Result<Option<u64>, Error> {
    match (wanted, had) {
        (Some(wanted), Some(had)) if wanted > had => Err(Error::Denied(format!("{wanted} {what} for a child, where its parent has {had}"))),
        _ => Ok(wanted.or(had)),
    }
}

fn narrow(had: &config::Grants, wanted: Grants) -> Result<config::Grants, Error> {
    let denied = |what: String| Error::Denied(format!("a child cannot be granted {what}, which its parent has not"));
    if wanted.network && !had.network {
        return Err(denied("the network".into()));
    }
    if wanted.nodes && !had.nodes {
        return Err(denied("other nodes".into()));
    }
    let (mut dirs, mut scratch) = (Vec::new(), false);
    for path in wanted.dirs {
        match had.dirs.iter().find(|dir| dir.guest == path) {
            Some(dir) => dirs.push(dir.clone()),
            None if path == SCRATCH && had.scratch => scratch = true,
            None if path == SCRATCH => return Err(denied("a scratch directory (`--scratch`)".into())),
            None => return Err(denied(format!("the directory `{path}`"))),
        }
    }
    let variable = |name: String| {
        let found = had.env.iter().find(|(had, _)| *had == name);
        found.cloned().ok_or_else(|| denied(format!("the variable `{name}`")))
    };
    Ok(config::Grants {
        dirs,
        scratch,
        env: wanted.env.into_iter().map(variable).collect::<Result<_, _>>()?,
        network: wanted.network,
        nodes: wanted.nodes,
    })
}
