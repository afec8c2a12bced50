//! The functions of a program, by name: a slot is told which ones to use, and the command knows nothing else.
//!
//! Each attribute brings a constructor that adds its function here before anything of this crate runs. A component has nobody who calls
//! constructors: so whoever looks something up does, once. Without that call in the program the linker would have them called at each
//! entry.

use std::sync::{Mutex, Once, PoisonError};

use crate::function::{CombineFunction, MapFunction, OutputFunction, PartFunction, ReduceFunction};
use crate::wire::Spec;

/// A function, by what it is for.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub enum Function {
    Mapper(&'static dyn MapFunction),
    Combiner(&'static dyn CombineFunction),
    Partitioner(&'static dyn PartFunction),
    Reducer(&'static dyn ReduceFunction),
    Outputer(&'static dyn OutputFunction),
}

static FUNCTIONS: Mutex<Vec<Function>> = Mutex::new(Vec::new());

/// Adds a function.
#[doc(hidden)]
pub fn register(function: Function) {
    FUNCTIONS.lock().unwrap_or_else(PoisonError::into_inner).push(function);
}

fn all() -> Vec<Function> {
    static CONSTRUCTED: Once = Once::new();
    CONSTRUCTED.call_once(|| {
        #[cfg(target_family = "wasm")]
        {
            unsafe extern "C" {
                fn __wasm_call_ctors();
            }
            // SAFETY: the linker makes it. Constructors are those of the attributes, which add to a list, and the C library's, of which
            // a component has none that may not run late.
            unsafe { __wasm_call_ctors() };
        }
    });
    FUNCTIONS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The functions of a job.
#[derive(Clone, Copy)]
pub(crate) struct Functions {
    pub(crate) mapper: &'static dyn MapFunction,
    pub(crate) combiner: Option<&'static dyn CombineFunction>,
    pub(crate) partitioner: Option<&'static dyn PartFunction>,
    pub(crate) reducer: Option<&'static dyn ReduceFunction>,
}

macro_rules! find {
    ($variant:ident, $what:literal, $name:expr) => {
        find($name, $what, |function| if let Function::$variant(found) = function { Some((found.name(), found)) } else { None })
    };
}

impl Functions {
    /// Those that a job names.
    pub(crate) fn of(spec: &Spec) -> Result<Self, String> {
        Ok(Self {
            mapper: find!(Mapper, "mapper", &spec.mapper)?,
            combiner: spec.combiner.as_deref().map(|name| find!(Combiner, "combiner", name)).transpose()?,
            partitioner: spec.partitioner.as_deref().map(|name| find!(Partitioner, "partitioner", name)).transpose()?,
            reducer: spec.reducer.as_deref().map(|name| find!(Reducer, "reducer", name)).transpose()?,
        })
    }

    /// That they fit each other.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mapper = self.mapper;
        if let Some(combiner) = self.combiner.filter(|combiner| !mapper.accepts_combiner(combiner.as_any())) {
            return Err(format!(
                "the combiner `{}` is not for the values of the mapper `{}`, which emits {}",
                combiner.name(),
                mapper.name(),
                mapper.emits()
            ));
        }
        if let Some(partitioner) = self.partitioner.filter(|partitioner| !mapper.accepts_partitioner(partitioner.as_any())) {
            return Err(format!(
                "the partitioner `{}` is not for the keys of the mapper `{}`, which emits {}",
                partitioner.name(),
                mapper.name(),
                mapper.emits()
            ));
        }
        if let Some(reducer) = self.reducer.filter(|reducer| reducer.takes() != mapper.emits()) {
            return Err(format!(
                "the reducer `{}` takes {}, and the mapper `{}` emits {}",
                reducer.name(),
                reducer.takes(),
                mapper.name(),
                mapper.emits()
            ));
        }
        Ok(())
    }
}

/// The outputer of that name.
pub(crate) fn outputer(name: &str) -> Result<&'static dyn OutputFunction, String> {
    find!(Outputer, "outputer", name)
}

/// The names of a program's functions, where none was chosen: the only one of each kind. Several, of which nobody could say which is
/// meant, are an error.
pub(crate) struct Names {
    pub(crate) mapper: String,
    pub(crate) combiner: Option<String>,
    pub(crate) partitioner: Option<String>,
    pub(crate) reducer: Option<String>,
    pub(crate) outputer: Option<String>,
}

impl Names {
    pub(crate) fn choose(
        mapper: Option<String>,
        combiner: Option<String>,
        partitioner: Option<String>,
        reducer: Option<String>,
        outputer: Option<String>,
    ) -> Result<Self, String> {
        macro_rules! only {
            ($variant:ident, $what:literal, $given:expr) => {
                only($what, $given, |function| if let Function::$variant(found) = function { Some(found.name()) } else { None })
            };
        }
        Ok(Self {
            mapper: only!(Mapper, "mapper", mapper)?.ok_or("the program has no mapper: a function with `#[places_mapreduce::mapper]`")?,
            combiner: only!(Combiner, "combiner", combiner)?,
            partitioner: only!(Partitioner, "partitioner", partitioner)?,
            reducer: only!(Reducer, "reducer", reducer)?,
            outputer: only!(Outputer, "outputer", outputer)?,
        })
    }
}

fn only(what: &str, given: Option<String>, name: impl Fn(Function) -> Option<&'static str>) -> Result<Option<String>, String> {
    if given.is_some() {
        return Ok(given);
    }
    let names: Vec<_> = all().into_iter().filter_map(name).collect();
    match names[..] {
        [] => Ok(None),
        [only] => Ok(Some(only.to_owned())),
        _ => Err(format!("the program has several functions that are a {what}, and none was chosen: {}", list(&names))),
    }
}

fn find<T>(name: &str, what: &str, pick: impl Fn(Function) -> Option<(&'static str, T)>) -> Result<T, String> {
    let name = name.replace('-', "_");
    let mut others = Vec::new();
    for (found, function) in all().into_iter().filter_map(pick) {
        if found == name {
            return Ok(function);
        }
        others.push(found);
    }
    let has = if others.is_empty() { "it has none".to_owned() } else { format!("it has {}", list(&others)) };
    Err(format!("the program has no {what} `{name}`; {has}"))
}

fn list(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
