//! The type of a start function, encoded for the linker.
//!
//! Each start function brings a custom section with a world of one export. The linker merges the sections of all of them, and the
//! one with the imports, into the component's type. Their names must differ, or only one would be kept.

use wit_component::StringEncoding;
use wit_parser::Resolve;

/// WASI's pollables, which the contract names.
const WASI_IO: &str = include_str!("../../../wit/deps/io/io.wit");

/// The contract as one text; the file with the package's name comes first.
const CORE: &str = concat!(
    include_str!("../../../wit/world.wit"),
    include_str!("../../../wit/types.wit"),
    include_str!("../../../wit/channels.wit"),
    include_str!("../../../wit/events.wit"),
    include_str!("../../../wit/nodes.wit"),
    include_str!("../../../wit/places.wit"),
    include_str!("../../../wit/logging.wit"),
    include_str!("../../../wit/objects.wit"),
);

/// The name of the custom section for a start function.
pub(crate) fn section_name(export: &str) -> String {
    format!("component-type:places:start:{export}")
}

/// The content of that section: a world that exports one start function.
pub(crate) fn section(export: &str) -> Result<Vec<u8>, String> {
    // `%` lets the name be a keyword of WIT.
    let world = format!(
        "package places-start:start-{export};\n\
         world start {{\n\
             use places:core/channels@0.2.0.{{channel}};\n\
             export %{export}: func(ch: channel) -> result<_, string>;\n\
         }}\n"
    );
    let mut resolve = Resolve::default();
    let mut push = |name: &str, text: &str| resolve.push_str(name, text).map_err(|error| format!("{error:#}"));
    push("io.wit", WASI_IO)?;
    push("core.wit", CORE)?;
    let package = push("start.wit", &world)?;
    let world = resolve.select_world(&[package], Some("start")).map_err(|error| format!("{error:#}"))?;
    wit_component::metadata::encode(&resolve, world, StringEncoding::UTF8, None).map_err(|error| format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_start_function_name_can_be_encoded() {
        for name in ["main", "hello-world", "type", "a1-b2"] {
            assert!(section(name).unwrap().len() > 100, "{name}");
        }
    }
}
