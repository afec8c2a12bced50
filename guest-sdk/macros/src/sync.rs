//! What `sync!` expands to, and what it takes.

use proc_macro2::{Ident, Span, TokenStream};
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
            // `input.error` would begin with "unexpected end of input".
            return Err(Error::new(input.span(), format!("a `sync!` over nothing would never end; {ARM}")));
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
        let pattern = Pat::parse_multi_with_leading_vert(input).map_err(explain)?;
        // `=>` would be taken for a `=` and a `>`.
        if input.peek(Token![=>]) {
            return Err(input.error(ARM));
        }
        input.parse::<Token![=]>().map_err(explain)?;
        let event = input.parse()?;
        input.parse::<Token![=>]>().map_err(explain)?;
        let body = if input.peek(syn::token::Brace) { Expr::Block(input.parse()?) } else { input.parse()? };
        Ok(Self { pattern, event, body })
    }
}

impl Arms {
    pub(crate) fn expand(self) -> TokenStream {
        // At the arm's event, for that is what may turn out to be none; but named like everything else here.
        let at = |arm: &Arm| arm.event.span().resolved_at(Span::call_site());
        let names: Vec<_> = self.0.iter().enumerate().map(|(index, arm)| format_ident!("__event{index}", span = at(arm))).collect();
        // Names that the author's code neither sees nor hides.
        let hidden = |name: &str| Ident::new(name, Span::mixed_site());
        let (taken, index_of, fired) = (hidden("taken"), hidden("index"), hidden("fired"));
        let events = self.0.iter().map(|arm| event(&arm.event));
        let sources = names.iter().map(|name| quote_spanned!(name.span()=> ::places::Event::source(&#name)));
        let arms = self.0.iter().zip(&names).enumerate().map(|(index, (Arm { pattern, body, .. }, name))| {
            let value = quote_spanned!(name.span()=> ::places::Event::take(#name, #fired));
            // In two steps, or the compiler would advise whoever's pattern may not match to write an `else` into the event.
            quote!(#index => { let #taken = #value; let #pattern = #taken; #body })
        });
        quote! {
            match (#(#events,)*) {
                (#(#names,)*) => {
                    let (#index_of, #fired) = ::places::__macro::wait(&[#(#sources),*]);
                    match #index_of {
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
