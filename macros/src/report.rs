//! Collects every mistake, so that one round of compiling shows them all.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, Error};

use crate::messages::Message;

/// The mistakes found so far.
#[derive(Default)]
pub(crate) struct Report {
    errors: Vec<(Vec<Attribute>, Error)>,
}

impl Report {
    /// Notes a mistake at the tokens that made it.
    pub(crate) fn add(&mut self, place: impl ToTokens, message: Message) {
        self.add_when(&[], place, message);
    }

    /// Notes a mistake that is one only where the item's `#[cfg]`s hold: the macro cannot evaluate those.
    pub(crate) fn add_when(&mut self, cfgs: &[Attribute], place: impl ToTokens, message: Message) {
        self.errors.push((cfgs.to_vec(), Error::new_spanned(place, message)));
    }

    /// Notes what the parser has found.
    pub(crate) fn add_syntax(&mut self, error: Error) {
        self.errors.push((Vec::new(), error));
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// Whether the mistakes leave nothing to expand: some do not depend on any `#[cfg]`.
    pub(crate) fn is_fatal(&self) -> bool {
        self.errors.iter().any(|(cfgs, _)| cfgs.is_empty())
    }

    /// The mistakes as errors of the compiler.
    pub(crate) fn into_tokens(self) -> TokenStream {
        let errors = self.errors.into_iter().map(|(cfgs, error)| {
            let error = error.into_compile_error();
            quote!(#(#cfgs)* #error)
        });
        errors.collect()
    }
}
