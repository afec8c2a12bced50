//! Modules that are read and looked over, and not compiled: all that a node needs of one that runs elsewhere.
//!
//! What a component exports is found in its types alone, by the validator that the compiler has too. Whether what it imports is
//! offered, the node says that it is to run on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmparser::component_types::{ComponentAnyTypeId, ComponentDefinedType, ComponentEntityType, ComponentValType, ResourceId};
use wasmparser::types::Types;
use wasmparser::{Parser, Payload, PrimitiveValType, Validator, WasmFeatures};

use super::{CHANNEL, FUNCTION, LoadError, Modules, Origin, RESULT, check_kind, off_thread, read, stamp};
use crate::id::Digest;

/// A module that was read, and not compiled. Clones share it.
#[derive(Clone, Debug)]
pub struct Source {
    pub(crate) digest: Digest,
    /// In bytes.
    pub(crate) size: u64,
    pub(super) origin: Origin,
    outline: Arc<Outline>,
}

/// What a component exports.
#[derive(Debug, Default)]
struct Outline {
    starts: Vec<String>,
    /// What is no start function, and why.
    others: BTreeMap<String, String>,
}

impl Source {
    /// One whose exports are not asked for.
    pub(super) fn new(digest: Digest, size: u64, origin: Origin) -> Self {
        Self { digest, size, origin, outline: Arc::default() }
    }

    /// BLAKE3 of its bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its start functions, by name.
    pub fn starts(&self) -> impl Iterator<Item = &str> {
        self.outline.starts.iter().map(String::as_str)
    }

    /// Its other exports: name, and why it is no start function.
    pub fn other_exports(&self) -> impl Iterator<Item = (&str, &str)> {
        self.outline.others.iter().map(|(name, why)| (name.as_str(), why.as_str()))
    }

    /// What people call it: the name of its file, or its digest.
    pub(crate) fn label(&self) -> String {
        match &self.origin {
            Origin::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Origin::Shipped(label, _) => label.clone(),
            Origin::Memory(_) => self.digest.to_string(),
        }
    }

    /// The file that it was read from. It may have changed since.
    pub(super) fn file(&self) -> Option<&Path> {
        match &self.origin {
            Origin::File(path) => Some(path),
            Origin::Shipped(..) | Origin::Memory(_) => None,
        }
    }

    /// Its bytes, to be shipped.
    pub(crate) async fn bytes(&self) -> Result<Arc<Vec<u8>>, LoadError> {
        let (path, digest): (PathBuf, _) = match &self.origin {
            Origin::Memory(bytes) | Origin::Shipped(_, Err(bytes)) => return Ok(Arc::clone(bytes)),
            Origin::File(path) | Origin::Shipped(_, Ok(path)) => (path.clone(), self.digest),
        };
        off_thread(move || match read(&path) {
            Ok(bytes) if Digest::of(&bytes) == digest => Ok(Arc::new(bytes)),
            Ok(_) => Err(LoadError::Changed { path }),
            Err(error) => Err(error),
        })
        .await?
    }
}

impl Modules {
    /// Reads the module in a file, and finds out what it exports.
    pub(crate) async fn read(&self, path: &Path) -> Result<Source, LoadError> {
        stamp(path)?;
        let path = path.to_owned();
        off_thread(move || {
            let bytes = read(&path)?;
            check_kind(&bytes)?;
            let outline = outline(&bytes).map_err(|error| LoadError::Invalid(wasmtime::Error::new(error)))?;
            let origin = Origin::File(fs::canonicalize(&path).unwrap_or(path));
            Ok(Source { outline: Arc::new(outline), ..Source::new(Digest::of(&bytes), bytes.len() as u64, origin) })
        })
        .await?
    }
}

/// What this component exports. All that the validator knows may be used in it: what may be used where it is to run is known there.
fn outline(bytes: &[u8]) -> Result<Outline, wasmparser::Error> {
    let types = Validator::new_with_features(WasmFeatures::all()).validate_all(bytes)?;
    let mut found = Outline::default();
    let (mut channels, mut depth) = (Vec::new(), 0);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    channels.extend(channel_of(&types, import?.name.name));
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    let name = export?.name.name;
                    match start_type(&types, name, &channels) {
                        Ok(()) => found.starts.push(name.to_owned()),
                        Err(why) => drop(found.others.insert(name.to_owned(), why.to_owned())),
                    }
                }
            }
            _ => {}
        }
    }
    found.starts.sort();
    Ok(found)
}

/// The type of channels, where the import of this name brings it.
fn channel_of(types: &Types, import: &str) -> Option<ResourceId> {
    let ComponentEntityType::Instance(instance) = types.as_ref().component_item_for_import(import)?.ty else { return None };
    let interface = import.split('@').next();
    match types[instance].exports.get("channel")?.ty {
        ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(channel), .. } if interface == Some("places:core/channels") => {
            Some(channel.resource())
        }
        _ => None,
    }
}

/// Whether the export of this name is a start function, or why it is none.
fn start_type(types: &Types, name: &str, channels: &[ResourceId]) -> Result<(), &'static str> {
    let Some(ComponentEntityType::Func(function)) = types.as_ref().component_item_for_export(name).map(|item| item.ty) else {
        return Err(FUNCTION);
    };
    let function = &types[function];
    let defined = |ty: &ComponentValType| match ty {
        ComponentValType::Type(id) => Some(&types[*id]),
        ComponentValType::Primitive(_) => None,
    };
    match &function.params[..] {
        [(_, end)] if matches!(defined(end), Some(ComponentDefinedType::Own(end)) if channels.contains(&end.resource())) => {}
        _ => return Err(CHANNEL),
    }
    match function.result.as_ref().map(defined) {
        None => Ok(()),
        Some(Some(ComponentDefinedType::Result { ok: None, err: Some(ComponentValType::Primitive(PrimitiveValType::String)), .. })) => {
            Ok(())
        }
        Some(_) => Err(RESULT),
    }
}
