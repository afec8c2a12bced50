//! What QUIC itself takes between two processes of this machine: quinn with the very settings of a node, and none of its protocol.
//!
//! `scripts/bench.sh` prints what nodes take as multiples of this. Each line is `name value unit`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use placehost::net::endpoint::bare;
use placehost::net::trust::bundle::Bundle;
use placehost::net::trust::identity::Identity;
use quinn::{Connection, RecvStream, SendStream};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// What a stream begins with.
const ECHO: u8 = 1;
const SINK: u8 = 2;

fn main() -> Result {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match std::env::var("QUINN_SERVER") {
        Ok(bundle) => runtime.block_on(serve(bundle.parse()?)),
        Err(_) => runtime.block_on(measure()),
    }
}

/// The other process: answers, or counts.
async fn serve(bundle: Bundle) -> Result {
    let endpoint = bare(Some("127.0.0.1:0".parse()?), &Arc::new(Identity::from_bundle(bundle)?))?;
    println!("{}", endpoint.local_addr()?);
    let connection = endpoint.accept().await.ok_or("nobody comes")?.await?;
    connection.set_max_concurrent_bi_streams(16u32.into());
    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
        let mut kind = [0];
        receive.read_exact(&mut kind).await?;
        match kind[0] {
            ECHO => echo(&mut send, &mut receive).await?,
            _ => sink(&mut send, &mut receive).await?,
        }
    }
    Ok(())
}

async fn echo(send: &mut SendStream, receive: &mut RecvStream) -> Result {
    while let Some(chunk) = receive.read_chunk(1 << 20, true).await? {
        send.write_chunk(chunk.bytes).await?;
    }
    Ok(())
}

async fn sink(send: &mut SendStream, receive: &mut RecvStream) -> Result {
    while receive.read_chunk(1 << 20, true).await?.is_some() {}
    send.write_all(&[0]).await?;
    Ok(send.finish()?)
}

async fn measure() -> Result {
    let identity = Arc::new(Identity::ephemeral());
    let bundle = identity.bundle_for_child(&"bench".parse()?, Duration::from_secs(3600))?;
    let mut child = Command::new(std::env::current_exe()?).env("QUINN_SERVER", bundle.to_string()).stdout(Stdio::piped()).spawn()?;
    let mut address = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut address)?;
    let endpoint = bare(None, &identity)?;
    let connection = endpoint.connect(address.trim().parse()?, &identity.server_name())?.await?;
    round_trip(&connection, 64, 20_000).await?;
    round_trip(&connection, 65_536, 2_000).await?;
    one_way(&connection, 65_536, 10_000).await?;
    one_way(&connection, 1 << 20, 600).await?;
    connection.close(0u32.into(), b"");
    child.kill()?;
    child.wait()?;
    Ok(())
}

async fn open(connection: &Connection, kind: u8) -> Result<(SendStream, RecvStream)> {
    let (mut send, receive) = connection.open_bi().await?;
    send.write_all(&[kind]).await?;
    Ok((send, receive))
}

async fn round_trip(connection: &Connection, size: usize, n: u32) -> Result {
    let (mut send, mut receive) = open(connection, ECHO).await?;
    let (message, mut answer) = (vec![7; size], vec![0; size]);
    let mut start = Instant::now();
    for index in 0..n + n / 10 {
        if index == n / 10 {
            start = Instant::now();
        }
        send.write_all(&message).await?;
        receive.read_exact(&mut answer).await?;
    }
    println!("quinn.ping.{size}B {:.3} us", start.elapsed().as_secs_f64() * 1e6 / f64::from(n));
    Ok(())
}

async fn one_way(connection: &Connection, size: usize, n: u32) -> Result {
    let (mut send, mut receive) = open(connection, SINK).await?;
    let message = bytes::Bytes::from(vec![7; size]);
    let start = Instant::now();
    for _ in 0..n {
        send.write_chunk(message.clone()).await?;
    }
    send.finish()?;
    receive.read_to_end(1).await?;
    println!("quinn.tput.{size}B {:.3} MB/s", f64::from(n) * size as f64 / start.elapsed().as_secs_f64() / 1e6);
    Ok(())
}
