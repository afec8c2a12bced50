//! The Racket guide's first place: is any number in a list the double of another?

use places::Channel;

#[places::start]
fn any_double(ch: Channel<Vec<i64>, bool>) -> places::Result {
    for list in ch.iter() {
        let list = list?;
        ch.put(list.iter().any(|n| list.contains(&(2 * n))))?;
    }
    Ok(())
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let p = any_double::spawn()?;
    for list in [vec![1, 2, 4, 8], vec![1, 3, 5], vec![21, 7, 42], vec![]] {
        println!("any double in {list:?}: {}", p.put_get(&list)?);
    }
    p.close();
    p.wait();
    Ok(())
}
