//! What the attributes expand to: a function of the same name that returns the handle, and a constructor that makes it known.
//!
//! A constant would read as well, but no variable could have its name.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{Error, FnArg, GenericArgument, ItemFn, PathArguments, ReturnType, Type, parse_quote};

#[derive(Clone, Copy)]
pub(crate) enum Role {
    Mapper,
    Combiner,
    Partitioner,
    Reducer,
    Outputer,
}

impl Role {
    /// What a function of it looks like.
    fn shape(self) -> &'static str {
        match self {
            Self::Mapper => "fn words(line: &str, out: &mut Emit<String, u64>)",
            Self::Combiner => "fn sum(total: &mut u64, more: u64)",
            Self::Partitioner => "fn by_letter(key: &str, of: u32) -> u32",
            Self::Reducer => "fn total(word: &str, counts: Values<'_, u64>, out: &mut Emit<String, u64>)",
            Self::Outputer => "fn print(results: Results<String, u64>)",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Mapper => "mapper",
            Self::Combiner => "combiner",
            Self::Partitioner => "partitioner",
            Self::Reducer => "reducer",
            Self::Outputer => "outputer",
        }
    }

    fn variant(self) -> Ident {
        let name = self.name();
        format_ident!("{}{}", name[..1].to_uppercase(), &name[1..])
    }

    fn parameters(self) -> usize {
        match self {
            Self::Mapper | Self::Combiner | Self::Partitioner => 2,
            Self::Reducer => 3,
            Self::Outputer => 1,
        }
    }
}

/// The handle, or the error and what it is about: were the item left out, the compiler would go on about whoever uses it.
pub(crate) fn expand(role: Role, arguments: TokenStream, item: TokenStream) -> TokenStream {
    made(role, &arguments, &item).unwrap_or_else(|error| {
        let error = error.to_compile_error();
        quote!(#error #item)
    })
}

fn made(role: Role, arguments: &TokenStream, item: &TokenStream) -> Result<TokenStream, Error> {
    let (what, shape) = (role.name(), role.shape());
    if !arguments.is_empty() {
        return Err(Error::new_spanned(
            arguments,
            format!("`#[{what}]` takes no arguments: the function's own name is what it is known by"),
        ));
    }
    let mut function: ItemFn =
        syn::parse2(item.clone()).map_err(|_| Error::new_spanned(item, format!("`#[{what}]` belongs on a function: `{shape}`")))?;
    let types = parameters(role, &function)?;
    let visibility = std::mem::replace(&mut function.vis, syn::Visibility::Inherited);
    let name = std::mem::replace(&mut function.sig.ident, format_ident!("function"));
    let docs: Vec<_> = function.attrs.iter().filter(|attribute| attribute.path().is_ident("doc")).cloned().collect();
    let (ty, adapter) = adapter(role, &types);
    let (variant, text) = (role.variant(), name.to_string());
    let text = text.strip_prefix("r#").unwrap_or(&text);
    Ok(quote! {
        #(#docs)*
        #visibility const fn #name() -> ::places_mapreduce::#variant<#ty> {
            #[inline(always)]
            #function

            ::places_mapreduce::#variant::new(#text, #adapter)
        }

        const _: () = {
            static FUNCTION: ::places_mapreduce::#variant<#ty> = #name();

            extern "C" fn register() {
                ::places_mapreduce::__macro::register(::places_mapreduce::__macro::Function::#variant(&FUNCTION));
            }

            #[cfg(target_family = "wasm")]
            #[used]
            #[unsafe(link_section = ".init_array")]
            static REGISTER: extern "C" fn() = register;
            #[cfg(not(target_family = "wasm"))]
            const _: extern "C" fn() = register;
        };
    })
}

/// The types of the parameters, if there are as many as there should be.
fn parameters(role: Role, function: &ItemFn) -> Result<Vec<Type>, Error> {
    let signature = &function.sig;
    let (what, shape) = (role.name(), role.shape());
    if let Some(parameter) = signature.generics.params.first() {
        return Err(Error::new_spanned(parameter, format!("a {what} has no generic parameters, for it is called by its name: `{shape}`")));
    }
    if let Some(keyword) = &signature.asyncness {
        return Err(Error::new_spanned(keyword, format!("a {what} is not async, for a task waits by blocking: `{shape}`")));
    }
    if let Some(keyword) = &signature.unsafety {
        return Err(Error::new_spanned(keyword, format!("a {what} is not unsafe: `{shape}`")));
    }
    let mut types = Vec::new();
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(receiver) => return Err(Error::new_spanned(receiver, format!("a {what} is no method: `{shape}`"))),
            FnArg::Typed(typed) => types.push((*typed.ty).clone()),
        }
    }
    if types.len() != role.parameters() {
        let takes = if role.parameters() == 1 { "1 parameter".into() } else { format!("{} parameters", role.parameters()) };
        return Err(Error::new_spanned(&signature.ident, format!("`#[{what}]` is for a function of {takes}: `{shape}`")));
    }
    check_types(role, function, &types)?;
    Ok(types)
}

/// What would be said of the call that the attribute makes is said of the function.
fn check_types(role: Role, function: &ItemFn, types: &[Type]) -> Result<(), Error> {
    let (what, shape) = (role.name(), role.shape());
    let is_lent = |ty: &Type| matches!(ty, Type::Reference(reference) if reference.mutability.is_some());
    let returned = &function.sig.output;
    match role {
        Role::Mapper | Role::Reducer => {
            let out = &types[types.len() - 1];
            if !is_lent(out) {
                return Err(Error::new_spanned(out, format!("a {what} emits into what it is lent, `&mut Emit<…>`: `{shape}`")));
            }
        }
        Role::Combiner if !is_lent(&types[0]) => {
            return Err(Error::new_spanned(&types[0], format!("a {what} adds to a value that it is lent, `&mut`: `{shape}`")));
        }
        Role::Combiner if !matches!(returned, ReturnType::Default) => {
            return Err(Error::new_spanned(returned, format!("a {what} returns nothing, but adds to its first parameter: `{shape}`")));
        }
        Role::Partitioner if !matches!(returned, ReturnType::Type(_, ty) if is_named(ty, "u32")) => {
            return Err(Error::new_spanned(&function.sig, format!("a {what} returns the number of a reduce task, a `u32`: `{shape}`")));
        }
        Role::Combiner | Role::Partitioner | Role::Outputer => {}
    }
    Ok(())
}

/// Whether a type is a path that ends so.
fn is_named(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == name))
}

/// The parameters of the handle's type, and what calls the function.
fn adapter(role: Role, types: &[Type]) -> (TokenStream, TokenStream) {
    let outcome = quote!(::places_mapreduce::__macro::Outcome::outcome);
    let pairs = |ty: &Type| {
        let ty = lasting(referred(ty));
        (quote!(<#ty as ::places_mapreduce::__macro::Pairs>::Key), quote!(<#ty as ::places_mapreduce::__macro::Pairs>::Value))
    };
    match role {
        Role::Mapper => {
            let (key, value) = pairs(&types[1]);
            let (input, record) = match taken(&types[0]) {
                Taken::Text => (quote!(::places_mapreduce::Lines), quote!(record.text()?)),
                Taken::Bytes => (quote!(::places_mapreduce::Lines), quote!(record.line()?.bytes)),
                Taken::Line => (quote!(::places_mapreduce::Lines), quote!(record.line()?)),
                Taken::Value => {
                    let (owned, lent) = owned(&types[0]);
                    (quote!(::places_mapreduce::Of<#owned>), quote!(#lent record.value::<#owned>()?))
                }
            };
            (quote!(#input, #key, #value), quote!(|record, out| #outcome(function(#record, out))))
        }
        Role::Combiner => {
            let value = &types[1];
            let adapter = quote!({
                struct Adds;

                impl ::places_mapreduce::__macro::Combine<#value> for Adds {
                    #[inline(always)]
                    fn combine(known: &mut #value, more: #value) {
                        function(known, more)
                    }
                }

                ::places_mapreduce::__macro::Combining::of::<Adds>()
            });
            (quote!(#value), adapter)
        }
        Role::Partitioner => {
            let (key, lent) = owned(&types[0]);
            (quote!(#key), quote!(|key, of| Ok(function(#lent ::places_mapreduce::__macro::read_key::<#key>(key)?, of))))
        }
        Role::Reducer => {
            let ((key, lent), (_, value), (key2, value2)) = (owned(&types[0]), pairs(&types[1]), pairs(&types[2]));
            let call = quote!(function(#lent ::places_mapreduce::__macro::read_key::<#key>(key)?, values, out));
            (quote!(#key, #value, #key2, #value2), quote!(|key, values, out| #outcome(#call)))
        }
        Role::Outputer => {
            let (key, value) = pairs(&types[0]);
            (quote!(#key, #value), quote!(|results| #outcome(function(results))))
        }
    }
}

enum Taken {
    Text,
    Bytes,
    Line,
    Value,
}

fn taken(ty: &Type) -> Taken {
    match ty {
        Type::Reference(reference) if is_named(&reference.elem, "str") => Taken::Text,
        Type::Reference(reference) => match &*reference.elem {
            Type::Slice(slice) if is_named(&slice.elem, "u8") => Taken::Bytes,
            _ => Taken::Value,
        },
        ty if is_named(ty, "Line") => Taken::Line,
        _ => Taken::Value,
    }
}

/// The type with lifetimes that a return type may have: only its types are asked for.
fn lasting(ty: &Type) -> Type {
    let mut ty = ty.clone();
    if let Type::Path(path) = &mut ty
        && let Some(last) = path.path.segments.last_mut()
        && let PathArguments::AngleBracketed(arguments) = &mut last.arguments
    {
        let is_elided = last.ident == "Values" && !arguments.args.iter().any(|argument| matches!(argument, GenericArgument::Lifetime(_)));
        for argument in &mut arguments.args {
            if let GenericArgument::Lifetime(lifetime) = argument {
                *lifetime = parse_quote!('static);
            }
        }
        if is_elided {
            arguments.args.insert(0, parse_quote!('static));
        }
    }
    ty
}

fn referred(ty: &Type) -> &Type {
    if let Type::Reference(reference) = ty { &reference.elem } else { ty }
}

/// The type that is read for a parameter, and how it is lent.
fn owned(ty: &Type) -> (TokenStream, TokenStream) {
    match ty {
        Type::Reference(reference) => {
            let lent = &reference.elem;
            (quote!(<#lent as ::std::borrow::ToOwned>::Owned), quote!(&))
        }
        ty => (quote!(#ty), quote!()),
    }
}
