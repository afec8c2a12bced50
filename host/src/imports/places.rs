//! `places`: starting a place with at most what its parent has.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use crate::bindings::places::core::places::{Error, ExitReason, Grants, Host, HostPlace, PlaceId, SpawnOptions};
use crate::channel::Channel;
use crate::config::{self, Limits, PlaceConfig};
use crate::engine::LoadError;
use crate::place::{self, ExitCall, LONGEST, Place, Request, SpawnError, State};

impl Host for State {
    async fn spawn(
        &mut self,
        module: Option<String>,
        start: String,
        options: SpawnOptions,
    ) -> wasmtime::Result<Result<(Resource<Place>, Resource<Channel>), Error>> {
        match self.try_spawn(module, &start, options).await {
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
    fn id(&mut self, place: Resource<Place>) -> wasmtime::Result<PlaceId> {
        Ok(self.table.get(&place)?.id().into())
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

    fn subscribe(&mut self, place: Resource<Place>) -> wasmtime::Result<Resource<DynPollable>> {
        let ended = Ended(self.table.get(&place)?.clone());
        let ended = self.table.push(ended)?;
        subscribe(&mut self.table, ended)
    }

    fn drop(&mut self, place: Resource<Place>) -> wasmtime::Result<()> {
        self.table.delete(place)?;
        Ok(())
    }
}

/// A place as a pollable: ready when it has ended.
struct Ended(Place);

#[async_trait]
impl Pollable for Ended {
    async fn ready(&mut self) {
        self.0.wait().await;
    }
}

impl State {
    async fn try_spawn(&mut self, module: Option<String>, start: &str, options: SpawnOptions) -> Result<(Place, Channel), Error> {
        let config = child_config(&self.config, options)?;
        let other = match module {
            Some(path) => {
                let file = self.resolve(Path::new(&path))?;
                Some(self.host.clone().modules.load(&file).await.map_err(|error| load_error(&path, &error))?)
            }
            None => None,
        };
        let module = other.unwrap_or_else(|| self.module.clone());
        let request = Request { module, start: start.into(), config, owner: Arc::clone(&self.owner), name: None };
        match place::spawn(&self.host, request) {
            // This place is being killed and has only not noticed yet. There is nothing it could do with an error.
            Err(SpawnError::Ending) => std::future::pending().await,
            result => result.map_err(Error::from),
        }
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
    let SpawnOptions { args, memory, deadline, fuel, bounds, grants } = options;
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
    Ok(PlaceConfig { args, limits, grants, bounds: bounds.into(), stdout: parent.stdout.clone(), stderr: parent.stderr.clone() })
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
    let dir = |path: String| {
        let found = had.dirs.iter().find(|dir| dir.guest == path);
        found.cloned().ok_or_else(|| denied(format!("the directory `{path}`")))
    };
    let variable = |name: String| {
        let found = had.env.iter().find(|(had, _)| *had == name);
        found.cloned().ok_or_else(|| denied(format!("the variable `{name}`")))
    };
    Ok(config::Grants {
        dirs: wanted.dirs.into_iter().map(dir).collect::<Result<_, _>>()?,
        env: wanted.env.into_iter().map(variable).collect::<Result<_, _>>()?,
        network: wanted.network,
        nodes: had.nodes,
    })
}

impl From<SpawnError> for Error {
    fn from(error: SpawnError) -> Self {
        match error {
            SpawnError::NoStart { ref has, .. } if has.is_empty() => Self::NotFound(format!("{error}; it has none")),
            SpawnError::NoStart { ref has, .. } => Self::NotFound(format!("{error}; it has `{}`", has.join("`, `"))),
            SpawnError::BadStart { .. } => Self::BadModule(error.to_string()),
            SpawnError::TooManyPlaces { .. } | SpawnError::Memory { .. } | SpawnError::OverBudget(_) => Self::Limit(error.to_string()),
            SpawnError::NoFuel | SpawnError::NoPreemption | SpawnError::Ending => Self::Denied(error.to_string()),
            SpawnError::Setup(_) => Self::Denied(chain(&error)),
            error => Self::Invalid(error.to_string()),
        }
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
