//! Scratch directories, as places see them. Claims are start functions that panic where they are wrong; `tests/scratch.rs` runs them,
//! and looks at what is left on the machine.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use places::{Channel, Error, Grants, Options, exit, scratch};

/// How many files are in the scratch directory, or why there is none.
fn count() -> Result<usize, String> {
    let scratch = scratch().map_err(|error| error.to_string())?;
    Ok(fs::read_dir(scratch).map_err(|error| error.to_string())?.count())
}

#[places::start]
fn counts(ch: Channel<(), Result<usize, String>>) -> places::Result {
    Ok(ch.put(count())?)
}

#[places::start]
fn each_place_has_its_own(_: Channel) -> places::Result {
    assert_eq!(count(), Ok(0));
    fs::create_dir_all(scratch()?.join("a/b"))?;
    fs::write("/scratch/a/b/file", "text")?;
    assert!(fs::read("/scratch/../file").is_err() && fs::metadata("/scratch/..").is_err());
    // It shares this one, as it does all else.
    assert_eq!(counts::spawn()?.get()?, Ok(1));
    let mine = Grants { scratch: true, ..Grants::default() };
    assert_eq!(counts::spawn_with(Options::new().grants(mine))?.get()?, Ok(0));
    // As a guest says it that knows nothing of scratch directories.
    let by_path = Grants { dirs: vec!["/scratch".into()], ..Grants::default() };
    assert_eq!(counts::spawn_with(Options::new().grants(by_path))?.get()?, Ok(0));
    let none = counts::spawn_with(Options::new().grants(Grants::default()))?.get()?;
    assert!(none.as_ref().is_err_and(|why| why.contains("--scratch")), "{none:?}");
    assert_eq!(fs::read_to_string("/scratch/a/b/file")?, "text");
    Ok(())
}

#[places::start]
fn nobody_has_one_unless_it_is_granted(_: Channel) -> places::Result {
    assert!(matches!(scratch(), Err(Error::Denied(why)) if why.contains("--scratch DIR")));
    let grants = Grants { scratch: true, ..Grants::default() };
    let child = counts::spawn_with(Options::new().grants(grants));
    assert!(matches!(&child, Err(Error::Denied(why)) if why.contains("--scratch")), "{child:?}");
    Ok(())
}

/// Leaves files behind, as its children do, and ends as it is told.
#[places::start]
fn ends(ch: Channel) -> places::Result {
    let scratch = scratch()?;
    fs::create_dir_all(scratch.join("sub/sub"))?;
    fs::write(scratch.join("sub/sub/file"), vec![7; 1 << 20])?;
    let how = std::env::args().nth(1).unwrap_or_default();
    let child = match how.as_str() {
        "waits" => {
            let grants = Grants { scratch: true, ..Grants::default() };
            Some(ends::spawn_with(Options::new().grants(grants).args(["waits-alone"]))?)
        }
        _ => None,
    };
    match how.as_str() {
        "returns" => Ok(()),
        "exits" => exit(3),
        "fails" => Err("as it was told".into()),
        "panics" => panic!("as it was told"),
        "eats" => {
            let mut all = Vec::new();
            loop {
                all.push(vec![1_u8; 1 << 20]);
            }
        }
        "computes" => {
            println!("there");
            while Path::new("/scratch/sub").exists() {}
            Ok(())
        }
        _ => {
            if let Some(child) = &child {
                child.get()?;
                println!("there");
            } else {
                ch.put(b"there")?;
            }
            ch.get().map(drop).map_err(Into::into)
        }
    }
}

/// Writes a word into what it shares with the place that started it, once that has ended.
#[places::start]
fn inherits(ch: Channel) -> places::Result {
    let parent = ch.get();
    assert!(parent.is_err());
    fs::write("/scratch/word", "late")?;
    assert_eq!(fs::read_to_string("/scratch/file")?, "text");
    println!("{:?}", count());
    Ok(())
}

/// Ends before who shares its directory.
#[places::start]
fn bequeaths(_: Channel) -> places::Result {
    fs::write(scratch()?.join("file"), "text")?;
    inherits::spawn_with(Options::new().detached())?;
    Ok(())
}

/// Starts that one, and waits for its heir.
#[places::start]
fn what_is_shared_goes_with_the_last(ch: Channel) -> places::Result {
    let grants = Grants { scratch: true, ..Grants::default() };
    bequeaths::spawn_with(Options::new().grants(grants))?.wait();
    ch.get().map(drop).or(Ok(()))
}

/// Writes until the disk is full, says how that looks, and goes on once there is room.
#[places::start]
fn fills_the_disk(_: Channel) -> places::Result {
    let path = scratch()?.join("large");
    let mut file = fs::File::create(&path)?;
    let error = loop {
        if let Err(error) = file.write_all(&[7; 1 << 16]) {
            break error;
        }
    };
    // WASI's streams fail without saying of what, and the standard library calls that an I/O error (EIO, 29 there).
    assert!(error.kind() == io::ErrorKind::StorageFull || error.raw_os_error() == Some(29), "{error}");
    drop(file);
    fs::remove_file(&path)?;
    fs::write(&path, "small")?;
    assert_eq!(fs::read_to_string(&path)?, "small");
    Ok(())
}

/// Prints how many files there are, or why there is none.
#[places::start]
fn says(_: Channel) {
    println!("{:?}", count());
}
