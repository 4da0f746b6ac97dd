//! The image to tokens.
//!
//! The expansion stands in a stranger's crate: every path begins with `::`, nothing is `unsafe`, every item
//! has a line of documentation, and every name has the macro's own hygiene, so that no lint of the crate
//! looks at it. Bytes and relocations are one literal each: a token per byte takes minutes to compile.

use pie_blob_image::{BaseError, Image, Limits, SymbolKind};
use proc_macro2::{Literal, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;

use crate::check::{Constant, check};
use crate::declare::{Item, ItemKind};
use crate::find::{Environment, Object};
use crate::imports::{self, Numbered};
use crate::messages::Message;
use crate::parse::{Invocation, parse};
use crate::report::Report;
use crate::signature;
use crate::supply;

/// Expands an invocation, or says everything that is wrong with it.
pub(crate) fn pie_blob(tokens: TokenStream, environment: &Environment) -> TokenStream {
    let mut report = Report::default();
    let expansion = expand(tokens, environment, &mut report);
    // With a mistake that holds under every `#[cfg]` the rest would only add errors about itself.
    let expansion = if report.is_fatal() { None } else { expansion };
    let errors = report.into_tokens();
    quote!(#expansion #errors)
}

/// The expansion as far as there is one; whatever is wrong with it is in the report.
pub(crate) fn expand(
    tokens: TokenStream,
    environment: &Environment,
    report: &mut Report,
) -> Option<TokenStream> {
    let invocation = parse(tokens, report)?;
    let object =
        environment.find(&invocation.name).map_err(|message| report.add(&invocation.name, message)).ok()?;
    let image = image(&invocation, &object, report)?;
    let constants = check(&invocation, &image, report);
    let signatures = signature::check(&invocation, &object.data, &image, &constants, report);
    let imports = imports::check(&invocation, &image, report);
    let bytes = bytes(&invocation, &image, report)?;
    let expansion = Expansion {
        invocation: &invocation,
        object: &object,
        image: &image,
        id: image.id(),
        bytes,
        constants,
        signatures,
        imports,
    };
    Some(expansion.tokens())
}

fn image(invocation: &Invocation, object: &Object, report: &mut Report) -> Option<Image> {
    let limits = Limits::default();
    let limits = invocation.options.abs32.map_or(limits, |abs32| limits.with_abs32(abs32));
    Image::parse(&object.data, &limits)
        .map_err(|faults| {
            let message = Message::Faults { path: object.path.clone(), faults: faults.to_string() };
            report.add(&invocation.name, message);
        })
        .ok()
}

/// The bytes to embed: at base 0, or as they stand at the base that was asked for.
fn bytes(invocation: &Invocation, image: &Image, report: &mut Report) -> Option<Vec<u8>> {
    let Some((base, place)) = &invocation.options.base else { return Some(image.bytes().to_vec()) };
    match image.relocated(*base) {
        Ok(bytes) => Some(bytes),
        // Said already, with its remedy.
        Err(BaseError::Imports { .. }) => None,
        Err(error) => {
            report.add(place, Message::Base { error: error.to_string() });
            None
        }
    }
}

struct Expansion<'a> {
    invocation: &'a Invocation,
    object: &'a Object,
    image: &'a Image,
    /// The image's id: a hash of all of it, taken once for all its constants.
    id: u64,
    bytes: Vec<u8>,
    constants: Vec<Constant<'a>>,
    /// What the compiler is to be asked about each constant.
    signatures: Vec<TokenStream>,
    imports: Vec<Numbered<'a>>,
}

impl Expansion<'_> {
    fn tokens(&self) -> TokenStream {
        let Invocation { attributes, visibility, module, .. } = self.invocation;
        let layout = self.layout();
        let data = self.data();
        let blob = self.blob();
        let constants = self.constants.iter().map(|constant| self.constant(constant));
        let tracked = self.tracked();
        let architecture = self.architecture();
        let imports = supply::structure(self.invocation, &self.imports);
        let supplied = supply::outside(self.invocation, &self.imports);
        let signatures = &self.signatures;
        let outside =
            self.constants.iter().filter_map(|constant| Some(self.outside(constant, constant.item?)));
        quote! {
            #(#attributes)*
            #layout
            #visibility mod #module {
                #data
                #blob
                #(#constants)*
                #imports
                #tracked
                #architecture
            }
            #(#outside)*
            #(#signatures)*
            #supplied
        }
    }

    /// The module's documentation: where everything lies.
    fn layout(&self) -> TokenStream {
        let image = self.image;
        let documented = self.invocation.attributes.iter().any(|attribute| attribute.path().is_ident("doc"));
        let mut text = if documented { "\n\n".to_owned() } else { String::new() };
        text += &format!(
            "The blob `{}` for {}: {} bytes in memory, {} of them initialised, {} relocations.\n\n",
            self.invocation.name.value(),
            image.architecture().name(),
            image.size(),
            image.bytes().len(),
            image.relocations().len(),
        );
        text += "| offset | bytes | what |\n|---|---|---|\n";
        let segments =
            image.segments().iter().map(|s| (s.offset, 0, s.size, format!("segment {}", s.permissions)));
        let constants = self.constants.iter().map(|constant| {
            let symbol = constant.symbol;
            (u64::from(symbol.offset()), 1, symbol.size(), format!("`{}`", constant.name))
        });
        let mut rows: Vec<_> = segments.chain(constants).collect();
        rows.sort();
        for (offset, _, size, what) in rows {
            text += &format!("| {offset:#x} | {size} | {what} |\n");
        }
        quote!(#[doc = #text])
    }

    fn data(&self) -> TokenStream {
        let runtime = self.invocation.options.runtime(true);
        let count = Literal::usize_unsuffixed(self.bytes.len());
        let bytes = Literal::byte_string(&self.bytes);
        let relocations = Literal::byte_string(&self.relocations());
        quote! {
            /// The initialised bytes of the image.
            pub static BYTES: #runtime::Bytes<#count> = #runtime::Bytes::new(*#bytes);
            /// The words to which an address is added, sorted by offset.
            pub static RELOCS: &[#runtime::Reloc] = #runtime::Reloc::slice(#relocations);
        }
    }

    /// Eight bytes each: offset (32 bits), kind (8), import (24), little-endian for every target.
    fn relocations(&self) -> Vec<u8> {
        if self.invocation.options.base.is_some() {
            return Vec::new();
        }
        let relocations = self.image.relocations();
        let mut packed = Vec::with_capacity(relocations.len().saturating_mul(8));
        for relocation in relocations {
            packed.extend_from_slice(&relocation.offset().to_le_bytes());
            let import = relocation.kind().import().unwrap_or(0);
            // The image numbers no more imports than fit.
            let [a, b, c, _] = import.to_le_bytes();
            packed.extend_from_slice(&[relocation.kind().code(), a, b, c]);
        }
        packed
    }

    fn blob(&self) -> TokenStream {
        let runtime = self.invocation.options.runtime(true);
        let image = self.image;
        let name = self.invocation.name.value();
        let id = self.id;
        // The runtime's enumerators are called as those of the image.
        let architecture = format_ident!("{}", format!("{:?}", image.architecture()));
        let (size, align, packed) = (image.size(), image.align(), image.packed());
        let segments = image.segments().iter().map(|segment| {
            let (offset, size) = (segment.offset, segment.size);
            let pie_blob_image::Permissions { read, write, execute } = segment.permissions;
            quote!(#runtime::Segment {
                offset: #offset,
                size: #size,
                permissions: #runtime::Permissions { read: #read, write: #write, execute: #execute },
            })
        });
        let exports = image.exports().iter().map(|export| {
            let (name, offset, size) = (export.name(), export.offset(), export.size());
            let kind = marker(export.kind());
            quote!(#runtime::Export { name: #name, offset: #offset, size: #size, kind: #runtime::ExportKind::#kind })
        });
        let stack = option(image.stack().map(|stack| {
            let (start, end) = (stack.start, stack.end);
            quote!((#start, #end))
        }));
        let base = option(self.invocation.options.base.as_ref().map(|(base, _)| quote!(#base)));
        // The bytes at a fixed base have been looked at already.
        let narrow = image.narrow();
        let restricted =
            narrow != pie_blob_image::Narrow::default() && self.invocation.options.base.is_none();
        let narrow = option(restricted.then(|| {
            let (last, first_high) = (narrow.last, narrow.first_high);
            quote!((#last, #first_high))
        }));
        let own = |name| {
            option(image.symbol(name).map(pie_blob_image::Symbol::offset).map(|offset| quote!(#offset)))
        };
        let imports = image.imports().iter().map(pie_blob_image::Import::name);
        let (done, panic) = (own("__pie_blob_done"), own("__pie_blob_panic"));
        let blob = quote! {
            #runtime::__private::blob(#runtime::__private::Parts {
                name: #name,
                id: #id,
                architecture: #runtime::Architecture::#architecture,
                bytes: BYTES.as_slice(),
                relocs: RELOCS,
                imports: &[#(#imports),*],
                size: #size,
                align: #align,
                segments: &[#(#segments),*],
                exports: &[#(#exports),*],
                stack: #stack,
                packed: #packed,
                base: #base,
                narrow: #narrow,
                done: #done,
                panic: #panic,
            })
        };
        if image.imports().is_empty() {
            return quote! {
                /// Image, relocations and exports: what is loaded, mapped or injected.
                pub static BLOB: #runtime::Blob = #blob;
            };
        }
        quote! {
            /// Image, relocations and exports: what is loaded, mapped or injected, with the addresses that it wants.
            pub static BLOB: #runtime::Importing<Imports> = #runtime::Importing::__new(#blob);
        }
    }

    /// The offset of one export and, where it is declared, the marker that stands for its type.
    fn constant(&self, constant: &Constant<'_>) -> TokenStream {
        let runtime = self.invocation.options.runtime(true);
        let Constant { name, symbol, item } = constant;
        let (offset, id) = (symbol.offset(), self.id);
        let what = match symbol.kind() {
            SymbolKind::Code => "function",
            SymbolKind::Data => "static",
        };
        let place = format!("The {what} `{}` at offset {offset:#x}, {} bytes.", symbol.name(), symbol.size());
        let value = quote!(#runtime::Offset::__new(#offset, #id));
        let Some(item) = item else {
            let marker = marker(symbol.kind());
            return quote! {
                #[doc = #place]
                pub const #name: #runtime::Offset<#runtime::#marker> = #value;
            };
        };
        let Item { attributes, cfgs, visibility, .. } = item;
        let marker = item.marker();
        let documented = attributes.iter().any(|attribute| attribute.path().is_ident("doc"));
        let blank = documented.then(|| quote!(#[doc = ""]));
        quote! {
            #(#cfgs)*
            #(#attributes)*
            #blank
            #[doc = #place]
            #visibility const #name: #runtime::Offset<<#marker as #runtime::__private::Typed>::T> = #value;
            #(#cfgs)*
            #[doc(hidden)]
            pub(super) enum #marker {}
        }
    }

    /// What stands beside the module, where the types resolve as they were written.
    fn outside(&self, constant: &Constant<'_>, item: &Item) -> TokenStream {
        let runtime = self.invocation.options.runtime(false);
        let module = &self.invocation.module;
        let module_cfgs = self.invocation.cfgs();
        let Item { cfgs, what, .. } = item;
        let marker = item.marker();
        let checks = self.checks(constant, item);
        quote! {
            #(#module_cfgs)* #(#cfgs)*
            impl #runtime::__private::Typed for #module::#marker {
                type T = #what;
            }
            #checks
        }
    }

    /// Whether a static's type has the size that the object says, and an alignment that its place has.
    fn checks(&self, constant: &Constant<'_>, item: &Item) -> Option<TokenStream> {
        if item.kind != ItemKind::Static {
            return None;
        }
        let module_cfgs = self.invocation.cfgs();
        let Item { cfgs, what, .. } = item;
        let (name, offset) = (constant.symbol.name().to_owned(), constant.symbol.offset());
        let (size, align) = (constant.symbol.size(), self.image.align());
        let span = Span::call_site().located_at(what.span());
        let alignment = Message::Alignment { name: name.clone(), offset, align }.to_string();
        // Assembly need not say how large things are.
        let size = (size > 0).then(|| {
            let message = Message::Size { name, size }.to_string();
            quote_spanned! {span=>
                #(#module_cfgs)* #(#cfgs)*
                const _: () = if ::core::mem::size_of::<#what>() as ::core::primitive::u64 != #size { ::core::panic!("{}", #message) };
            }
        });
        Some(quote_spanned! {span=>
            #size
            #(#module_cfgs)* #(#cfgs)*
            const _: () = {
                let align = ::core::mem::align_of::<#what>() as ::core::primitive::u64;
                if (#offset as ::core::primitive::u64) % align != 0 || #align % align != 0 { ::core::panic!("{}", #alignment) }
            };
        })
    }

    /// Makes the compiler look at the object and at the variable again when they change. A block that is
    /// never evaluated costs nothing, where a constant would hold all the bytes a second time.
    fn tracked(&self) -> TokenStream {
        let path = &self.object.path;
        let variable =
            self.object.variable.as_ref().map(|variable| quote!(let _ = ::core::option_env!(#variable);));
        quote! {
            const _: () = if false {
                let _ = ::core::include_bytes!(#path);
                #variable
            };
        }
    }

    /// The macro does not see the target; the expansion does.
    fn architecture(&self) -> TokenStream {
        if self.invocation.options.foreign {
            return TokenStream::new();
        }
        let architecture = self.image.architecture().name();
        let order = if self.image.architecture().little_endian() { "little" } else { "big" };
        let message = Message::Architecture { name: self.invocation.name.value(), architecture }.to_string();
        let span = Span::call_site().located_at(self.invocation.name.span());
        quote_spanned! {span=>
            #[cfg(not(all(target_arch = #architecture, target_endian = #order)))]
            ::core::compile_error!(#message);
        }
    }
}

/// The runtime's name for a kind, of types and of enumerators.
fn marker(kind: SymbolKind) -> TokenStream {
    match kind {
        SymbolKind::Code => quote!(Code),
        SymbolKind::Data => quote!(Data),
    }
}

/// An `Option`, without the prelude's help.
fn option(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{errors_of, errors_with_object, expand_with_object};

    #[test]
    fn no_object() {
        assert!(errors_of("\"nowhere\"").contains("there is no object for the blob `nowhere`"));
    }

    #[test]
    fn an_object_that_is_none() {
        let errors = errors_with_object(
            "start: ret\n .globl init\n .section .init_array, \"aw\"\n .quad start",
            &|path| format!("mod a = {path:?};"),
        );
        assert!(
            errors.contains("cannot become a blob:") && errors.contains("asks for code to run"),
            "{errors}"
        );
    }

    #[test]
    fn a_base_relocates_while_compiling() {
        let object = ".globl start\n start: ret\n .data\n .balign 8\n .quad start + 1";
        let (plain, _) = expand_with_object(object, &|path| format!("mod a = {path:?};"));
        let refused = "# [cfg (not (all (target_arch = \"x86_64\" , target_endian = \"little\")))] :: core :: compile_error !";
        assert!(plain.contains(refused), "{plain}");
        let (foreign, _) = expand_with_object(object, &|path| format!("mod a = {path:?}, foreign;"));
        assert!(!foreign.contains("compile_error"), "{foreign}");
        assert!(plain.contains("Reloc :: slice (b\"\\0\\x10\\0\\0\\x01\\0\\0\\0\")"), "{plain}");
        let (fixed, _) = expand_with_object(object, &|path| format!("mod a = {path:?}, base = 0x8000;"));
        assert!(fixed.contains("Reloc :: slice (b\"\")"), "{fixed}");
        assert!(fixed.contains("base : :: core :: option :: Option :: Some (32768u64)"), "{fixed}");
        assert!(fixed.contains("\\x01\\x80\\0\\0\\0\\0\\0\\0\""), "{fixed}");
        let errors = errors_with_object(object, &|path| format!("mod a = {path:?}, base = 0x8001;"));
        assert!(errors.contains("not a multiple of the image's alignment"), "{errors}");
    }
}
