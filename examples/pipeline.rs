//! Stages in places of their own, wired by ends of channels that they are sent: what one puts, the next gets.

use places::{Channel, Error, Place};

/// What a stage is sent: where it reads and where it writes.
type Ends<G, P> = (Channel<G, ()>, Channel<(), P>);

#[places::start]
fn words(ch: Channel<Ends<String, String>, ()>) -> places::Result {
    let (lines, words) = ch.get()?;
    for line in lines.iter() {
        words.put_many(line?.split_whitespace())?;
    }
    Ok(())
}

#[places::start]
fn capitals(ch: Channel<Ends<String, String>, ()>) -> places::Result {
    let (words, capitals) = ch.get()?;
    for word in words.iter() {
        capitals.put(word?.to_uppercase())?;
    }
    Ok(())
}

#[places::start]
fn lengths(ch: Channel<Ends<String, (String, usize)>, ()>) -> places::Result {
    let (words, lengths) = ch.get()?;
    for word in words.iter() {
        let word = word?;
        let length = word.chars().count();
        lengths.put((word, length))?;
    }
    Ok(())
}

/// Puts a stage behind `input`; its output.
fn through<G, P>(input: Channel<G, ()>, stage: Place<(), Ends<G, P>>) -> Result<Channel<P, ()>, Error> {
    let (output, rest) = Channel::pair()?;
    stage.put((input, output))?;
    Ok(rest)
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let (lines, input) = Channel::pair()?;
    let output = through(through(through(input, words::spawn()?)?, capitals::spawn()?)?, lengths::spawn()?)?;
    lines.put("places share nothing")?;
    lines.put("but what they send")?;
    // The end of the input runs through all stages.
    lines.close();
    for counted in output.iter() {
        let (word, length) = counted?;
        println!("{word} {length}");
    }
    Ok(())
}
