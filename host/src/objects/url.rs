//! Where objects are: a bucket or this machine's files, and a path in it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// `s3://BUCKET/PATH` or `file:///PATH`: all that lies under it, or one object. Nothing in it is escaped: a `%` is a `%`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectUrl {
    scheme: Scheme,
    /// Names with `/` between them, or nothing.
    path: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Scheme {
    S3 { bucket: String },
    File,
}

/// Why a text names no objects.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// Another kind of store.
    #[error("it is neither `s3://BUCKET/PREFIX` nor `file:///DIRECTORY`")]
    Scheme,
    /// `s3:///…`.
    #[error("it names no bucket behind `s3://`")]
    NoBucket,
    /// `file://data`.
    #[error("the path behind `file://` is not absolute: `file:///…` has three slashes")]
    Relative,
    /// `a//b`, `a/../b`.
    #[error("its path has a part `{0}`")]
    Part(String),
}

impl FromStr for ObjectUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(UrlError::NoBucket);
            }
            return Ok(Self { scheme: Scheme::S3 { bucket: bucket.to_owned() }, path: plain(path)? });
        }
        let rest = text.strip_prefix("file://").ok_or(UrlError::Scheme)?;
        let path = rest.strip_prefix('/').ok_or(UrlError::Relative)?;
        Ok(Self { scheme: Scheme::File, path: plain(path)? })
    }
}

/// A path without the slash at its end, where no part means another one.
pub(super) fn plain(path: &str) -> Result<String, UrlError> {
    let path = path.strip_suffix('/').unwrap_or(path);
    match path.split('/').find(|part| matches!(*part, "" | "." | "..") || part.contains(char::is_control)) {
        Some(part) if !path.is_empty() => Err(UrlError::Part(part.escape_debug().to_string())),
        _ => Ok(path.to_owned()),
    }
}

impl ObjectUrl {
    /// Whether all of the other is at or under this one.
    pub fn contains(&self, other: &Self) -> bool {
        let rest = other.path.strip_prefix(&self.path);
        self.scheme == other.scheme && (self.path.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }

    /// The directory of this machine that it is, if it is one.
    pub fn directory(&self) -> Option<PathBuf> {
        (self.scheme == Scheme::File).then(|| PathBuf::from(format!("/{}", self.path)))
    }

    /// The bucket of S3, if it is there.
    pub(super) fn bucket(&self) -> Option<&str> {
        if let Scheme::S3 { bucket } = &self.scheme { Some(bucket) } else { None }
    }

    /// In its bucket, or on this machine.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// An object under it, or itself where the key is empty.
    pub(super) fn join(&self, key: &str) -> Result<Self, UrlError> {
        let key = plain(key)?;
        let path = match (self.path.is_empty(), key.is_empty()) {
            (_, true) => self.path.clone(),
            (true, _) => key,
            _ => format!("{}/{key}", self.path),
        };
        Ok(Self { scheme: self.scheme.clone(), path })
    }
}

impl fmt::Display for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scheme {
            Scheme::S3 { bucket } if self.path.is_empty() => write!(f, "s3://{bucket}"),
            Scheme::S3 { bucket } => write!(f, "s3://{bucket}/{}", self.path),
            Scheme::File => write!(f, "file:///{}", self.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> ObjectUrl {
        text.parse().unwrap()
    }

    #[test]
    fn a_url_is_written_in_one_way() {
        for (text, shown) in [
            ("s3://data", "s3://data"),
            ("s3://data/", "s3://data"),
            ("s3://data/a b/c%20/", "s3://data/a b/c%20"),
            ("file:///", "file:///"),
            ("file:///srv/data/", "file:///srv/data"),
        ] {
            assert_eq!(url(text).to_string(), shown);
        }
        for (text, error) in [
            ("/srv/data", UrlError::Scheme),
            ("gs://data", UrlError::Scheme),
            ("s3:///data", UrlError::NoBucket),
            ("file://data", UrlError::Relative),
            ("s3://data/a/../b", UrlError::Part("..".into())),
            ("s3://data//b", UrlError::Part(String::new())),
            ("file:///a/./b", UrlError::Part(".".into())),
            ("file:///a/\n", UrlError::Part("\\n".into())),
        ] {
            assert_eq!(text.parse::<ObjectUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn one_contains_what_is_under_it_and_not_what_begins_alike() {
        for (above, below) in
            [("s3://data", "s3://data/a"), ("s3://data/a", "s3://data/a"), ("s3://data/a", "s3://data/a/b"), ("file:///", "file:///a")]
        {
            assert!(url(above).contains(&url(below)), "{above} {below}");
        }
        for (above, below) in
            [("s3://data", "s3://data2"), ("s3://data/a", "s3://data/ab"), ("s3://data/a", "s3://data"), ("file:///data", "s3://data")]
        {
            assert!(!url(above).contains(&url(below)), "{above} {below}");
        }
    }

    #[test]
    fn a_key_cannot_leave() {
        assert_eq!(url("s3://data/a").join("b/c").unwrap(), url("s3://data/a/b/c"));
        assert_eq!(url("s3://data").join("b").unwrap(), url("s3://data/b"));
        assert_eq!(url("s3://data/a").join("").unwrap(), url("s3://data/a"));
        for key in ["../x", "a/../../x", "/x", "a//x"] {
            assert!(url("s3://data/a").join(key).is_err(), "{key}");
        }
    }
}
