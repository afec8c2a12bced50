//! One wait for everything that can happen: messages from two nodes, a timer, a socket, the end of a place, the loss of a node.
//!
//! The arguments are the addresses of those nodes, of which the second one is stopped; without them all is on this node, which is never
//! lost. It wants the network: `--net`.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use places::{Channel, Node, after, at, ready, sync};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::tcp::TcpSocket;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

/// Repeats what it is told, until it is told nothing more.
#[places::start]
fn parrot(ch: Channel<String, String>) -> places::Result {
    for word in ch.iter() {
        ch.put(word?)?;
    }
    Ok(())
}

/// Listens at a port of this machine alone that is free.
fn listen() -> Result<(TcpSocket, u16), ErrorCode> {
    let (network, socket) = (instance_network(), create_tcp_socket(IpAddressFamily::Ipv4)?);
    socket.start_bind(&network, IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 0, address: (127, 0, 0, 1) }))?;
    done(&socket, || socket.finish_bind())?;
    socket.start_listen()?;
    done(&socket, || socket.finish_listen())?;
    match socket.local_address()? {
        IpSocketAddress::Ipv4(address) => Ok((socket, address.port)),
        IpSocketAddress::Ipv6(_) => Err(ErrorCode::InvalidState),
    }
}

fn done(socket: &TcpSocket, step: impl Fn() -> Result<(), ErrorCode>) -> Result<(), ErrorCode> {
    loop {
        match step() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            result => return result,
        }
    }
}

/// Calls a port, and ends when it is told.
#[places::start]
fn caller(ch: Channel<u16, ()>) -> places::Result {
    TcpStream::connect(("127.0.0.1", ch.get()?))?.write_all(b"ring")?;
    ch.get()?;
    Ok(())
}

const LONG: Duration = Duration::from_secs(3600);

#[places::start]
fn main(_: Channel) -> places::Result {
    let addresses: Vec<_> = std::env::args().skip(1).collect();
    let node = |n: usize| addresses.get(n).map_or_else(|| Ok(Node::this()), |address| Node::connect(address));
    let (a, b) = (node(0)?, node(1)?);
    let (here, there, caller) = (parrot::at(&a).spawn()?, parrot::at(&b).spawn()?, caller::spawn()?);
    let (listener, port) = listen()?;
    let connection = listener.subscribe();
    let mut alarm = Instant::now() + LONG;

    // Whatever happens sets the next thing going, so all of it comes in this order.
    here.put("hello")?;
    loop {
        sync! {
            word = here.get() => {
                println!("a message from the first node: {}", word?);
                there.put("hello again")?;
            }
            word = there.get() => if let Ok(word) = word {
                println!("a message from the second node: {word}");
                caller.put(port)?;
            },
            _ = ready(&connection) => {
                // Dropped in the right order: the streams before the socket that they are of.
                let (_socket, _input, _output) = listener.accept()?;
                println!("a call at our socket");
                alarm = Instant::now() + Duration::from_millis(20);
            }
            _ = at(alarm) => {
                println!("nothing for a while");
                alarm = Instant::now() + LONG;
                caller.put(0)?;
            }
            why = caller.exited() => {
                println!("the caller {why}");
                break;
            }
            _ = b.lost() => panic!("the second node is lost too soon"),
        }
    }
    if b.address().is_some() {
        // Its place has nothing to wait for any more, and the node nothing to wait for then.
        there.close();
        b.exit()?;
        sync! {
            _ = b.lost() => println!("the second node is gone"),
            _ = after(LONG) => println!("the second node stays"),
        }
    }
    Ok(())
}
