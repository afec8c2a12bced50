//! A method of a server: what it takes and returns, seen from both sides.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Error, FnArg, GenericArgument, ImplItemFn, Pat, PathArguments, ReturnType, Type};

/// The most parameters that `places_rpc::Parameters` is made for.
const MOST: usize = 8;
/// Names that a client has already.
const TAKEN: [&str; 5] = ["connect", "reconnecting", "following", "within", "from"];

pub(crate) struct Method {
    pub(crate) name: Ident,
    pub(crate) docs: Vec<Attribute>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) answer: Answer,
    /// Whether it takes `&mut self`.
    pub(crate) changes: bool,
    pub(crate) is_async: bool,
}

pub(crate) struct Parameter {
    pub(crate) name: Ident,
    /// As it is declared.
    declared: Type,
    /// What is read for it.
    pub(crate) owned: Type,
    is_borrowed: bool,
}

pub(crate) enum Answer {
    Cast,
    /// The result.
    Value(Type),
    /// The result that its last parameter, a `Reply`, takes.
    Deferred(Type),
}

impl Method {
    /// Of a function with a receiver.
    pub(crate) fn of(function: &ImplItemFn, is_cast: bool) -> Result<Self, Error> {
        let signature = &function.sig;
        let name = signature.ident.clone();
        if let Some(parameter) = signature.generics.params.first() {
            return Err(Error::new_spanned(
                parameter,
                "a method of a server has no generic parameters: it is called by name, from elsewhere",
            ));
        }
        if TAKEN.iter().any(|taken| name == taken) {
            return Err(Error::new_spanned(&name, format!("a client has a `{name}` of its own: call the method something else")));
        }
        let mut inputs = signature.inputs.iter();
        let changes = match inputs.next() {
            Some(FnArg::Receiver(receiver)) if receiver.reference.is_some() => receiver.mutability.is_some(),
            other => {
                return Err(Error::new_spanned(other, "a method of a server takes `&self` or `&mut self`: the server lives on after it"));
            }
        };
        let is_async = signature.asyncness.is_some();
        let mut parameters = inputs.map(Parameter::of).collect::<Result<Vec<_>, _>>()?;
        let deferred = parameters.last().and_then(|last| reply(&last.declared));
        let answer = match (is_cast, deferred, &signature.output) {
            (true, _, ReturnType::Type(_, ty)) => {
                return Err(Error::new_spanned(ty, "a cast has no result: nobody waits for it; without `#[cast]` it is a call"));
            }
            (true, Some(_), _) => {
                return Err(Error::new_spanned(&parameters[parameters.len() - 1].declared, "a cast has no reply: nobody waits for it"));
            }
            (true, None, ReturnType::Default) => Answer::Cast,
            (false, Some(_), ReturnType::Type(_, ty)) => {
                return Err(Error::new_spanned(ty, "a method that takes a `Reply` answers by it, and returns nothing"));
            }
            (false, Some(_), ReturnType::Default) if is_async => {
                return Err(Error::new_spanned(
                    &parameters[parameters.len() - 1].declared,
                    "an async method answers when it is done, by what it returns: it takes no `Reply`",
                ));
            }
            (false, Some(ty), ReturnType::Default) => {
                parameters.pop();
                Answer::Deferred(ty)
            }
            (false, None, ReturnType::Type(_, ty)) => match &**ty {
                Type::Reference(reference) => {
                    return Err(Error::new_spanned(reference, "a result leaves the server: return a value, not a reference"));
                }
                owned => Answer::Value(owned.clone()),
            },
            (false, None, ReturnType::Default) => Answer::Value(syn::parse_quote!(())),
        };
        if let Some(surplus) = parameters.get(MOST) {
            return Err(Error::new_spanned(
                &surplus.name,
                format!("a method of a server takes at most {MOST} parameters; make a struct of some"),
            ));
        }
        let docs = function.attrs.iter().filter(|attribute| attribute.path().is_ident("doc")).cloned().collect();
        Ok(Self { name, docs, parameters, answer, changes, is_async })
    }

    /// As errors show it: `set(k, v)`.
    pub(crate) fn shown(&self) -> String {
        let parameters: Vec<_> = self.parameters.iter().map(|parameter| parameter.name.to_string()).collect();
        format!("{}({})", self.name(), parameters.join(", "))
    }

    /// As it travels.
    pub(crate) fn name(&self) -> String {
        let text = self.name.to_string();
        text.strip_prefix("r#").unwrap_or(&text).to_owned()
    }

    /// The type that its arguments are read as.
    pub(crate) fn arguments(&self) -> TokenStream {
        let types = self.parameters.iter().map(|parameter| &parameter.owned);
        quote!((#(#types,)*))
    }

    /// Calls it with what was read, and answers; `shares` says whether other handlers may share the state with it.
    pub(crate) fn handled(&self, shares: bool) -> TokenStream {
        let name = &self.name;
        let names: Vec<_> = self.parameters.iter().map(|parameter| &parameter.name).collect();
        let passed: Vec<_> = self
            .parameters
            .iter()
            .map(|Parameter { name, is_borrowed, .. }| if *is_borrowed { quote!(&#name) } else { quote!(#name) })
            .collect();
        if self.is_async {
            let body = match &self.answer {
                Answer::Value(ty) | Answer::Deferred(ty) => {
                    let answer = quote_spanned!(ty.span()=> __reply.send(__value));
                    quote! {
                        let __value: #ty = __this.#name(#(#passed),*).await;
                        #answer;
                    }
                }
                Answer::Cast => quote! {
                    __this.#name(#(#passed),*).await;
                    __reply.send(());
                },
            };
            let ty = match &self.answer {
                Answer::Value(ty) | Answer::Deferred(ty) => quote!(#ty),
                Answer::Cast => quote!(()),
            };
            return quote! {{
                let (#(#names,)*) = __arguments;
                let (__this, __reply) = (::std::rc::Rc::clone(__this), __call.reply::<#ty>());
                ::places_rpc::__macro::Handled::Waits(::std::boxed::Box::pin(async move { #body }))
            }};
        }
        let body = match &self.answer {
            Answer::Cast => quote! {
                __this.#name(#(#passed),*);
                __call.answer(&());
            },
            Answer::Deferred(_) => quote!(__this.#name(#(#passed,)* __call.reply());),
            Answer::Value(ty) => {
                let answer = quote_spanned!(ty.span()=> __call.answer(&__value));
                quote! {
                    let __value: #ty = __this.#name(#(#passed),*);
                    #answer;
                }
            }
        };
        let alone = self.changes.then(|| quote!(let __this = ::places_rpc::__macro::alone(__this);));
        // What is shared may be changed through `&self` too.
        let done = if self.changes || shares { quote!(Changed) } else { quote!(Same) };
        quote! {{
            let (#(#names,)*) = __arguments;
            #alone
            #body
            ::places_rpc::__macro::Handled::#done
        }}
    }

    /// The parameters of the client's function, and what it sends.
    pub(crate) fn passed(&self) -> (TokenStream, TokenStream) {
        let names: Vec<_> = self.parameters.iter().map(|parameter| &parameter.name).collect();
        let types = self.parameters.iter().map(|Parameter { declared, is_borrowed, .. }| match is_borrowed {
            true => quote!(#declared),
            false => quote!(impl ::places_rpc::Argument<#declared>),
        });
        // Unit is written as null, and an empty tuple is unit.
        let sent = if names.is_empty() { quote!([0u8; 0]) } else { quote!((#(#names,)*)) };
        (quote!(#(#names: #types),*), sent)
    }
}

impl Parameter {
    fn of(input: &FnArg) -> Result<Self, Error> {
        let FnArg::Typed(input) = input else { return Err(Error::new_spanned(input, "`self` comes first")) };
        let Pat::Ident(pattern) = &*input.pat else {
            return Err(Error::new_spanned(&input.pat, "a parameter has a name, which its client shares: take it apart inside"));
        };
        let declared = (*input.ty).clone();
        let (owned, is_borrowed) = match &declared {
            Type::Reference(reference) if reference.mutability.is_some() => {
                return Err(Error::new_spanned(
                    reference,
                    "a parameter comes from another place, which would not see a change: take `&T` or `T`",
                ));
            }
            Type::Reference(reference) if reference.lifetime.is_some() => {
                return Err(Error::new_spanned(&reference.lifetime, "an argument lives as long as its call: leave the lifetime out"));
            }
            Type::Reference(reference) => match &*reference.elem {
                Type::Path(path) if path.path.is_ident("str") => (syn::parse_quote!(::std::string::String), true),
                Type::Slice(slice) => {
                    let element = &slice.elem;
                    (syn::parse_quote!(::std::vec::Vec<#element>), true)
                }
                owned => (owned.clone(), true),
            },
            owned => (owned.clone(), false),
        };
        Ok(Self { name: pattern.ident.clone(), declared, owned, is_borrowed })
    }
}

/// The `T` of a `Reply<T>`.
fn reply(ty: &Type) -> Option<Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Reply")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    }
}
