//! The `imports` block: what the host declares of symbols that the blob wants from it.
//!
//! Only the address of an import crosses: its parameters never do, so that a function may have more of them than a call
//! of an export can pass, and of types that no register holds.

use pie_blob_image::{Image, Import, nearest};
use proc_macro2::Ident;
use quote::{ToTokens as _, format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::{FnArg, ForeignItem, ForeignItemFn, Type};

use crate::declare::{Item, ItemKind, finish, fn_or_static, plain, qualifiers};
use crate::messages::Message;
use crate::parse::Invocation;
use crate::report::Report;

/// The block as it is written.
pub(crate) struct Block {
    pub(crate) keyword: Ident,
    items: Vec<ForeignItem>,
}

/// A declared import.
pub(crate) struct Declared {
    pub(crate) item: Item,
    /// The field that takes its address: the item's own name.
    pub(crate) field: Ident,
}

/// A declared import and the number that the image gives it.
pub(crate) struct Numbered<'a> {
    pub(crate) declared: &'a Declared,
    pub(crate) number: u32,
}

impl Declared {
    /// The hidden type that carries the item's type into the module. No constant has small letters in its name.
    pub(crate) fn marker(&self) -> Ident {
        use syn::ext::IdentExt as _;
        format_ident!("__imports_{}", self.field.unraw(), span = proc_macro2::Span::call_site())
    }
}

impl Block {
    /// Whether the block begins here: its word is none of Rust's.
    pub(crate) fn peek(input: ParseStream<'_>) -> bool {
        input.fork().parse::<Ident>().is_ok_and(|word| word == "imports")
    }

    /// Reads every item, or reports why it cannot be an import.
    pub(crate) fn read(&self, report: &mut Report) -> Vec<Declared> {
        let declared = self.items.iter().filter_map(|item| {
            let field = match item {
                ForeignItem::Fn(function) => Some(&function.sig.ident),
                ForeignItem::Static(static_) => Some(&static_.ident),
                _ => None,
            };
            let read = fn_or_static(item, function, report)?;
            for member in &read.layout {
                report.add(member, Message::ImportLayout);
            }
            let mut field = field?.clone();
            field.set_span(proc_macro2::Span::call_site().located_at(field.span()));
            Some(Declared { item: read, field })
        });
        declared.collect()
    }
}

impl Parse for Block {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let keyword = input.parse()?;
        let content;
        syn::braced!(content in input);
        let mut items = Vec::new();
        while !content.is_empty() {
            items.push(content.parse()?);
        }
        Ok(Self { keyword, items })
    }
}

fn function(function: &ForeignItemFn, report: &mut Report) -> Item {
    let signature = &function.sig;
    qualifiers(signature, report);
    let mut types: Vec<&Type> = Vec::new();
    for input in &signature.inputs {
        let FnArg::Typed(parameter) = input else {
            report.add(input, Message::ImportReceiver);
            continue;
        };
        for attribute in &parameter.attrs {
            report.add(attribute, Message::ParameterAttribute);
        }
        if matches!(plain(&parameter.ty), Type::ImplTrait(_) | Type::Infer(_)) {
            report.add(&parameter.ty, Message::ImportType);
        }
        types.push(&parameter.ty);
    }
    let output = &signature.output;
    if let syn::ReturnType::Type(_, returned) = output {
        if matches!(plain(returned), Type::ImplTrait(_) | Type::Infer(_)) {
            report.add(returned, Message::ImportType);
        }
    }
    let variadic = signature.variadic.as_ref().map(|variadic| variadic.dots);
    let separator = (variadic.is_some() && !types.is_empty()).then(|| quote!(,));
    let what = quote!(unsafe extern "C" fn(#(#types),* #separator #variadic) #output);
    finish(&function.attrs, &function.vis, &signature.ident, ItemKind::Function, what, report)
}

/// Declared imports against those of the image, both ways.
pub(crate) fn check<'a>(invocation: &'a Invocation, image: &Image, report: &mut Report) -> Vec<Numbered<'a>> {
    let names = || image.imports().iter().map(Import::name);
    if let (Some((_, base)), false) = (&invocation.options.base, image.imports().is_empty()) {
        report.add(base, Message::ImportsAtBase { names: names().map(str::to_owned).collect() });
    }
    let Some((keyword, declared)) = &invocation.imports else {
        if !image.imports().is_empty() {
            let message = Message::ImportsWanted {
                name: invocation.name.value(),
                module: invocation.module.to_string(),
                names: names().map(str::to_owned).collect(),
            };
            report.add(&invocation.name, message);
        }
        return Vec::new();
    };
    let numbered: Vec<Numbered<'a>> =
        declared.iter().filter_map(|declared| number(declared, image, report)).collect();
    for (index, import) in image.imports().iter().enumerate() {
        let is = |numbered: &&Numbered<'_>| usize::try_from(numbered.number) == Ok(index);
        let mut of_it = numbered.iter().filter(is);
        match of_it.next() {
            None => report.add(keyword, Message::ImportUndeclared { name: import.name().to_owned() }),
            Some(first) if first.declared.item.cfgs.is_empty() => {
                // Items under a `#[cfg]` may never meet: the compiler says when they do.
                for other in of_it.filter(|other| other.declared.item.cfgs.is_empty()) {
                    let name = import.name().to_owned();
                    report.add(&other.declared.field, Message::ImportRepeated { name });
                }
            }
            Some(_) => {}
        }
    }
    numbered
}

fn number<'a>(declared: &'a Declared, image: &Image, report: &mut Report) -> Option<Numbered<'a>> {
    let (name, span) = &declared.item.symbol;
    let found = image.imports().binary_search_by(|import| import.name().cmp(name));
    if let Some(number) = found.ok().and_then(|index| u32::try_from(index).ok()) {
        return Some(Numbered { declared, number });
    }
    let place = Ident::new("_0", *span).into_token_stream();
    let name = name.clone();
    let message = if image.symbols_named(&name).is_empty() {
        let near = nearest(&name, image.imports().iter().map(Import::name));
        Message::ImportUnknown { near: near.into_iter().map(str::to_owned).collect(), name }
    } else {
        Message::ImportDefined { name }
    };
    report.add_when(&declared.item.cfgs, &place, message);
    None
}

#[cfg(test)]
mod tests {
    use crate::testing::{errors_of, errors_with_object, expand_with_object};

    const OBJECT: &str = "
        .globl start
        start: .type start, @function\n ret\n .size start, 1
        .data
        .balign 8
        .quad start, environ + 16, getenv";

    fn errors(invocation: &str) -> String {
        errors_with_object(OBJECT, &|path| invocation.replace("NAME", &format!("{path:?}")))
    }

    #[test]
    fn what_the_object_wants_is_accepted() {
        for imports in [
            "fn getenv(name: *const u8) -> *const u8; static environ: *const *const u8;",
            "#[link_name = \"getenv\"] fn g(); #[link_name = \"environ\"] static mut e: [u8; 4];",
            "#[cfg(a)] fn getenv(); #[cfg(not(a))] fn getenv(a: u8); static environ: u8;",
            "fn getenv(a: f64, b: &u8, c: [u8; 4], d: (), e: u8, f: u8, g: u8, ...) -> f32; static environ: u8;",
            "fn getenv(...); static environ: u8;",
        ] {
            assert_eq!(errors(&format!("mod a = NAME; imports {{ {imports} }}")), "", "{imports}");
        }
        let both = "imports { fn getenv(); static environ: u8; } unsafe extern \"C\" { fn start(); }";
        assert_eq!(errors(&format!("mod a = NAME; {both}")), "");
    }

    #[test]
    fn numbers_are_in_the_relocations() {
        let (expansion, _) = expand_with_object(OBJECT, &|path| {
            format!("mod a = {path:?}; imports {{ fn getenv(a: u8); static environ: u8; }}")
        });
        let relocs = r#"b"\0\x10\0\0\x01\0\0\0\x08\x10\0\0\x02\0\0\0\x10\x10\0\0\x02\x01\0\0""#;
        assert!(expansion.contains(relocs), "{expansion}");
        assert!(expansion.contains("imports : & [\"environ\" , \"getenv\"]"), "{expansion}");
        assert!(
            expansion.contains("1u32 => :: core :: option :: Option :: Some (self . getenv"),
            "{expansion}"
        );
    }

    #[test]
    fn mistakes_about_imports() {
        for (imports, expected) in [
            ("", "wants `environ` from its host: declare it in `imports { … }`, or define it in the blob"),
            ("fn getenv();", "wants `environ` from its host"),
            ("fn getemv(); static environ: u8;", "no `getemv` from its host; is it `getenv`?"),
            ("fn entirely_else();", "no `entirely_else` from its host: remove it"),
            ("fn start();", "the blob defines `start` itself: declare it in an `unsafe extern"),
            ("fn getenv(); #[link_name = \"getenv\"] fn g();", "`getenv` is declared twice"),
        ] {
            let errors = errors(&format!("mod a = NAME; imports {{ {imports} }}"));
            assert!(errors.contains(expected), "{imports}: {errors}");
        }
    }

    #[test]
    fn without_a_block_the_block_is_shown() {
        for invocation in ["NAME", "mod blob = NAME;", "mod blob = NAME; unsafe extern \"C\" { fn start(); }"]
        {
            let errors = errors(invocation);
            for expected in
                ["wants 2 symbols from its host", "mod blob = ", "imports {", "fn environ(…)", "fn getenv(…)"]
            {
                assert!(errors.contains(expected), "{invocation}: {errors}");
            }
        }
    }

    #[test]
    fn no_base_for_what_wants_something() {
        let errors = errors("mod a = NAME, base = 0x8000; imports { fn getenv(); static environ: u8; }");
        assert!(
            errors.contains("known only when it is loaded (`environ`, `getenv`): remove `base`"),
            "{errors}"
        );
        assert_eq!(errors.matches("compile_error").count(), 1, "{errors}");
    }

    #[test]
    fn what_cannot_be_an_import() {
        for (item, expected) in [
            ("fn f() {}", "declarations have no body"),
            ("type T;", "expected `fn` or `static`"),
            ("fn f<T>();", "remove generics"),
            ("async fn f();", "remove the qualifier"),
            ("fn f(self);", "an import is a plain function: it has no `self`"),
            ("fn f(a: impl Copy);", "write the type out"),
            ("fn f() -> _;", "write the type out"),
            ("fn f(#[x] a: u8);", "parameters take no attributes"),
            ("#[layout(a)] static f: T;", "nothing is known of an import's layout"),
            ("#[no_mangle] fn f();", "this attribute has no meaning here"),
        ] {
            let errors = errors_of(&format!("mod a = \"a\"; imports {{ {item} }}"));
            assert!(errors.contains(expected), "{item}: {errors}");
        }
        let errors = errors_of("mod a = \"a\"; imports {} imports {}");
        assert!(errors.contains("one `imports` block"), "{errors}");
        assert!(errors_of("mod a = \"a\"; import {}").contains("expected"));
    }
}
