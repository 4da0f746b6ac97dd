//! The tokens of imports: the structure that takes their addresses, and what the runtime asks it.

use proc_macro2::TokenStream;
use quote::quote;

use crate::declare::{Item, ItemKind};
use crate::imports::Numbered;
use crate::parse::Invocation;

/// The structure `Imports` of the module.
pub(crate) fn structure(invocation: &Invocation, imports: &[Numbered<'_>]) -> Option<TokenStream> {
    if imports.is_empty() {
        return None;
    }
    let runtime = invocation.options.runtime(true);
    let fields = imports.iter().map(|import| {
        let Item { attributes, cfgs, visibility, kind, symbol: (name, _), .. } = &import.declared.item;
        let (field, marker) = (&import.declared.field, import.declared.marker());
        let what = match kind {
            ItemKind::Function => "function",
            ItemKind::Static => "static",
        };
        let line = format!("Where the {what} `{name}` lies in the address space that the blob runs in.");
        let documented = attributes.iter().any(|attribute| attribute.path().is_ident("doc"));
        let blank = documented.then(|| quote!(#[doc = ""]));
        quote! {
            #(#cfgs)*
            #(#attributes)*
            #blank
            #[doc = #line]
            #visibility #field: #runtime::Remote<<#marker as #runtime::__private::Typed>::T>,
        }
    });
    let arms = imports.iter().map(|import| {
        let Item { cfgs, .. } = &import.declared.item;
        let (field, number) = (&import.declared.field, import.number);
        // A field may be deprecated: that is for whoever supplies it.
        quote!(#(#cfgs)* #number => ::core::option::Option::Some(self.#field.address()),)
    });
    let markers = imports.iter().map(|import| {
        let Item { cfgs, .. } = &import.declared.item;
        let marker = import.declared.marker();
        quote! {
            #(#cfgs)*
            #[doc(hidden)]
            pub(super) enum #marker {}
        }
    });
    Some(quote! {
        /// What the blob wants from its host: an address each.
        #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
        pub struct Imports {
            #(#fields)*
        }
        #[allow(deprecated)]
        impl #runtime::__private::Supply for Imports {
            fn address(&self, import: u32) -> ::core::option::Option<u64> {
                match import {
                    #(#arms)*
                    _ => ::core::option::Option::None,
                }
            }
        }
        #(#markers)*
    })
}

/// What stands beside the module, where the types resolve as they were written.
pub(crate) fn outside(invocation: &Invocation, imports: &[Numbered<'_>]) -> TokenStream {
    let runtime = invocation.options.runtime(false);
    let (module, module_cfgs) = (&invocation.module, invocation.cfgs());
    let typed = imports.iter().map(|import| {
        let Item { cfgs, what, .. } = &import.declared.item;
        let marker = import.declared.marker();
        quote! {
            #(#module_cfgs)* #(#cfgs)*
            impl #runtime::__private::Typed for #module::#marker {
                type T = #what;
            }
        }
    });
    typed.collect()
}
