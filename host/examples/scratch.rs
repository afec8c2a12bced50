//! scratch
use std::sync::Arc;
use std::time::{Duration, Instant};
use placehost::net::identity::Identity;
use placehost::{Host, NetworkConfig, PlaceConfig, SpawnOptions, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).unwrap();
    let parent = Arc::new(Identity::ephemeral());
    let child = Arc::new(Identity::from_bundle(parent.bundle_for_child(&"child".parse()?, Duration::from_secs(3600))?)?);
    let mut a = NetworkConfig::new(parent); a.timeout = Duration::from_secs(2);
    let mut b = NetworkConfig::new(child); b.listen = Some("127.0.0.1:0".parse()?); b.timeout = Duration::from_secs(2);
    let a = Host::builder().network(a).build()?;
    let b = Host::builder().network(b).build()?;
    let at = b.listen().await?;
    println!("b listens at {at:?}");
    let t = Instant::now();
    let node = a.connect(&at[0]).await?;
    println!("connected to {node:?} in {:?}", t.elapsed());
    let module = a.load(file.as_ref()).await?;
    for _ in 0..3 {
        let t = Instant::now();
        let (place, channel) = a.spawn_at(&node, &module, "hello-world", PlaceConfig::default(), SpawnOptions::default()).await?;
        println!("spawned {} in {:?}", place.id(), t.elapsed());
        channel.put(json::to_message(&"Hello".into())?).await?;
        println!("got {} {:?}", json::from_message(&channel.get().await?), t.elapsed());
        println!("it {} {:?}", place.wait().await, t.elapsed());
    }
    println!("{:?}", node.list().await?);
    println!("{:?}", node.peers().await?);
    Ok(())
}
