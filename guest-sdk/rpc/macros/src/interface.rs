//! The `impl` block of a server, and the arguments of the attribute.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Error, ImplItem, ImplItemFn, ItemImpl, LitInt, ReturnType, Token, Type, Visibility};

use crate::method::Method;

const SHAPE: &str =
    "`#[places_rpc::server]` belongs on an `impl` block: `impl TupleServer { fn set(&mut self, k: String, v: i64) -> i64 { … } }`";
const ARGUMENTS: &str = "`#[places_rpc::server]` takes `pub` and `version = 2`, both or either";

/// What stands in the attribute's brackets.
pub(crate) struct Arguments {
    pub(crate) visibility: Visibility,
    pub(crate) version: u32,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut arguments = Self { visibility: syn::parse_quote!(pub(crate)), version: 1 };
        while !input.is_empty() {
            if input.peek(Token![pub]) {
                arguments.visibility = input.parse()?;
            } else {
                let name: Ident = input.parse().map_err(|error| Error::new(error.span(), ARGUMENTS))?;
                if name != "version" {
                    return Err(Error::new_spanned(name, ARGUMENTS));
                }
                input.parse::<Token![=]>().map_err(|error| Error::new(error.span(), ARGUMENTS))?;
                arguments.version = input.parse::<LitInt>().and_then(|number| number.base10_parse())?;
            }
            if !input.is_empty() {
                input.parse::<Token![,]>().map_err(|error| Error::new(error.span(), ARGUMENTS))?;
            }
        }
        Ok(arguments)
    }
}

pub(crate) struct Interface {
    /// The block, without the attributes that are ours.
    pub(crate) block: ItemImpl,
    /// The server's type.
    pub(crate) name: Ident,
    pub(crate) methods: Vec<Method>,
    /// Whether it has a `fn new() -> Self`.
    pub(crate) has_new: bool,
    /// The functions that keep its state, and what that is.
    pub(crate) kept: Option<Kept>,
}

pub(crate) struct Kept {
    pub(crate) snapshot: Ident,
    pub(crate) restore: Ident,
    pub(crate) state: Type,
}

impl Interface {
    pub(crate) fn of(item: &TokenStream) -> Result<Self, Error> {
        let mut block: ItemImpl = syn::parse2(item.clone()).map_err(|_| Error::new_spanned(item, SHAPE))?;
        if let Some((_, name, _)) = &block.trait_ {
            return Err(Error::new_spanned(name, "a server offers methods of its own, not those of a trait"));
        }
        if let Some(parameter) = block.generics.params.first() {
            return Err(Error::new_spanned(parameter, "a server has no generic parameters: it is started by name"));
        }
        let name = match &*block.self_ty {
            Type::Path(path) => path.path.get_ident().cloned(),
            _ => None,
        };
        let name = name.ok_or_else(|| Error::new_spanned(&block.self_ty, "a server is a type of this module, by its name alone"))?;
        let (mut methods, mut has_new) = (Vec::<Method>::new(), false);
        let (mut snapshot, mut restore) = (None, None);
        for item in &mut block.items {
            let ImplItem::Fn(function) = item else { continue };
            let (is_cast, is_snapshot, is_restore) = (take(function, "cast")?, take(function, "snapshot")?, take(function, "restore")?);
            if is_snapshot {
                snapshot = Some(function.sig.clone());
            } else if is_restore {
                restore = Some(function.sig.clone());
            } else if function.sig.receiver().is_some() {
                let method = Method::of(function, is_cast)?;
                if let Some(twin) = methods
                    .iter()
                    .find(|other| other.name == format!("{}_async", method.name) || method.name == format!("{}_async", other.name))
                {
                    let message = format!("the client's `{}` would have the name of another method's `_async`", twin.name);
                    return Err(Error::new_spanned(&method.name, message));
                }
                methods.push(method);
            } else if is_cast {
                return Err(Error::new_spanned(&function.sig.ident, "a cast is a method: it takes `&self` or `&mut self`"));
            } else {
                has_new |= function.sig.ident == "new" && function.sig.inputs.is_empty();
            }
        }
        if methods.is_empty() {
            return Err(Error::new_spanned(&name, format!("`{name}` offers nothing: a method takes `&self` or `&mut self`")));
        }
        if methods.iter().any(|method| method.is_async)
            && let Some(method) = methods.iter().find(|method| method.changes)
        {
            let message = "a server with an async method has `&self` in all of them, for others go on while that one waits: keep what \
                           changes in a `Cell` or a `RefCell`";
            return Err(Error::new_spanned(&method.name, message));
        }
        let kept = match (snapshot, restore) {
            (Some(snapshot), Some(restore)) => {
                let ReturnType::Type(_, state) = snapshot.output else {
                    return Err(Error::new_spanned(&snapshot.ident, "a snapshot is what it returns: `fn snapshot(&self) -> State`"));
                };
                Some(Kept { snapshot: snapshot.ident, restore: restore.ident, state: *state })
            }
            (Some(lone), None) => {
                return Err(Error::new_spanned(
                    lone.ident,
                    "who takes snapshots restores them: `#[restore] fn restore(state: State) -> Self`",
                ));
            }
            (None, Some(lone)) => {
                return Err(Error::new_spanned(lone.ident, "what is restored was a snapshot: `#[snapshot] fn snapshot(&self) -> State`"));
            }
            (None, None) => None,
        };
        Ok(Self { block, name, methods, has_new, kept })
    }
}

/// Takes an attribute of ours off a function; whether it was there.
fn take(function: &mut ImplItemFn, name: &str) -> Result<bool, Error> {
    let before = function.attrs.len();
    if let Some(attribute) = function.attrs.iter().find(|attribute| attribute.path().is_ident(name)) {
        attribute.meta.require_path_only().map_err(|error| Error::new(error.span(), format!("`#[{name}]` takes no arguments")))?;
    }
    function.attrs.retain(|attribute| !attribute.path().is_ident(name));
    Ok(function.attrs.len() < before)
}

/// The error and what it is about, which compiles without the attribute.
pub(crate) fn without_attributes(item: &TokenStream) -> TokenStream {
    let Ok(mut block) = syn::parse2::<ItemImpl>(item.clone()) else { return quote!(#item) };
    for item in &mut block.items {
        if let ImplItem::Fn(function) = item {
            function.attrs.retain(|attribute| !["cast", "snapshot", "restore"].iter().any(|name| attribute.path().is_ident(name)));
        }
    }
    quote!(#block)
}
