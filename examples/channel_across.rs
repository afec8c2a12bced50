//! The two ends of a channel, made on one node and used between two others.
//!
//! The arguments are the addresses of those three nodes; what has none is on this node.

use places::{Channel, Error, Node};

/// An end for who answers, and one for who asks.
type Ends = (Channel<u32, u32>, Channel<u32, u32>);

/// Makes a channel, and keeps none of it.
#[places::start]
fn maker(ch: Channel<(), Ends>) -> places::Result {
    Ok(ch.put(Channel::pair::<u32, u32>()?)?)
}

/// Answers on the end that it is sent.
#[places::start]
fn squares(ch: Channel<Channel<u32, u32>, ()>) -> places::Result {
    let end = ch.get()?;
    for number in end.iter() {
        let number = number?;
        end.put(number * number)?;
    }
    Ok(())
}

/// Asks on the end that it is sent, and tells what it heard.
#[places::start]
fn asks(ch: Channel<Channel<u32, u32>, Vec<u32>>) -> places::Result {
    let end = ch.get()?;
    let answers = (1..=5).map(|number| end.put_get(number)).collect::<Result<Vec<_>, Error>>()?;
    Ok(ch.put(answers)?)
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let mut addresses = std::env::args().skip(1);
    let mut node = || addresses.next().map_or_else(|| Ok(Node::this()), |address| Node::connect(&address));
    let (a, b, c) = (node()?, node()?, node()?);

    let maker = maker::at(&a).spawn()?;
    let (one, other) = maker.get()?;
    println!("the maker {}", maker.wait());

    let (squares, asks) = (squares::at(&b).spawn()?, asks::at(&c).spawn()?);
    squares.put(one)?;
    asks.put(other)?;
    println!("who asks was told {:?}", asks.get()?);
    // Its end of the channel goes with it, and so who answers is done.
    println!("who asks {}", asks.wait());
    println!("who answers {}", squares.wait());
    Ok(())
}
