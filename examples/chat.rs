//! A chat: a named room, and three who talk there, one of whom is killed.
//!
//! The room is on this node. Those who talk are on the nodes whose addresses are the arguments, or here too.

use std::time::Duration;

use places::{Channel, Error, Node, Place, after, sync};

/// Who is there, in the order in which they came.
#[derive(Default)]
struct Room {
    members: Vec<Member>,
}

struct Member {
    name: String,
    lines: Channel<(), String>,
}

#[places_rpc::server]
impl Room {
    /// Comes in: what is said from now on is put on `lines`. Who is there already.
    fn join(&mut self, name: String, lines: Channel<(), String>) -> Vec<String> {
        let others = self.members.iter().map(|member| member.name.clone()).collect();
        self.tell(&format!("{name} comes in"));
        self.members.push(Member { name, lines });
        others
    }

    /// Says something to all.
    #[cast]
    fn say(&mut self, name: &str, text: &str) {
        self.tell(&format!("{name}: {text}"));
    }

    /// Looks who has gone, and tells the others.
    fn look_round(&mut self) -> Vec<String> {
        let is_there = |member: &mut Member| member.lines.try_get() == Err(Error::WouldBlock);
        let gone: Vec<_> = self.members.extract_if(.., |member| !is_there(member)).map(|member| member.name).collect();
        gone.iter().for_each(|name| self.tell(&format!("{name} has gone")));
        gone
    }
}

impl Room {
    fn tell(&self, line: &str) {
        for member in &self.members {
            // Who has gone meanwhile is noticed when somebody looks round, and who does not listen hears less.
            let _ = member.lines.try_put(line);
        }
    }
}

/// Is in the room under the name that it is sent, says what it is sent, and puts what it hears.
#[places::start]
fn member(ch: Channel<(String, RoomLine), String>) -> places::Result {
    let (name, room) = ch.get()?;
    let room = RoomClient::from(room);
    let (hears, lines) = Channel::pair::<String, ()>()?;
    let others = room.join(name.as_str(), lines)?;
    ch.put(format!("{name} finds {others:?}"))?;
    let says: Channel<String, String> = ch.typed();
    loop {
        sync! {
            text = says.get() => match text {
                Ok(text) => room.say(&name, &text)?,
                Err(Error::Closed) => return Ok(()),
                Err(error) => return Err(error.into()),
            },
            line = hears.get() => says.put(format!("{name} hears {}", line?))?,
        }
    }
}

/// A channel to the room.
type RoomLine = Channel<(), ()>;

#[places::start]
fn main(_: Channel) -> places::Result {
    let here = Node::this();
    let nodes = std::env::args().skip(1).map(|address| Node::connect(&address)).collect::<Result<Vec<_>, _>>()?;
    room::named("room").spawn()?;

    let mut members: Vec<Place<String, String>> = Vec::new();
    for (n, name) in ["Ann", "Bob", "Cid"].into_iter().enumerate() {
        let member = member::at(nodes.get(n).unwrap_or(&here)).spawn()?;
        member.put((name.to_owned(), here.lookup("room")?))?;
        println!("{}", member.get()?);
        // Who was there hears who comes.
        members.iter().try_for_each(|earlier| earlier.get().map(|line| println!("{line}")))?;
        members.push(member.typed());
    }
    let [ann, bob, cid] = &members[..] else { unreachable!("three came in") };
    bob.put("Hello!")?;
    members.iter().try_for_each(|member| member.get().map(|line| println!("{line}")))?;

    bob.kill();
    let room = RoomClient::connect(&here, "room")?;
    while room.look_round()?.is_empty() {
        sync! { _ = after(Duration::from_millis(1)) => {} }
    }
    println!("{}\n{}", ann.get()?, cid.get()?);
    ann.put("Where is Bob?")?;
    println!("{}\n{}", ann.get()?, cid.get()?);
    Ok(())
}
