//! A place that is about to be started: `hello_world::at(&node).named("greeter").spawn()`.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use crate::{Error, Grants, Module, Node, Options, Place, spawn};

/// A place of a start function of this module, about to be started; it will get `G` and put `P`, seen from here.
///
/// `hello_world::at(&node)` and `hello_world::named("greeter")` begin one; each method adds to it what the one of the same name adds to
/// [`Options`]; [`Self::spawn`] starts it.
#[must_use = "nothing is started before `spawn`"]
pub struct Spawner<G, P> {
    start: &'static str,
    options: Options,
    types: PhantomData<fn(P) -> G>,
}

impl<G, P> Spawner<G, P> {
    #[doc(hidden)]
    pub fn new(start: &'static str, options: Options) -> Self {
        Self { start, options, types: PhantomData }
    }

    /// Starts it.
    ///
    /// # Errors
    /// As [`spawn`].
    pub fn spawn(self) -> Result<Place<G, P>, Error> {
        Ok(spawn(Module::This, self.start, self.options)?.typed())
    }

    /// With these options, and none that were said before: where somebody else says them, as a supervisor does.
    pub fn options(self, options: Options) -> Self {
        Self { options, ..self }
    }

    fn with(self, change: impl FnOnce(Options) -> Options) -> Self {
        Self { options: change(self.options), ..self }
    }
}

macro_rules! as_options {
    ($($name:ident($($argument:ident: $type:ty)?);)*) => {
        impl<G, P> Spawner<G, P> {$(
            #[doc = concat!("See [`Options::", stringify!($name), "`].")]
            pub fn $name(self, $($argument: $type)?) -> Self {
                self.with(|options| options.$name($($argument)?))
            }
        )*}
    };
}

as_options! {
    at(node: &Node);
    named(name: impl Into<String>);
    detached();
    link();
    log_to_parent();
    prefix(prefix: impl Into<String>);
    args(args: impl IntoIterator<Item = impl Into<String>>);
    memory(bytes: u64);
    deadline(life: Duration);
    fuel(units: u64);
    capacity(messages: u32);
    grants(grants: Grants);
}

impl<G, P> fmt::Debug for Spawner<G, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawner").field("start", &self.start).field("options", &self.options).finish()
    }
}
