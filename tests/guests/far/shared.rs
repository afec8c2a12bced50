//! Ends of channels that more than one node has a handle to.

use super::*;

/// First the end, then numbers.
type Said = Result<u32, End>;
type End = Channel<(), u32>;

/// Makes a channel, gives one end away, and says what comes by the other, and how that ended.
#[places::start]
fn keeps_one_end(ch: Channel<(), Said>) -> places::Result {
    let (read, away) = Channel::pair::<u32, ()>()?;
    ch.put(Err(away))?;
    for number in read.iter() {
        ch.put(Ok(number?))?;
    }
    Ok(ch.put(Ok(0))?)
}

/// Gets an end, and puts each number there that it is told.
#[places::start]
fn passes_on(ch: Channel<Said, ()>) -> places::Result {
    let Err(end) = ch.get()? else { panic!("the end comes first") };
    while let Ok(number) = ch.get() {
        end.put(number.expect("one end is enough"))?;
    }
    Ok(())
}

type Keeper = Place<Said, ()>;
type Holder = Place<(), Said>;

/// An end of a channel of the first node's, shared with a place on each of them and one here.
fn shared(nodes: &[Node]) -> Result<(Keeper, End, Vec<Holder>), Error> {
    let keeper = keeps_one_end::at(&nodes[0]).spawn()?;
    let Err(end) = keeper.get()? else { panic!("the end comes first") };
    let holders = nodes.iter().chain([&Node::this()]).map(|node| passes_on::at(node).spawn()).collect::<Result<Vec<_>, _>>()?;
    holders.iter().try_for_each(|holder| holder.put(Err(end.clone())))?;
    Ok((keeper, end, holders))
}

/// What this one puts comes to where the other end is.
fn passes(holder: &Holder, keeper: &Keeper, number: u32) -> Result<(), Error> {
    holder.put(Ok(number))?;
    assert_eq!(keeper.get()?.expect("a number"), number);
    Ok(())
}

fn ends(holder: &Holder) {
    holder.close();
    assert_eq!(holder.wait(), ExitReason::Returned);
}

#[places::start]
fn an_end_of_elsewhere_is_shared_with_many_nodes(_: Channel) -> places::Result {
    let (keeper, end, holders) = shared(&nodes::<3>()?)?;
    for round in 0..3 {
        for (holder, number) in holders.iter().zip(1..) {
            passes(holder, &keeper, 10 * round + number)?;
        }
    }
    // Who goes takes nobody else's part along; nor does who has shared it.
    ends(&holders[1]);
    passes(&holders[2], &keeper, 41)?;
    end.put(42)?;
    assert_eq!(keeper.get()?.expect("a number"), 42);
    drop(end);
    passes(&holders[3], &keeper, 43)?;
    passes(&holders[0], &keeper, 44)?;
    [&holders[0], &holders[2], &holders[3]].into_iter().for_each(ends);
    assert_eq!(keeper.get()?.expect("the last one has gone"), 0);
    Ok(())
}

#[places::start]
fn the_loss_of_a_node_is_not_the_end_of_what_it_shared(_: Channel) -> places::Result {
    let nodes = nodes::<3>()?;
    let (keeper, end, holders) = shared(&nodes)?;
    for (holder, number) in holders.iter().zip(1..) {
        passes(holder, &keeper, number)?;
    }
    nodes[1].exit()?;
    holders[1].wait();
    for number in 11..20 {
        passes(&holders[0], &keeper, number)?;
        passes(&holders[2], &keeper, number)?;
        passes(&holders[3], &keeper, number)?;
    }
    drop(end);
    [&holders[0], &holders[2], &holders[3]].into_iter().for_each(ends);
    assert_eq!(keeper.get()?.expect("the last one has gone"), 0);
    Ok(())
}
