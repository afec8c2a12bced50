//! What is in a module, whether or not it runs here.

use std::path::Path;
use std::sync::Arc;

use wasmtime::component::Component;

use super::{Compiled, LoadError, Module, Modules, Origin, check_kind, describe_import, off_thread, read, stamp, start_type};
use crate::id::Digest;

/// What [`crate::Host::inspect`] found in a file.
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// In bytes.
    pub size: u64,
    /// BLAKE3 of its bytes.
    pub digest: Digest,
    /// What it is.
    pub kind: Kind,
    /// Its start functions, by name.
    pub starts: Vec<StartFunction>,
    /// Its other exports: name, and why it is no start function.
    pub others: Vec<(String, String)>,
    /// What it imports.
    pub imports: Vec<Import>,
    /// Why it cannot be loaded here; absent where it can.
    pub problem: Option<LoadError>,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A component, which is what a module must be.
    Component,
    /// A component that is damaged, or uses what the engine does not know.
    Invalid,
    /// A core module.
    CoreModule,
    /// Native code made from a component or core module.
    Compiled,
    /// Nothing of WebAssembly.
    Other,
}

/// A start function.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StartFunction {
    /// Its name.
    pub name: String,
    /// Whether it may return an error's text.
    pub fallible: bool,
}

/// An import.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Import {
    /// Its name, mostly of an interface.
    pub name: String,
    /// Why this host does not offer it; absent where it does.
    pub missing: Option<String>,
}

impl Inspection {
    fn new(bytes: &[u8], kind: Kind) -> Self {
        let (size, digest) = (bytes.len() as u64, Digest::of(bytes));
        Self { size, digest, kind, starts: Vec::new(), others: Vec::new(), imports: Vec::new(), problem: None }
    }

    fn fill(&mut self, module: &Module) {
        let Compiled { first, others, imports, .. } = &*module.0.compiled;
        self.starts = first.starts.iter().map(|(name, start)| StartFunction { name: name.clone(), fallible: start.fallible }).collect();
        self.others = others.iter().map(|(name, why)| (name.clone(), why.clone())).collect();
        self.imports = imports.iter().map(|name| Import { name: name.clone(), missing: None }).collect();
    }
}

impl Modules {
    /// Says what is in a file; an error only where it cannot be read.
    pub(crate) async fn inspect(&self, path: &Path) -> Result<Inspection, LoadError> {
        stamp(path)?;
        let file = path.to_owned();
        let bytes = off_thread(move || read(&file)).await??;
        let mut found = Inspection::new(&bytes, kind(&bytes));
        match self.load_bytes(Arc::new(bytes.clone()), Origin::File(path.to_owned())).await {
            Ok(module) => found.fill(&module),
            Err(problem) => {
                match problem {
                    LoadError::Invalid(_) => found.kind = Kind::Invalid,
                    LoadError::Imports { .. } => self.fill_what_lacks_imports(&mut found, bytes).await?,
                    _ => {}
                }
                found.problem = Some(problem);
            }
        }
        Ok(found)
    }

    /// What there is to say of a component whose imports cannot all be had. Where there is a cache it is not compiled again.
    async fn fill_what_lacks_imports(&self, found: &mut Inspection, bytes: Vec<u8>) -> Result<(), LoadError> {
        let (engine, linker, cache, digest) = (self.engine.clone(), Arc::clone(&self.linker), self.cache.clone(), found.digest);
        let (imports, exports) = off_thread(move || {
            let kept = cache.and_then(|cache| cache.get(&engine, digest));
            let component = kept.map_or_else(|| Component::from_binary(&engine, &bytes), Ok).map_err(LoadError::Invalid)?;
            let own = component.component_type();
            let imports: Vec<_> = own.imports(&engine).map(|(name, _)| name.to_owned()).collect();
            // With the host's resources in it, which is what start functions are known by; without, where that cannot be.
            let bound = linker.type_with_stubs(&component).unwrap_or(own);
            let exports: Vec<_> = bound.exports(&engine).map(|(name, item)| (name.to_owned(), start_type(&item.ty))).collect();
            Ok::<_, LoadError>((imports, exports))
        })
        .await??;
        found.imports = imports.into_iter().map(|name| Import { missing: describe_import(&name), name }).collect();
        for (name, start) in exports {
            match start {
                Ok(fallible) => found.starts.push(StartFunction { name, fallible }),
                Err(why) => found.others.push((name, why)),
            }
        }
        Ok(())
    }
}

fn kind(bytes: &[u8]) -> Kind {
    match check_kind(bytes) {
        Ok(()) => Kind::Component,
        Err(LoadError::CoreModule) => Kind::CoreModule,
        Err(LoadError::Compiled) => Kind::Compiled,
        Err(_) => Kind::Other,
    }
}
