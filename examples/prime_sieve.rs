//! The sieve of Eratosthenes, a place for each prime. Prints the primes below the first argument, or 100.

use places::Channel;

/// The first number it gets is prime. Of the others it passes on what that does not divide.
#[places::start]
fn sieve(numbers: Channel<u32>) -> places::Result {
    let Ok(prime) = numbers.get() else { return Ok(()) };
    println!("{prime}");
    let rest = sieve::spawn()?;
    for number in numbers.iter() {
        let number = number?;
        if number % prime != 0 {
            rest.put(number)?;
        }
    }
    rest.close();
    rest.wait();
    Ok(())
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let n = std::env::args().nth(1).map_or(Ok(100), |n| n.parse())?;
    let numbers = sieve::spawn()?;
    numbers.put_many(2..n)?;
    numbers.close();
    numbers.wait();
    Ok(())
}
