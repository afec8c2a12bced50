//! A place's scratch directory: its own, and gone when it is.

use std::path::Path;

use crate::Error;

/// Its path in a place; also the name of the grant.
pub(crate) const SCRATCH: &str = "/scratch";

/// The directory in which this place may keep what has no room in its memory: on the node where it runs, empty when the place starts,
/// removed when it has ended, however that came. It is there where the host was started with `--scratch DIR`, and the places between
/// granted it on. A child on the same node that is started without [`Grants`](crate::Grants) shares it, and it is removed when the last
/// one has ended that does; a child with [`Grants::scratch`](crate::Grants::scratch), or on another node, has one of its own. Its size has no bound but the disk's: when that is full, writing fails, as
/// an I/O error.
///
/// # Errors
/// [`Error::Denied`] where this place was not granted one.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let run = places::scratch()?.join("run-1");
/// std::fs::write(&run, b"sorted")?;
/// # Ok(())
/// # }
/// ```
pub fn scratch() -> Result<&'static Path, Error> {
    let path = Path::new(SCRATCH);
    match path.is_dir() {
        true => Ok(path),
        false => Err(Error::Denied("this place has no scratch directory: it was granted none (`--scratch DIR`)".into())),
    }
}
