//! Object stores, as places see them: claims, each with the URL of an empty part of a store as its argument. `tests/objects.rs` runs them
//! on this machine's disk and on a server of S3.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};

use places::objects::{Object, Store};
use places::{Channel, Error, Grants, Options};

/// More than two parts of an upload.
const LARGE: usize = (20 << 20) + 5;

fn url() -> String {
    std::env::args().nth(1).expect("the test says where")
}

fn text(store: &Store, key: &str) -> places::Result<String> {
    let mut text = String::new();
    store.read(key)?.read_to_string(&mut text)?;
    Ok(text)
}

fn write(store: &Store, key: &str, bytes: &[u8]) -> places::Result {
    let mut writer = store.write(key)?;
    writer.write_all(bytes)?;
    Ok(writer.finish()?)
}

fn list(store: &Store, prefix: &str) -> Result<BTreeMap<String, u64>, Error> {
    store.list(prefix)?.map(|object| object.map(|Object { key, size, .. }| (key, size))).collect()
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

#[places::start]
fn objects_are_written_read_listed_and_removed(_: Channel) -> places::Result {
    // The credentials are the host's.
    assert_eq!(std::env::vars().count(), 0);
    let store = Store::open(&url())?;
    assert!(list(&store, "")?.is_empty());
    assert!(matches!(store.head("a"), Err(Error::NotFound(_))));
    assert!(matches!(store.read("a"), Err(Error::NotFound(why)) if why.contains("/a`")));
    write(&store, "a", b"")?;
    write(&store, "dir/b c%20", b"one")?;
    write(&store, "dir/sub/d", b"three")?;
    write(&store, "dirt", b"x")?;
    write(&store, "a", b"again")?;
    let all = [("a", 5), ("dir/b c%20", 3), ("dir/sub/d", 5), ("dirt", 1)].map(|(key, size)| (key.to_owned(), size));
    assert_eq!(list(&store, "")?, BTreeMap::from(all.clone()));
    assert_eq!(list(&store, "dir")?, BTreeMap::from([all[1].clone(), all[2].clone()]));
    assert!(list(&store, "nowhere")?.is_empty());
    assert_eq!((text(&store, "a")?, text(&store, "dir/b c%20")?), ("again".into(), "one".into()));
    // The clock is right to a day, wherever it ticks.
    let known = store.head("dir/sub/d")?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as u64;
    assert!(known.size == 5 && known.key == "dir/sub/d" && known.modified.abs_diff(now) < 86_400_000, "{known:?} at {now}");
    // What is below is a store too.
    assert_eq!(list(&Store::open(&format!("{}/dir", url()))?, "sub")?, BTreeMap::from([("sub/d".to_owned(), 5)]));
    store.delete("dirt")?;
    assert_eq!(list(&store, "")?.len(), 3);
    for key in ["../x", "a/../b", "/a", "a//b", "."] {
        assert!(matches!(store.read(key), Err(Error::Invalid(_))), "{key}");
        assert!(matches!(store.write(key), Err(Error::Invalid(_))), "{key}");
    }
    Ok(())
}

#[places::start]
fn large_objects_are_written_in_parts_and_read_in_ranges(_: Channel) -> places::Result {
    let store = Store::open(&url())?;
    let all = pattern(LARGE);
    let mut writer = store.write("large")?;
    for piece in all.chunks(300_001) {
        writer.write_all(piece)?;
    }
    assert!(matches!(store.head("large"), Err(Error::NotFound(_))));
    writer.finish()?;
    let mut reader = store.read("large")?;
    assert_eq!(reader.size(), LARGE as u64);
    let mut read = Vec::new();
    reader.read_to_end(&mut read)?;
    assert!(read == all, "{} bytes", read.len());
    for (from, to) in
        [(0, 1), (5, 5), (1 << 20, (9 << 20) + 1), (LARGE - 3, LARGE), (LARGE - 3, LARGE + 10), (LARGE, LARGE + 1), (2 * LARGE, 3 * LARGE)]
    {
        let mut read = Vec::new();
        store.read_range("large", from as u64..to as u64)?.read_to_end(&mut read)?;
        assert!(read == all[from.min(LARGE)..to.min(LARGE)], "{from}..{to}: {} bytes", read.len());
    }
    let mut tail = Vec::new();
    store.read_range("large", LARGE as u64 - 7..)?.read_to_end(&mut tail)?;
    assert_eq!(tail, all[LARGE - 7..]);
    Ok(())
}

/// More than a page of S3's listings has.
#[places::start]
fn many_objects_are_listed_page_by_page(_: Channel) -> places::Result {
    let store = Store::open(&url())?;
    for number in 0..1_010 {
        write(&store, &format!("many/{number}"), b"")?;
    }
    assert_eq!(list(&store, "")?.len(), 1_010);
    // Half a page is a page.
    assert_eq!(store.list("many")?.take(3).count(), 3);
    Ok(())
}

#[places::start]
fn an_object_that_is_not_finished_is_never_there(_: Channel) -> places::Result {
    let store = Store::open(&url())?;
    write(&store, "old", b"old")?;
    for size in [3, LARGE] {
        for key in ["old", "new"] {
            let mut writer = store.write(key)?;
            writer.write_all(&pattern(size))?;
            writer.flush()?;
            drop(writer);
        }
    }
    assert_eq!(text(&store, "old")?, "old");
    assert!(matches!(store.head("new"), Err(Error::NotFound(_))));
    assert_eq!(list(&store, "")?.len(), 1);
    Ok(())
}

/// Uploads, and waits to be killed.
#[places::start]
fn uploads_and_waits(ch: Channel) -> places::Result {
    let store = Store::open(&url())?;
    let mut writer = store.write("never")?;
    writer.write_all(&pattern(LARGE))?;
    writer.flush()?;
    println!("there");
    ch.get().map(drop).map_err(Into::into)
}

/// Says what became of reading one object.
#[places::start]
fn reads(_: Channel) -> places::Result {
    println!("reads");
    Store::open(&url())?.read("a").map(drop).map_err(Into::into)
}

/// What a place can do with the store of its argument, as letters.
fn may() -> String {
    let done = |what: Result<(), Error>, letter| match what {
        Ok(()) => letter,
        Err(Error::Denied(_)) => '-',
        Err(error) => panic!("{error}"),
    };
    match Store::open(&url()) {
        Ok(store) => [done(store.list("").map(drop), 'l'), done(store.write("x").map(drop), 'w')].iter().collect(),
        Err(Error::Denied(why)) if why.contains("--objects") => "nothing".into(),
        Err(error) => panic!("{error}"),
    }
}

#[places::start]
fn says_what_it_may(ch: Channel<(), String>) -> places::Result {
    Ok(ch.put(may())?)
}

#[places::start]
fn prints_what_it_may(_: Channel) {
    println!("{}", may());
}

#[places::start]
fn a_child_gets_no_more_of_a_store_than_its_parent_has(_: Channel) -> places::Result {
    let (all, below) = (url(), format!("{}/below", url()));
    let asked = |objects: &[&str], of: &str| {
        let grants = Grants { objects: objects.iter().map(|&url| url.into()).collect(), ..Grants::default() };
        says_what_it_may::spawn_with(Options::new().args([of]).grants(grants))?.get()
    };
    assert_eq!(says_what_it_may::spawn_with(Options::new().args([&all]))?.get()?, "lw");
    assert_eq!(asked(&[], &all)?, "nothing");
    assert_eq!(asked(&[&all], &below)?, "lw");
    assert_eq!((asked(&[&below], &below)?, asked(&[&below], &all)?), ("lw".into(), "nothing".into()));
    assert_eq!(asked(&[&format!("{all}:ro")], &all)?, "l-");
    for other in ["file:///", "s3://other", &format!("{all}2")] {
        let child = asked(&[other], &all);
        assert!(matches!(&child, Err(Error::Denied(why)) if why.contains("--objects")), "{other}: {child:?}");
    }
    let child = asked(&["gs://other"], &all);
    assert!(matches!(&child, Err(Error::Invalid(_))), "{child:?}");
    Ok(())
}

/// A place with little memory.
#[places::start]
fn what_a_writer_keeps_counts(_: Channel) -> places::Result {
    let mut writer = Store::open(&url())?.write("a")?;
    let error = (0..64).find_map(|_| writer.write_all(&[7; 1 << 20]).err()).ok_or("it was kept")?;
    assert!(error.kind() == ErrorKind::Other && error.to_string().contains("memory limit"), "{error}");
    Ok(())
}
