//! What `#[places_rpc::server]` expands to.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{Error, Visibility};

use crate::interface::{Arguments, Interface, Kept, without_attributes};
use crate::method::{Answer, Method};

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> Result<TokenStream, Error> {
    let Arguments { visibility, version } = syn::parse2(arguments)?;
    let interface = Interface::of(item)?;
    let block = &interface.block;
    let server = server(&interface, version);
    let starts = starts(&interface, &visibility);
    let client = client(&interface, &visibility, version);
    Ok(quote!(#block #server #starts #client))
}

/// The error and what it is about. Were the item left out, the compiler would go on about whoever uses it.
pub(crate) fn beside(error: &Error, item: &TokenStream) -> TokenStream {
    let (error, item) = (error.to_compile_error(), without_attributes(item));
    quote!(#error #item)
}

/// The implementation of `places_rpc::Server`, and of `Kept`.
fn server(interface: &Interface, version: u32) -> TokenStream {
    let Interface { name, methods, has_new, kept, .. } = interface;
    let (text, shares) = (name.to_string(), methods.iter().any(|method| method.is_async));
    let shown = methods.iter().map(Method::shown);
    let (names, numbers): (Vec<_>, Vec<_>) = methods.iter().map(Method::name).zip(0usize..).unzip();
    let variants: Vec<_> = numbers.iter().map(|number| format_ident!("Method{number}")).collect();
    let arguments: Vec<_> = methods.iter().map(Method::arguments).collect();
    let handled = methods.iter().map(|method| method.handled(shares));
    let start = if *has_new { quote!(Self::new()) } else { quote!(::core::default::Default::default()) };
    let kept = kept.as_ref().map(|Kept { snapshot, restore, state }| {
        quote! {
            impl ::places_rpc::Kept for #name {
                type State = #state;

                fn snapshot(&self) -> #state {
                    Self::#snapshot(self)
                }

                fn restore(state: #state) -> Self {
                    Self::#restore(state)
                }
            }
        }
    });
    quote! {
        const _: () = {
            #[allow(private_interfaces, unreachable_pub, missing_docs, reason = "nobody can name it")]
            pub enum Request {
                #(#variants(#arguments),)*
            }

            impl ::places_rpc::Server for #name {
                const INTERFACE: &'static str = #text;
                const VERSION: u32 = #version;
                const METHODS: &'static [&'static str] = &[#(#shown),*];

                type Request = Request;

                fn start() -> Self {
                    #start
                }

                fn method(name: &str) -> ::core::option::Option<usize> {
                    match name {
                        #(#names => ::core::option::Option::Some(#numbers),)*
                        _ => ::core::option::Option::None,
                    }
                }

                fn read<'de, D: ::places_rpc::__macro::Deserializer<'de>>(
                    method: usize,
                    arguments: D,
                ) -> ::core::result::Result<Request, D::Error> {
                    match method {
                        #(#numbers => ::core::result::Result::Ok(Request::#variants(::places_rpc::__macro::arguments(arguments)?)),)*
                        _ => ::core::unreachable!("the method was looked up"),
                    }
                }

                fn handle(
                    __this: &mut ::std::rc::Rc<Self>,
                    __request: Request,
                    __call: ::places_rpc::__macro::Call,
                ) -> ::places_rpc::__macro::Handled {
                    match __request {
                        #(Request::#variants(__arguments) => #handled)*
                    }
                }
            }

            #kept
        };
    }
}

/// The start functions.
fn starts(interface: &Interface, visibility: &Visibility) -> TokenStream {
    let name = &interface.name;
    let start = Ident::new(&snake(&name.to_string()), name.span());
    let doc = format!("Serves as a [`{name}`].");
    let kept = interface.kept.as_ref().map(|_| {
        let (kept, keeper) = (format_ident!("{start}_kept"), format_ident!("{start}_keeper"));
        quote! {
            #[doc = #doc]
            ///
            /// A `places_rpc::Keeper` gives it its state, and gets every change.
            #[::places::start]
            #visibility fn #kept(__channel: ::places::Channel) -> ::places::Result {
                ::places_rpc::__macro::serve_kept::<#name>(__channel)
            }

            /// Keeps its state; see `places_rpc::Keeper`.
            #[::places::start]
            #visibility fn #keeper(__channel: ::places::Channel) -> ::places::Result {
                ::places_rpc::__macro::keep(__channel)
            }
        }
    });
    quote! {
        #[doc = #doc]
        #[::places::start]
        #visibility fn #start(__channel: ::places::Channel) -> ::places::Result {
            ::places_rpc::__macro::serve::<#name>(__channel)
        }

        #kept
    }
}

/// The client.
fn client(interface: &Interface, visibility: &Visibility, version: u32) -> TokenStream {
    let Interface { name, methods, .. } = interface;
    let (client, text) = (format_ident!("{name}Client"), name.to_string());
    let methods = methods.iter().map(|method| client_method(method, visibility));
    let doc = format!("A client of a [`{name}`]. Clones share a connection.");
    quote! {
        #[doc = #doc]
        #[derive(Clone, Debug)]
        #visibility struct #client(::places_rpc::__macro::Client);

        #[allow(dead_code, private_interfaces, reason = "not every client calls everything, and its types are the server's")]
        #[allow(clippy::too_many_arguments, clippy::type_complexity, reason = "the server's methods have been linted")]
        impl #client {
            const INTERFACE: ::places_rpc::__macro::Interface = ::places_rpc::__macro::Interface { name: #text, version: #version };

            /// Of the place of that name on that node.
            ///
            /// # Errors
            /// `CallError::Connect`.
            #visibility fn connect(node: &::places::Node, name: &str) -> ::core::result::Result<Self, ::places_rpc::CallError> {
                ::core::result::Result::Ok(Self(::places_rpc::__macro::Client::connect(Self::INTERFACE, node, name)?))
            }

            /// As `connect`, and of the successors of that place: where it is lost, the next call looks for one under its name, as long as
            /// a call may take, and ten seconds unless that was said. Calls under way when it is lost are lost.
            ///
            /// # Errors
            /// `CallError::Connect`, where there is none so long.
            #visibility fn reconnecting(node: &::places::Node, name: &str) -> ::core::result::Result<Self, ::places_rpc::CallError> {
                ::core::result::Result::Ok(Self(::places_rpc::__macro::Client::reconnecting(Self::INTERFACE, node, name)?))
            }

            /// As `reconnecting`, of a server that may be on any of some nodes, given by their addresses as for `Node::connect`: the
            /// first of them that has a place of that name, and when that is lost the next.
            ///
            /// # Errors
            /// `CallError::Connect`, where none has it so long.
            #visibility fn following<A: ::core::convert::Into<::std::string::String>>(
                nodes: impl ::core::iter::IntoIterator<Item = A>,
                name: &str,
            ) -> ::core::result::Result<Self, ::places_rpc::CallError> {
                let nodes = nodes.into_iter().map(::core::convert::Into::into).collect();
                ::core::result::Result::Ok(Self(::places_rpc::__macro::Client::following(Self::INTERFACE, nodes, name)?))
            }

            /// The same connection, for calls that take so long at most.
            #visibility fn within(&self, time: ::std::time::Duration) -> Self {
                Self(self.0.within(time))
            }

            #(#methods)*
        }

        impl<G, P> ::core::convert::From<::places::Channel<G, P>> for #client {
            /// Of whoever is at the other end.
            fn from(channel: ::places::Channel<G, P>) -> Self {
                Self(::places_rpc::__macro::Client::over(Self::INTERFACE, channel))
            }
        }

        impl<G, P> ::core::convert::From<::places::Place<G, P>> for #client {
            /// Of that place.
            fn from(place: ::places::Place<G, P>) -> Self {
                Self::from(place.into_channel())
            }
        }
    }
}

fn client_method(method: &Method, visibility: &Visibility) -> TokenStream {
    let Method { name, docs, .. } = method;
    let (text, (parameters, sent)) = (method.name(), method.passed());
    let result = quote!(::core::result::Result);
    match &method.answer {
        Answer::Cast => quote! {
            #(#docs)*
            ///
            /// # Errors
            /// `CallError`: it was not said.
            #visibility fn #name(&self, #parameters) -> #result<(), ::places_rpc::CallError> {
                self.0.cast(#text, #sent)
            }
        },
        Answer::Value(ty) | Answer::Deferred(ty) => {
            let later = format_ident!("{}_async", method.name());
            let doc = format!("As `{name}`, without waiting for the result.");
            quote! {
                #(#docs)*
                ///
                /// # Errors
                /// `CallError`: there is no result.
                #visibility fn #name(&self, #parameters) -> #result<#ty, ::places_rpc::CallError> {
                    self.0.call(#text, #sent)
                }

                #[doc = #doc]
                ///
                /// # Errors
                /// `CallError`: it was not called.
                #visibility fn #later(&self, #parameters) -> #result<::places_rpc::Pending<#ty>, ::places_rpc::CallError> {
                    self.0.call_async(#text, #sent)
                }
            }
        }
    }
}

/// `tuple_server` for `TupleServer`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}
