//! The files that a job reads, and the objects.

use std::fs::{self, File};
use std::io::Read;

use crate::glob;
use crate::input::packing;
use crate::objects;
use crate::wire::Found;

/// The files of paths and patterns, in order; of a folder, those in it. Names that begin with `.` or `_` are only found where they are
/// written out. Objects that have at most so many bytes are not looked into.
pub(crate) fn find(patterns: &[String], split: u64) -> Result<Vec<Found>, String> {
    let mut all = Vec::new();
    for pattern in patterns {
        if objects::is_url(pattern) {
            all.extend(objects::find(pattern, split)?);
            continue;
        }
        let mut paths = vec![String::from(if pattern.starts_with('/') { "/" } else { "" })];
        for part in pattern.split('/').filter(|part| !part.is_empty()) {
            paths = if glob::is_pattern(part) {
                let mut found = Vec::new();
                for path in &paths {
                    found.extend(names(path)?.into_iter().filter(|name| glob::matches(part, name)).map(|name| join(path, &name)));
                }
                found
            } else {
                paths.iter().map(|path| join(path, part)).collect()
            };
        }
        let before = all.len();
        for path in paths {
            let about = match fs::metadata(&path) {
                Ok(about) => about,
                Err(error) if !glob::is_pattern(pattern) => return Err(format!("cannot read the input `{path}`: {error}")),
                Err(_) => continue,
            };
            if about.is_dir() {
                // Those of a pattern that are folders are no files of it.
                if !glob::is_pattern(pattern) {
                    for name in names(&path)? {
                        let path = join(&path, &name);
                        if fs::metadata(&path).is_ok_and(|about| about.is_file()) {
                            all.push(look(path)?);
                        }
                    }
                }
            } else {
                all.push(look(path)?);
            }
        }
        if all.len() == before && glob::is_pattern(pattern) {
            return Err(format!("no file matches the input `{pattern}`"));
        }
    }
    Ok(all)
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() || path.ends_with('/') { format!("{path}{name}") } else { format!("{path}/{name}") }
}

fn names(path: &str) -> Result<Vec<String>, String> {
    let path = if path.is_empty() { "." } else { path };
    let entries = fs::read_dir(path).map_err(|error| format!("cannot read the folder `{path}`: {error}"))?;
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| !glob::is_hidden(name));
    names.sort();
    Ok(names)
}

fn look(path: String) -> Result<Found, String> {
    let wrong = |error: std::io::Error| format!("cannot read the input `{path}`: {error}");
    let mut file = File::open(&path).map_err(wrong)?;
    let size = file.metadata().map_err(wrong)?.len();
    let mut head = Vec::new();
    (&mut file).take(4).read_to_end(&mut head).map_err(wrong)?;
    Ok(Found { size, packing: packing(&head), path })
}
