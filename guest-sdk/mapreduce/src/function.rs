//! The functions of a job, as the attributes make them: handles that know their names and types.

use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::emit::{Emit, Finished, Parts, write_value};
use crate::key;
use crate::merge::{Groups, Values};
use crate::results::Results;
use crate::table::{PartOf, Table, Waiting};

/// What a map task gets: lines of files.
#[derive(Clone, Copy, Debug)]
pub struct Lines;

/// What a map task gets: one value of the program's own.
#[derive(Clone, Copy, Debug)]
pub struct Of<T>(PhantomData<T>);

/// A line of a file, for a mapper that wants to know where it was.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Without its end.
    pub bytes: &'a [u8],
    /// Where in the file it begins; of a packed file, in what is unpacked.
    pub offset: u64,
    /// The path of the file.
    pub path: &'a str,
}

impl<'a> Line<'a> {
    /// As text.
    ///
    /// # Errors
    /// It is no UTF-8.
    pub fn text(&self) -> Result<&'a str, std::str::Utf8Error> {
        std::str::from_utf8(self.bytes)
    }
}

/// What a mapper is called with.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub enum Record<'a> {
    Line(Line<'a>),
    Value(&'a [u8]),
}

impl<'a> Record<'a> {
    #[inline]
    pub fn line(self) -> Result<Line<'a>, String> {
        match self {
            Record::Line(line) => Ok(line),
            Record::Value(_) => Err("the mapper takes lines, and was given a value".into()),
        }
    }

    #[inline]
    pub fn text(self) -> Result<&'a str, String> {
        self.line()?.text().map_err(|error| format!("a line is no UTF-8: {error}; a mapper that takes `&[u8]` does not mind"))
    }

    pub fn value<T: DeserializeOwned>(self) -> Result<T, String> {
        match self {
            Record::Value(bytes) => postcard::from_bytes(bytes).map_err(|error| format!("the task's value cannot be read: {error}")),
            Record::Line(_) => Err("the mapper takes values, and was given lines".into()),
        }
    }
}

/// What a function of a job may return.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a mapper, a reducer or an outputer returns nothing or a `Result`, not `{Self}`",
    label = "this is not emitted: call `out.emit(&key, value)`, and return nothing, or `Result<(), E>` for an `E` that can be shown"
)]
pub trait Outcome {
    fn outcome(self) -> Result<(), String>;
}

impl Outcome for () {
    #[inline]
    fn outcome(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: fmt::Display> Outcome for Result<(), E> {
    #[inline]
    fn outcome(self) -> Result<(), String> {
        self.map_err(|error| format!("{error:#}"))
    }
}

/// The types behind a parameter, for the attributes.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a function of a job is called with",
    label = "write `&mut Emit<Key, Value>` for what it emits into, `Values<'_, Value>` for a reducer's values, `Results<Key, Value>` for an outputer"
)]
pub trait Pairs {
    type Key;
    type Value;
}

impl<K, V> Pairs for Emit<K, V> {
    type Key = K;
    type Value = V;
}

impl<V> Pairs for Values<'_, V> {
    type Key = ();
    type Value = V;
}

impl<K, V> Pairs for Results<K, V> {
    type Key = K;
    type Value = V;
}

macro_rules! function {
    ($(#[$doc:meta])* $name:ident<$($parameter:ident),*>, $function:ty) => {
        $(#[$doc])*
        pub struct $name<$($parameter),*> {
            name: &'static str,
            function: $function,
            types: PhantomData<fn() -> ($($parameter,)*)>,
        }

        impl<$($parameter),*> $name<$($parameter),*> {
            #[doc(hidden)]
            pub const fn new(name: &'static str, function: $function) -> Self {
                Self { name, function, types: PhantomData }
            }

            /// Its name, by which `placehost mapreduce` knows it.
            pub const fn name(&self) -> &'static str {
                self.name
            }
        }

        impl<$($parameter),*> Clone for $name<$($parameter),*> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<$($parameter),*> Copy for $name<$($parameter),*> {}

        impl<$($parameter),*> fmt::Debug for $name<$($parameter),*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.name).finish()
            }
        }
    };
}

function! {
    /// A mapper, made by [`#[mapper]`](macro@crate::mapper): from an input `I`, [`Lines`] or [`Of`] a type, to pairs of `K` and `V`.
    Mapper<I, K, V>, fn(Record<'_>, &mut Emit<K, V>) -> Result<(), String>
}

/// A combiner's function as a type, so that the loop that looks keys up has it inside it and calls nobody for each value.
#[doc(hidden)]
pub trait Combine<V> {
    fn combine(known: &mut V, more: V);
}

/// What is done with a combiner.
#[doc(hidden)]
pub struct Combining<V> {
    /// Adds one value.
    pub(crate) add: fn(&mut Table<V>, &[u8], V, PartOf<'_>),
    /// Adds those that wait.
    pub(crate) settle: fn(&mut Table<V>, &mut Waiting<V>, PartOf<'_>),
}

impl<V> Combining<V> {
    pub const fn of<C: Combine<V>>() -> Self {
        Self { add: Table::add::<C>, settle: Table::settle::<C> }
    }
}

impl<V> Clone for Combining<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Combining<V> {}

function! {
    /// A combiner, made by [`#[combiner]`](macro@crate::combiner).
    Combiner<V>, Combining<V>
}
function! {
    /// A partitioner, made by [`#[partitioner]`](macro@crate::partitioner).
    Partitioner<K>, fn(&[u8], u32) -> Result<u32, String>
}
/// What a reducer is called as: its key is still bytes.
type Reduce<V, K2, V2> = fn(&[u8], Values<'_, V>, &mut Emit<K2, V2>) -> Result<(), String>;

function! {
    /// A reducer, made by [`#[reducer]`](macro@crate::reducer): from a `K` and its `V`s to pairs of `K2` and `V2`.
    Reducer<K, V, K2, V2>, Reduce<V, K2, V2>
}
function! {
    /// An outputer, made by [`#[outputer]`](macro@crate::outputer).
    Outputer<K, V>, fn(Results<K, V>) -> Result<(), String>
}

impl<K, V> Mapper<Lines, K, V>
where
    K: DeserializeOwned,
    V: Serialize,
{
    /// What it emits for a line: for tests.
    ///
    /// # Errors
    /// Its own.
    pub fn try_on(&self, line: &str) -> Result<Vec<(K, V)>, String> {
        self.pairs(Record::Line(Line { bytes: line.as_bytes(), offset: 0, path: "" }))
    }
}

impl<T, K, V> Mapper<Of<T>, K, V>
where
    T: Serialize,
    K: DeserializeOwned,
    V: Serialize,
{
    /// What it emits for a value: for tests.
    ///
    /// # Errors
    /// Its own.
    pub fn try_on(&self, value: &T) -> Result<Vec<(K, V)>, String> {
        let mut bytes = Vec::new();
        write_value(value, &mut bytes)?;
        self.pairs(Record::Value(&bytes))
    }
}

impl<I, K: DeserializeOwned, V: Serialize> Mapper<I, K, V> {
    fn pairs(&self, record: Record<'_>) -> Result<Vec<(K, V)>, String> {
        let mut out = Emit::of_test();
        (self.function)(record, &mut out)?;
        out.check()?;
        out.into_list().into_iter().map(|(key, value)| Ok((read_key(&key)?, value))).collect()
    }
}

/// Reads a key, as the attributes' code does.
#[doc(hidden)]
pub fn read_key<K: DeserializeOwned>(bytes: &[u8]) -> Result<K, String> {
    key::read(bytes).map_err(|error| format!("a key cannot be read: {error}"))
}

/// Two types by which pairs are told apart.
#[derive(Clone, Copy, Debug)]
pub struct Types {
    ids: [TypeId; 2],
    names: [&'static str; 2],
}

impl Types {
    fn of<K: 'static, V: 'static>() -> Self {
        Self { ids: [TypeId::of::<K>(), TypeId::of::<V>()], names: [type_name::<K>(), type_name::<V>()] }
    }
}

impl fmt::Display for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` and `{}`", self.names[0], self.names[1])
    }
}

/// A mapper whose types are known to itself alone.
#[doc(hidden)]
pub trait MapFunction: Sync {
    fn name(&self) -> &'static str;
    fn emits(&self) -> Types;
    fn takes_lines(&self) -> bool;
    fn accepts_combiner(&self, combiner: &dyn Any) -> bool;
    fn accepts_partitioner(&self, partitioner: &dyn Any) -> bool;
    /// Calls it with each record that `next` has; `next` is asked to read one and to hand it on.
    #[expect(private_interfaces, reason = "nobody else calls it")]
    fn map(&self, input: &mut dyn Records, combiner: Option<&dyn Any>, parts: Parts) -> Result<(Finished, u64), String>;
    /// Has the pairs as results, where there is no reducer.
    #[expect(private_interfaces, reason = "nobody else calls it")]
    fn pass(&self, groups: Groups, lines: bool, put: Put) -> Result<(Finished, u64), String>;
}

pub(crate) type Put = Box<dyn FnMut(&[u8]) -> Result<(), String>>;

/// The records of a map task.
pub(crate) trait Records {
    /// Hands the next one on; whether there was one.
    fn next(&mut self, take: &mut dyn FnMut(Record<'_>) -> Result<(), String>) -> Result<bool, String>;
}

/// What a mapper may take.
#[doc(hidden)]
pub trait Taken: 'static {
    const LINES: bool;
}

impl Taken for Lines {
    const LINES: bool = true;
}

impl<T: 'static> Taken for Of<T> {
    const LINES: bool = false;
}

impl<I, K, V> MapFunction for Mapper<I, K, V>
where
    I: Taken,
    K: Serialize + DeserializeOwned + 'static,
    V: Serialize + DeserializeOwned + 'static,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn emits(&self) -> Types {
        Types::of::<K, V>()
    }

    fn takes_lines(&self) -> bool {
        I::LINES
    }

    fn accepts_combiner(&self, combiner: &dyn Any) -> bool {
        combiner.is::<Combiner<V>>()
    }

    fn accepts_partitioner(&self, partitioner: &dyn Any) -> bool {
        partitioner.is::<Partitioner<K>>()
    }

    #[expect(private_interfaces, reason = "nobody else calls it")]
    fn map(&self, input: &mut dyn Records, combiner: Option<&dyn Any>, parts: Parts) -> Result<(Finished, u64), String> {
        let combine = combiner.and_then(|combiner| combiner.downcast_ref::<Combiner<V>>()).map(|combiner| combiner.function);
        let mut out = Emit::of_mapper(combine, parts);
        let mut records = 0;
        while input.next(&mut |record| {
            records += 1;
            (self.function)(record, &mut out)?;
            out.check()
        })? {}
        Ok((out.finish()?, records))
    }

    #[expect(private_interfaces, reason = "nobody else calls it")]
    fn pass(&self, mut groups: Groups, lines: bool, put: Put) -> Result<(Finished, u64), String> {
        let mut out = Emit::<K, V>::of_reducer(lines, put);
        while let Some(key) = groups.next()? {
            let key: K = read_key(key)?;
            Values::<V>::new(&mut groups).for_each(|value| out.emit(&key, value));
            out.check()?;
        }
        Ok((out.finish()?, groups.records))
    }
}

/// A reducer whose types are known to itself alone.
#[doc(hidden)]
pub trait ReduceFunction: Sync {
    fn name(&self) -> &'static str;
    fn takes(&self) -> Types;
    #[expect(private_interfaces, reason = "nobody else calls it")]
    fn reduce(&self, groups: Groups, lines: bool, put: Put) -> Result<(Finished, u64), String>;
}

impl<K, V, K2, V2> ReduceFunction for Reducer<K, V, K2, V2>
where
    K: 'static,
    V: DeserializeOwned + 'static,
    K2: Serialize + 'static,
    V2: Serialize + 'static,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn takes(&self) -> Types {
        Types::of::<K, V>()
    }

    #[expect(private_interfaces, reason = "nobody else calls it")]
    fn reduce(&self, mut groups: Groups, lines: bool, put: Put) -> Result<(Finished, u64), String> {
        let mut out = Emit::of_reducer(lines, put);
        let mut key = Vec::new();
        while let Some(next) = groups.next()? {
            key.clear();
            key.extend_from_slice(next);
            (self.function)(&key, Values::new(&mut groups), &mut out)?;
            out.check()?;
        }
        Ok((out.finish()?, groups.records))
    }
}

/// An outputer whose types are known to itself alone.
#[doc(hidden)]
pub trait OutputFunction: Sync {
    fn name(&self) -> &'static str;
    fn takes(&self) -> Types;
    fn output(&self, results: Vec<Vec<u8>>) -> Result<(), String>;
}

impl<K: DeserializeOwned + 'static, V: DeserializeOwned + 'static> OutputFunction for Outputer<K, V> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn takes(&self) -> Types {
        Types::of::<K, V>()
    }

    fn output(&self, results: Vec<Vec<u8>>) -> Result<(), String> {
        self.give(Results::new(results))
    }
}

impl<K, V> Outputer<K, V> {
    /// Calls it.
    pub(crate) fn give(&self, results: Results<K, V>) -> Result<(), String> {
        (self.function)(results).map_err(|error| format!("the outputer `{}` failed: {error}", self.name))
    }
}

impl PartialEq for Types {
    fn eq(&self, other: &Self) -> bool {
        self.ids == other.ids
    }
}

impl<K> Partitioner<K> {
    pub(crate) fn part(&self) -> fn(&[u8], u32) -> Result<u32, String> {
        self.function
    }
}

/// A partitioner whose type is known to itself alone.
#[doc(hidden)]
pub trait PartFunction: Sync {
    fn name(&self) -> &'static str;
    fn as_any(&self) -> &dyn Any;
    fn part(&self) -> fn(&[u8], u32) -> Result<u32, String>;
}

impl<K: 'static> PartFunction for Partitioner<K> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn part(&self) -> fn(&[u8], u32) -> Result<u32, String> {
        Self::part(self)
    }
}

/// A combiner whose type is known to itself alone.
#[doc(hidden)]
pub trait CombineFunction: Sync {
    fn name(&self) -> &'static str;
    fn as_any(&self) -> &dyn Any;
}

impl<V: 'static> CombineFunction for Combiner<V> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
