//! `sync!`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprMethodCall, Pat, Token};

const ARM: &str = "an arm of `sync!` is `pattern = event => what to do`, such as `reply = place.get() => println!(\"{}\", reply?)`";

pub(crate) struct Arms(Vec<Arm>);

struct Arm {
    pattern: Pat,
    event: Expr,
    body: Expr,
}

impl Parse for Arms {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.is_empty() {
            return Err(input.error(format!("a `sync!` over nothing would never end; {ARM}")));
        }
        let mut arms = Vec::new();
        while !input.is_empty() {
            let arm: Arm = input.parse()?;
            // As in `match`, a block needs no comma after it.
            let comma: Option<Token![,]> = input.parse()?;
            if comma.is_none() && !input.is_empty() && !matches!(arm.body, Expr::Block(_)) {
                return Err(input.error("expected `,` before the next arm of `sync!`"));
            }
            arms.push(arm);
        }
        Ok(Self(arms))
    }
}

impl Parse for Arm {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let explain = |error: Error| Error::new(error.span(), ARM);
        let pattern = Pat::parse_multi_with_leading_vert(input)?;
        input.parse::<Token![=]>().map_err(explain)?;
        let event = input.parse()?;
        input.parse::<Token![=>]>().map_err(explain)?;
        let body = if input.peek(syn::token::Brace) { Expr::Block(input.parse()?) } else { input.parse()? };
        Ok(Self { pattern, event, body })
    }
}

impl Arms {
    pub(crate) fn expand(self) -> TokenStream {
        let names: Vec<_> = (0..self.0.len()).map(|index| format_ident!("__event{index}")).collect();
        let events = self.0.iter().map(|arm| event(&arm.event));
        let arms = self.0.iter().zip(&names).enumerate().map(
            |(index, (Arm { pattern, body, .. }, name))| quote!(#index => { let #pattern = ::places::Event::take(#name, fired); #body }),
        );
        quote! {
            match (#(#events,)*) {
                (#(#names,)*) => {
                    let (index, fired) = ::places::__macro::wait(&[#(::places::Event::source(&#names)),*]);
                    match index {
                        #(#arms)*
                        _ => ::core::unreachable!("the host chose an event that was not offered"),
                    }
                }
            }
        }
    }
}

/// `channel.get()` reads as what it means; as an event it is `channel.message()`.
fn event(event: &Expr) -> TokenStream {
    if let Expr::MethodCall(ExprMethodCall { receiver, method, args, turbofish: None, .. }) = event
        && method == "get"
        && args.is_empty()
    {
        return quote_spanned!(event.span()=> (#receiver).message());
    }
    quote!(#event)
}
