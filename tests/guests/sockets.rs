//! A socket of WASI's and a channel, waited for together: what the slides call integration with `sync`. The claims are start
//! functions that panic where they are wrong; `tests/grants.rs` runs them with the network.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use places::{Channel, after, ready, sync};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::tcp::TcpSocket;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

const NEVER: Duration = Duration::from_secs(3600);

/// A listener on a free port of this machine alone.
fn listen() -> Result<(TcpSocket, u16), ErrorCode> {
    let (network, socket) = (instance_network(), create_tcp_socket(IpAddressFamily::Ipv4)?);
    let any_port = IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 0, address: (127, 0, 0, 1) });
    socket.start_bind(&network, any_port)?;
    finish(&socket, || socket.finish_bind())?;
    socket.start_listen()?;
    finish(&socket, || socket.finish_listen())?;
    match socket.local_address()? {
        IpSocketAddress::Ipv4(address) => Ok((socket, address.port)),
        IpSocketAddress::Ipv6(_) => Err(ErrorCode::InvalidState),
    }
}

fn finish(socket: &TcpSocket, step: impl Fn() -> Result<(), ErrorCode>) -> Result<(), ErrorCode> {
    loop {
        match step() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            result => return result,
        }
    }
}

/// Connects to the port that it is told, and says what it hears there.
#[places::start]
fn caller(ch: Channel<u16, String>) -> places::Result {
    let mut heard = String::new();
    let mut stream = TcpStream::connect(("127.0.0.1", ch.get()?))?;
    stream.write_all(b"ring")?;
    stream.read_to_string(&mut heard)?;
    Ok(ch.put(heard)?)
}

/// Says what it is told to.
#[places::start]
fn talker(ch: Channel<String, String>) -> places::Result {
    for message in ch.iter() {
        ch.put(message?)?;
    }
    Ok(())
}

#[places::start]
fn a_socket_and_a_channel_are_waited_for_together(_: Channel) -> places::Result {
    let (listener, port) = listen()?;
    let connection = listener.subscribe();
    let (talker, caller) = (talker::spawn()?, caller::spawn()?);
    let mut order = Vec::new();
    talker.put("a message")?;
    for _ in 0..2 {
        sync! {
            message = talker.get() => {
                order.push(message?);
                caller.put(port)?;
            }
            _ = ready(&connection) => {
                let (_socket, input, output) = listener.accept()?;
                assert_eq!(input.blocking_read(4).map_err(|error| error.to_string())?, b"ring");
                output.blocking_write_and_flush(b"who is there?")?;
                order.push("a connection".into());
            }
            _ = after(NEVER) => panic!("the timer fired"),
        }
    }
    assert_eq!(order, ["a message", "a connection"]);
    assert_eq!(caller.get()?, "who is there?");
    Ok(())
}

#[places::start]
fn a_connection_comes_before_a_message(_: Channel) -> places::Result {
    let (listener, port) = listen()?;
    let connection = listener.subscribe();
    let (talker, caller) = (talker::spawn()?, caller::spawn()?);
    caller.put(port)?;
    let (socket, input, output) = sync! {
        message = talker.get() => panic!("nobody said {message:?}"),
        _ = ready(&connection) => listener.accept()?,
    };
    assert_eq!(input.blocking_read(4).map_err(|error| error.to_string())?, b"ring");
    output.blocking_write_and_flush(b"who is there?")?;
    talker.put("a message")?;
    sync! {
        message = talker.get() => assert_eq!(message?, "a message"),
        _ = ready(&connection) => panic!("nobody else called"),
    }
    // The streams go before their socket, or WASI traps.
    drop((input, output));
    drop(socket);
    assert_eq!(caller.get()?, "who is there?");
    Ok(())
}

/// The test connects, to the port that this prints.
#[places::start]
fn a_stranger_is_served_while_a_place_talks(_: Channel) -> places::Result {
    let (listener, port) = listen()?;
    println!("{port}");
    let connection = listener.subscribe();
    let talker = talker::spawn()?;
    let (_socket, input, output) = loop {
        talker.put("still here")?;
        sync! {
            _ = ready(&connection) => break listener.accept()?,
            message = talker.get() => assert_eq!(message?, "still here"),
        }
    };
    let asked = input.blocking_read(64).map_err(|error| error.to_string())?;
    output.blocking_write_and_flush(&asked.to_ascii_uppercase())?;
    Ok(())
}
