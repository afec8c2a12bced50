//! What a component may import here: WASI 0.2 and the contract of `wit/`.

use wasmtime::component::{Component, HasSelf, InstancePre};
use wasmtime::{Engine, component};

use crate::bindings::places::core::{channels, events, logging, nodes, objects, places, types};
use crate::place::State;

/// The WASI packages that a place may import, all at version 0.2.
const WASI: [&str; 6] = ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:io", "wasi:random", "wasi:sockets"];
/// The interfaces of the contract, at version 0.2.
const OURS: [&str; 7] = ["channels", "events", "logging", "nodes", "objects", "places", "types"];

/// Binds a component's imports to the host.
pub(crate) struct Linker(component::Linker<State>);

impl Linker {
    pub(crate) fn new(engine: &Engine) -> wasmtime::Result<Self> {
        let mut linker = component::Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        channels::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state)?;
        events::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state)?;
        logging::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state)?;
        nodes::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state)?;
        objects::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state)?;
        places::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state)?;
        types::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state)?;
        Ok(Self(linker))
    }

    pub(crate) fn instantiate_pre(&self, component: &Component) -> wasmtime::Result<InstancePre<State>> {
        self.0.instantiate_pre(component)
    }

    /// As [`Self::type_of`], for a component whose imports are not all there.
    pub(crate) fn type_with_stubs(&self, component: &Component) -> wasmtime::Result<component::types::Component> {
        let mut linker = self.0.clone();
        linker.define_unknown_imports_as_traps(component)?;
        linker.substituted_component_type(component)
    }

    /// The component's type with the host's resources in it.
    pub(crate) fn type_of(&self, component: &Component) -> wasmtime::Result<component::types::Component> {
        self.0.substituted_component_type(component)
    }
}

/// Says why an import with this name cannot be had, or nothing where it can.
pub(crate) fn describe_import(name: &str) -> Option<String> {
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    let (package, member) = interface.split_once('/').unwrap_or((interface, ""));
    let has = |wanted: &str| version == wanted || version.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.'));
    match package {
        _ if WASI.contains(&package) && has("0.2") => None,
        _ if WASI.contains(&package) => Some(format!("`{name}`: this host has WASI 0.2 ({package}@0.2)")),
        "places:core" if OURS.contains(&member) && has("0.2") => None,
        "places:core" if OURS.contains(&member) => Some(format!("`{name}`: this host has places:core@0.2")),
        "wasi:http" => Some(format!("`{name}`: this host has no HTTP; a place can use TCP where `--net` grants it")),
        _ => Some(format!("`{name}`: this host has no such interface")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_is_had_at_its_version_only() {
        for had in ["wasi:io/poll@0.2.3", "wasi:cli/stdout@0.2.12", "places:core/channels@0.2.0", "places:core/nodes@0.2.0"] {
            assert_eq!(describe_import(had), None);
        }
        for (name, part) in [
            ("wasi:io/poll@0.3.0", "WASI 0.2"),
            ("wasi:io/poll@0.20.0", "WASI 0.2"),
            ("wasi:http/types@0.2.0", "no HTTP"),
            ("places:core/channels@0.1.0", "places:core@0.2"),
            ("places:core/nowhere@0.2.0", "no such interface"),
            ("log", "no such interface"),
        ] {
            assert!(describe_import(name).unwrap().contains(part), "{name}");
        }
    }
}
