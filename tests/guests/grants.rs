//! What a place may reach outside of itself: nothing but what it was granted, and its children no more than that. Each claim is a
//! start function that panics where it is wrong; `tests/grants.rs` runs them with grants.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

use places::{Channel, Error, Grants, Options};

/// What a place can see, as lines.
fn view() -> String {
    let args = std::env::args().collect::<Vec<_>>().join(" ");
    let mut env = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
    env.sort();
    let files = |path: &str| match fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>().join(","),
        Err(error) => error.kind().to_string(),
    };
    let network = TcpListener::bind("127.0.0.1:0").is_ok();
    format!("args: {args}\nenv: {}\n/: {}\n/data: {}\nnetwork: {network}", env.join(" "), files("/"), files("/data"))
}

/// Says what it can see.
#[places::start]
fn looks_around(ch: Channel<(), String>) -> places::Result {
    Ok(ch.put(view())?)
}

/// Prints what it can see, for the test to compare.
#[places::start]
fn prints_what_it_sees(_: Channel) {
    println!("{}", view());
}

/// Prints what its child can see, with all it has itself and with nothing.
#[places::start]
fn prints_what_its_children_see(_: Channel) -> places::Result {
    let some = Grants { dirs: vec!["/data".into()], env: vec!["A".into()], ..Grants::default() };
    for options in [Options::new(), Options::new().args(["x", "y z"]).grants(some), Options::new().grants(Grants::default())] {
        println!("{}\n", looks_around::spawn_with(options)?.get()?);
    }
    Ok(())
}

#[places::start]
fn nothing_is_there_unless_it_is_granted(_: Channel) -> places::Result {
    assert_eq!(std::env::args().collect::<Vec<_>>(), ["nothing-is-there-unless-it-is-granted"]);
    assert_eq!(std::env::vars().count(), 0);
    for path in ["/", ".", "/etc/passwd", "/proc/self/environ", "data"] {
        assert!(fs::metadata(path).is_err(), "{path}");
    }
    assert!(fs::write("file", "text").is_err() && fs::create_dir("dir").is_err());
    let (mut stdin, mut text) = (std::io::stdin(), String::new());
    assert_eq!(stdin.read_to_string(&mut text)?, 0);
    Ok(())
}

#[places::start]
fn the_network_is_closed_unless_it_is_granted(_: Channel) -> places::Result {
    // The test listens there.
    let address = std::env::args().nth(1).ok_or("no address")?;
    assert!(TcpStream::connect(&address).is_err());
    assert!(TcpListener::bind("127.0.0.1:0").is_err());
    let sent = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"out", &address));
    assert!(sent.is_err());
    assert!("localhost:80".to_socket_addrs().is_err());
    Ok(())
}

#[places::start]
fn the_network_is_there_where_it_is_granted(_: Channel) -> places::Result {
    let address = std::env::args().nth(1).ok_or("no address")?;
    TcpStream::connect(&address)?.write_all(b"hello")?;
    Ok(())
}

/// Writes where it may, and tries to leave: the test puts a link that leads out into the directory.
#[places::start]
fn a_directory_is_all_that_is_seen_of_the_machine(_: Channel) -> places::Result {
    fs::write("/data/new", "written")?;
    fs::create_dir("/data/sub")?;
    fs::rename("/data/new", "/data/sub/renamed")?;
    assert_eq!(fs::read_to_string("/data/sub/renamed")?, "written");
    for path in ["/data/../etc/passwd", "/data/out/passwd", "/data/link", "/etc/passwd", "/data/sub/../../x"] {
        assert!(fs::read(path).is_err(), "{path}");
        assert!(fs::write(path, "x").is_err(), "{path}");
    }
    Ok(())
}

#[places::start]
fn a_read_only_directory_is_not_changed(_: Channel) -> places::Result {
    assert_eq!(fs::read_to_string("/data/file")?, "text");
    let attempts = [
        fs::write("/data/file", "other"),
        fs::write("/data/new", "new"),
        fs::create_dir("/data/dir"),
        fs::remove_file("/data/file"),
        fs::rename("/data/file", "/data/moved"),
        fs::hard_link("/data/file", "/data/linked"),
        fs::File::options().append(true).open("/data/file").map(drop),
        fs::File::open("/data/file").and_then(|file| file.set_len(0)),
    ];
    for (number, attempt) in attempts.iter().enumerate() {
        assert!(attempt.is_err(), "attempt {number} was allowed");
    }
    assert_eq!(attempts[0].as_ref().map_err(std::io::Error::kind), Err(ErrorKind::PermissionDenied));
    Ok(())
}

#[places::start]
fn what_was_narrowed_cannot_be_widened(ch: Channel) -> places::Result {
    let deeper = std::env::args().nth(1).is_none();
    if deeper {
        // As a child of itself, with one directory of two and nothing else.
        let grants = Grants { dirs: vec!["/data".into()], ..Grants::default() };
        let p = what_was_narrowed_cannot_be_widened::spawn_with(Options::new().args(["narrowed"]).grants(grants))?;
        let why = p.wait();
        assert!(why.is_success(), "{why}");
        return Ok(());
    }
    drop(ch);
    assert!(fs::metadata("/data/file").is_ok() && fs::metadata("/more").is_err());
    let all = [
        Grants { dirs: vec!["/more".into()], ..Grants::default() },
        Grants { dirs: vec!["/".into()], ..Grants::default() },
        Grants { dirs: vec!["/data/sub".into()], ..Grants::default() },
        Grants { env: vec!["A".into()], ..Grants::default() },
        Grants { network: true, ..Grants::default() },
    ];
    for grants in all {
        let wider = looks_around::spawn_with(Options::new().grants(grants.clone()));
        assert!(matches!(wider, Err(Error::Denied(_))), "{grants:?}: {wider:?}");
    }
    Ok(())
}
