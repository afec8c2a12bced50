//! Embeds a host: starts a place, talks to it, and learns how it ended.
//!
//!     cargo run --release -p placehost --example embed -- hello_world.wasm

use std::error::Error;
use std::path::PathBuf;

use placehost::{Host, PlaceConfig, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path: PathBuf = std::env::args_os().nth(1).ok_or("usage: embed MODULE")?.into();
    let host = Host::builder().build()?;
    let module = host.load(&path).await?;

    let (place, channel) = host.spawn(&module, "hello-world", PlaceConfig::default())?;
    channel.put(json::to_message(&"Hello".into())?).await?;
    let answer = json::from_message(&channel.get().await?);
    let end = place.wait().await;

    let mut out = std::io::stdout().lock();
    std::io::Write::write_fmt(&mut out, format_args!("it answered {answer} and {end}\n"))?;
    Ok(())
}
