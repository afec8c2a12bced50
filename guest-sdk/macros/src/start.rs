//! What `#[places::start]` expands to, and what it takes.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, FnArg, Ident, ItemFn, ReturnType, Signature, Type};

use crate::contract;

const SHAPE: &str = "fn name(ch: Channel<Get, Put>) -> places::Result";

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> Result<TokenStream, Error> {
    if !arguments.is_empty() {
        return Err(Error::new_spanned(arguments, "`#[places::start]` takes no arguments; the export is named after the function"));
    }
    let function: ItemFn =
        syn::parse2(item.clone()).map_err(|_| Error::new_spanned(item, format!("`#[places::start]` belongs on a function: `{SHAPE}`")))?;
    let channel = channel_type(&function.sig)?;
    let export = export_name(&function.sig.ident)?;
    let glue = component_glue(&function, channel, &export)?;
    let spawners = spawners(&function, channel, &export);
    Ok(quote!(#function #spawners #glue))
}

/// The error and what it is about. Were the item left out, the compiler would go on about whoever uses it, and what it uses.
pub(crate) fn beside(error: &Error, item: &TokenStream) -> TokenStream {
    let error = error.to_compile_error();
    quote!(#error #item)
}

/// The type of the one parameter, if the signature is that of a start function.
fn channel_type(signature: &Signature) -> Result<&Type, Error> {
    if let Some(keyword) = &signature.constness {
        return Err(Error::new_spanned(keyword, "a start function is not const: it is run as a place"));
    }
    if let Some(abi) = &signature.abi {
        return Err(Error::new_spanned(abi, "a start function is a plain `fn`: the export for the host is made from it"));
    }
    if let Some(keyword) = &signature.asyncness {
        return Err(Error::new_spanned(keyword, "a start function is not async: a place waits by blocking, which stops nobody else"));
    }
    if let Some(keyword) = &signature.unsafety {
        return Err(Error::new_spanned(keyword, "a start function is not unsafe: its caller is the host"));
    }
    if let Some(parameter) = signature.generics.params.first() {
        return Err(Error::new_spanned(parameter, "a start function has no generic parameters: the host calls it by name"));
    }
    let mut inputs = signature.inputs.iter();
    match (inputs.next(), inputs.next()) {
        (None, _) => {
            let name = &signature.ident;
            let message = format!(
                "a start function takes its end of the channel: `fn {name}(ch: Channel<Get, Put>)`, or `_: Channel` if it needs none"
            );
            Err(Error::new_spanned(name, message))
        }
        (Some(FnArg::Receiver(receiver)), _) => {
            Err(Error::new_spanned(receiver, "a start function is no method: make it a free function that takes a `Channel`"))
        }
        (Some(_), Some(second)) => Err(Error::new_spanned(
            second,
            "a start function takes one channel and nothing else; send it what it needs as the first message",
        )),
        (Some(FnArg::Typed(channel)), None) => match &*channel.ty {
            Type::Reference(reference) => {
                Err(Error::new_spanned(reference, "a start function owns its channel: take `Channel<…>`, not a reference to it"))
            }
            owned => Ok(owned),
        },
    }
}

/// The export's name: the function's, with `-` for `_`. WIT wants words of lower-case letters and digits that begin with a letter.
fn export_name(name: &Ident) -> Result<String, Error> {
    let text = name.to_string();
    let text = text.strip_prefix("r#").unwrap_or(&text);
    let good = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase()) && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    if text.split('_').all(good) {
        return Ok(text.replace('_', "-"));
    }
    let rule = "write words of `a-z` and `0-9`, each beginning with a letter, joined by single `_`";
    let nearest = nearest_name(text);
    let example = if nearest.split('_').all(good) { format!("; such as `{nearest}`") } else { String::new() };
    Err(Error::new_spanned(name, format!("`{text}` cannot name an export: {rule}{example}")))
}

/// What the author may have meant: `hello_world` for `HelloWorld`, `worker1` for `worker_1`.
fn nearest_name(text: &str) -> String {
    let (mut nearest, mut before) = (String::new(), '_');
    for c in text.chars() {
        let begins_a_word = c.is_uppercase() || (before == '_' && !c.is_ascii_digit());
        if c != '_' && begins_a_word && !nearest.is_empty() {
            nearest.push('_');
        }
        nearest.extend(c.to_lowercase().filter(|&c| c != '_'));
        before = c;
    }
    nearest
}

/// `name::spawn` and its like, in a module that shares the function's name.
fn spawners(function: &ItemFn, channel: &Type, export: &str) -> TokenStream {
    let (name, visibility) = (&function.sig.ident, &function.vis);
    // The module cannot name types of the function's scope; an alias beside it can.
    let (place, spawner) = (format_ident!("__Place_{}", name), format_ident!("__Spawner_{}", name));
    let doc = format!("Starts [`{name}`](fn@{name}) as a place.");
    quote! {
        #[doc(hidden)]
        #[allow(non_camel_case_types, reason = "named after a function")]
        type #place = ::places::Place<
            <#channel as ::places::__macro::End>::Put,
            <#channel as ::places::__macro::End>::Get,
        >;

        #[doc(hidden)]
        #[allow(non_camel_case_types, dead_code, reason = "named after a function that may be spawned without it")]
        type #spawner = ::places::Spawner<
            <#channel as ::places::__macro::End>::Put,
            <#channel as ::places::__macro::End>::Get,
        >;

        #[doc = #doc]
        #[allow(dead_code, private_interfaces, reason = "not every start function is spawned by its own module")]
        #visibility mod #name {
            /// The name of the start function, as the component exports it.
            pub const NAME: &str = #export;

            /// Starts the place, with all its parent has.
            ///
            /// # Errors
            /// There is no room for another place.
            pub fn spawn() -> ::core::result::Result<super::#place, ::places::Error> {
                spawn_with(::places::Options::new())
            }

            /// The place on that node, to be started by `spawn`.
            pub fn at(node: &::places::Node) -> super::#spawner {
                ::places::Spawner::new(NAME, ::places::Options::new().at(node))
            }

            /// The place under that name, to be started by `spawn`.
            pub fn named(name: impl ::core::convert::Into<::std::string::String>) -> super::#spawner {
                ::places::Spawner::new(NAME, ::places::Options::new().named(name))
            }

            /// Starts the place with options.
            ///
            /// # Errors
            /// There is no room for another place, or the options ask for more than its parent has.
            pub fn spawn_with(options: ::places::Options) -> ::core::result::Result<super::#place, ::places::Error> {
                ::core::result::Result::Ok(::places::spawn(::places::Module::This, NAME, options)?.typed())
            }
        }
    }
}

/// The export itself, and the section that gives it its type. Only a component has them.
fn component_glue(function: &ItemFn, channel: &Type, export: &str) -> Result<TokenStream, Error> {
    let name = &function.sig.ident;
    let section = contract::section(export).map_err(|error| Error::new_spanned(name, error))?;
    let (section_name, size) = (contract::section_name(export), section.len());
    let bytes = Literal::byte_string(&section);
    let outcome = match &function.sig.output {
        ReturnType::Default => name.span(),
        ReturnType::Type(_, ty) => ty.span(),
    };
    let channel = quote_spanned!(channel.span()=> <#channel as ::places::__macro::End>::from_handle(__handle));
    let result = quote_spanned!(outcome=> ::places::__macro::Outcome::outcome(result));
    Ok(quote! {
        const _: () = {
            #[cfg(target_family = "wasm")]
            #[used]
            #[unsafe(link_section = #section_name)]
            static TYPE: [u8; #size] = *#bytes;

            #[cfg_attr(target_family = "wasm", unsafe(export_name = #export))]
            #[allow(dead_code, reason = "the host calls it")]
            extern "C" fn __start(__handle: u32) -> *const u8 {
                ::places::__macro::run(|| {
                    let result = #name(#channel);
                    #result
                })
            }
        };
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_name_is_answered_with_a_good_one() {
        for (bad, good) in [
            ("worker_1", "worker1"),
            ("HelloWorld", "hello_world"),
            ("helloWorld", "hello_world"),
            ("_hidden", "hidden"),
            ("two__words", "two_words"),
            ("step2_b_3", "step2_b3"),
        ] {
            let error = export_name(&format_ident!("{bad}")).unwrap_err().to_string();
            assert!(error.ends_with(&format!("; such as `{good}`")), "{error}");
        }
        assert!(export_name(&format_ident!("grüße")).unwrap_err().to_string().ends_with("single `_`"));
    }
}
