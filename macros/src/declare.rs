//! One declared `fn` or `static`: what of Rust can be said about a blob's export, and what cannot.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt as _;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{
    Attribute, FnArg, ForeignItem, ForeignItemFn, ForeignItemStatic, LitStr, Meta, PathArguments, ReturnType,
    Safety, Signature, Token, Type, TypePath, Visibility,
};

use crate::messages::Message;
use crate::report::Report;

/// How many parameters the psABIs pass in registers.
const MOST_PARAMETERS: usize = 6;

/// Primitive types that are no integer of at most a register, and so no parameter.
const NO_PARAMETERS: &[&str] =
    &["bool", "char", "f16", "f32", "f64", "f128", "i128", "u128", "str", "String", "Self"];

/// An item of the block.
pub(crate) struct Item {
    /// What is carried over to the constant: documentation, deprecation.
    pub(crate) attributes: Vec<Attribute>,
    /// What decides whether the item is there.
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) visibility: TokenStream,
    /// The constant's name.
    pub(crate) constant: Ident,
    /// The symbol's name, and where it is written.
    pub(crate) symbol: (String, Span),
    pub(crate) kind: ItemKind,
    /// The type of what lies there: a function pointer's or the static's.
    pub(crate) what: TokenStream,
    /// The types of a function's parameters.
    pub(crate) parameters: Vec<Type>,
    /// What a function returns, or what a static is.
    pub(crate) result: Option<Type>,
    /// The members whose places are compared with those in the object.
    pub(crate) layout: Vec<Ident>,
}

/// Whether the export is called or read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ItemKind {
    Function,
    Static,
}

impl Item {
    /// The hidden type that carries the item's type into the module.
    pub(crate) fn marker(&self) -> Ident {
        format_ident!("__{}", self.constant, span = Span::call_site())
    }
}

/// Reads one item, or reports why it cannot be one of a blob.
pub(crate) fn item(declared: &ForeignItem, report: &mut Report) -> Option<Item> {
    fn_or_static(declared, function, report)
}

/// Reads one item, functions in a way of their own.
pub(crate) fn fn_or_static(
    declared: &ForeignItem,
    function: fn(&ForeignItemFn, &mut Report) -> Item,
    report: &mut Report,
) -> Option<Item> {
    match declared {
        ForeignItem::Fn(declared) => Some(function(declared, report)),
        ForeignItem::Static(static_) => Some(self::static_(static_, report)),
        // The parser takes bodies and values without complaint, and hands the tokens through.
        ForeignItem::Verbatim(tokens) if !mentions(tokens, "type") => {
            report.add(tokens, Message::Body);
            None
        }
        other => {
            report.add(other, Message::NeitherFnNorStatic);
            None
        }
    }
}

/// Whether the word stands in the tokens, outside of any group.
fn mentions(tokens: &TokenStream, word: &str) -> bool {
    let is_word = |token| matches!(token, proc_macro2::TokenTree::Ident(ident) if ident == word);
    tokens.clone().into_iter().any(is_word)
}

fn function(function: &ForeignItemFn, report: &mut Report) -> Item {
    let Signature { ident, inputs, variadic, output, .. } = &function.sig;
    qualifiers(&function.sig, report);
    if let Some(variadic) = variadic {
        report.add(variadic.dots, Message::Variadic);
    }
    if inputs.len() > MOST_PARAMETERS {
        report.add(inputs, Message::TooManyParameters { count: inputs.len() });
    }
    let parameters: Vec<&Type> = inputs.iter().filter_map(|input| parameter(input, report)).collect();
    returned(output, report);
    let what = quote!(unsafe extern "C" fn(#(#parameters),*) #output);
    let parameters = parameters.into_iter().cloned().collect();
    let result = match output {
        ReturnType::Type(_, result) => Some((**result).clone()),
        ReturnType::Default => None,
    };
    let item = finish(&function.attrs, &function.vis, ident, ItemKind::Function, what, report);
    Item { parameters, result, ..item }
}

/// What no function of another image can be.
pub(crate) fn qualifiers(signature: &Signature, report: &mut Report) {
    let Signature { constness, asyncness, safety, abi, generics, .. } = signature;
    if let Safety::Safe(safe) = safety {
        report.add(safe, Message::Safe);
    }
    let qualifiers = [
        constness.map(|t| t.to_token_stream()),
        asyncness.map(|t| t.to_token_stream()),
        abi.as_ref().map(ToTokens::to_token_stream),
    ];
    for qualifier in qualifiers.into_iter().flatten() {
        report.add(qualifier, Message::Qualifier);
    }
    if !generics.params.is_empty() {
        report.add(generics, Message::Generics);
    }
    if let Some(clause) = &generics.where_clause {
        report.add(clause, Message::Generics);
    }
}

fn parameter<'a>(input: &'a FnArg, report: &mut Report) -> Option<&'a Type> {
    let FnArg::Typed(parameter) = input else {
        report.add(input, Message::Receiver);
        return None;
    };
    for attribute in &parameter.attrs {
        report.add(attribute, Message::ParameterAttribute);
    }
    match plain(&parameter.ty) {
        Type::Reference(_) => report.add(&parameter.ty, Message::Reference),
        Type::Ptr(_) => {}
        Type::Path(path) if register(path) => {}
        _ => report.add(&parameter.ty, Message::Parameter),
    }
    Some(&parameter.ty)
}

fn returned(output: &ReturnType, report: &mut Report) {
    let ReturnType::Type(_, returned) = output else { return };
    match plain(returned) {
        Type::Ptr(_) | Type::Never(_) => {}
        Type::Tuple(unit) if unit.elems.is_empty() => {}
        Type::Path(path) if register(path) => {}
        Type::Reference(_) => report.add(returned, Message::Reference),
        _ => report.add(returned, Message::Return),
    }
}

/// Whether a path can be the name of an integer (which `c_int` is too) or `Remote<T>`.
fn register(path: &TypePath) -> bool {
    let Some(last) = path.path.segments.last() else { return false };
    let bare = |segment: &syn::PathSegment| matches!(segment.arguments, PathArguments::None);
    let generic_ends_in_remote = bare(last) || last.ident == "Remote";
    let ahead = path.path.segments.len().saturating_sub(1);
    let others_bare = path.path.segments.iter().take(ahead).all(bare);
    path.qself.is_none()
        && generic_ends_in_remote
        && others_bare
        && !NO_PARAMETERS.iter().any(|name| last.ident == name)
}

/// The type inside of parentheses and of the invisible groups that other macros leave.
pub(crate) fn plain(mut of: &Type) -> &Type {
    loop {
        of = match of {
            Type::Group(group) => &group.elem,
            Type::Paren(paren) => &paren.elem,
            other => return other,
        };
    }
}

fn static_(static_: &ForeignItemStatic, report: &mut Report) -> Item {
    if let Safety::Safe(safe) = &static_.safety {
        report.add(safe, Message::Safe);
    }
    match plain(&static_.ty) {
        Type::Path(_) | Type::Ptr(_) | Type::Array(_) | Type::Tuple(_) | Type::FnPtr(_) | Type::Macro(_) => {}
        Type::Reference(_) => report.add(&static_.ty, Message::Reference),
        _ => report.add(&static_.ty, Message::StaticType),
    }
    let what = static_.ty.to_token_stream();
    let item = finish(&static_.attrs, &static_.vis, &static_.ident, ItemKind::Static, what, report);
    Item { result: Some((*static_.ty).clone()), ..item }
}

/// What functions and statics have in common.
pub(crate) fn finish(
    attributes: &[Attribute],
    visibility: &Visibility,
    ident: &Ident,
    kind: ItemKind,
    what: TokenStream,
    report: &mut Report,
) -> Item {
    let name = ident.unraw();
    let span = Span::call_site().located_at(ident.span());
    let mut item = Item {
        attributes: Vec::new(),
        cfgs: Vec::new(),
        visibility: self::visibility(visibility, report),
        constant: Ident::new(&name.to_string().to_uppercase(), span),
        symbol: (name.to_string(), ident.span()),
        kind,
        what,
        parameters: Vec::new(),
        result: None,
        layout: Vec::new(),
    };
    let mut named = false;
    for attribute in attributes {
        let path = attribute.path();
        if path.is_ident("cfg") {
            item.cfgs.push(attribute.clone());
        } else if path.is_ident("doc") || path.is_ident("deprecated") {
            item.attributes.push(attribute.clone());
        } else if path.is_ident("link_name") {
            match link_name(attribute).filter(|_| !named) {
                Some(symbol) => item.symbol = (symbol.value(), symbol.span()),
                None => report.add(attribute, Message::LinkName),
            }
            named = true;
        } else if path.is_ident("layout") {
            let members = attribute.parse_args_with(Punctuated::<Ident, Token![,]>::parse_terminated);
            match members.ok().filter(|members| !members.is_empty()) {
                Some(members) => item.layout.extend(members),
                None => report.add(attribute, Message::Layout),
            }
        } else {
            report.add(attribute, Message::Attribute);
        }
    }
    item
}

fn link_name(attribute: &Attribute) -> Option<LitStr> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    syn::parse2::<LitStr>(pair.value.to_token_stream()).ok().filter(|symbol| !symbol.value().is_empty())
}

/// Constants are public in their module unless the item says less.
fn visibility(visibility: &Visibility, report: &mut Report) -> TokenStream {
    match visibility {
        Visibility::Restricted(restricted) if restricted.path.is_ident("crate") => quote!(pub(crate)),
        Visibility::Restricted(restricted) => {
            report.add(restricted, Message::Visibility);
            quote!(pub)
        }
        Visibility::Public(_) | Visibility::Inherited => {
            let span = Span::call_site().located_at(visibility.span());
            quote::quote_spanned!(span=> pub)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::errors_of;

    fn declared(source: &str) -> Item {
        let mut report = Report::default();
        let item = item(&syn::parse_str(source).unwrap(), &mut report);
        assert!(report.is_empty(), "{source}: {}", report.into_tokens());
        item.unwrap()
    }

    #[test]
    fn a_function_becomes_a_pointer_type() {
        let item = declared(
            "/// D\n#[cfg(x)] fn dump(out: *mut Misc, len: usize, at: pie_blob::Remote<[u8]>) -> c_int;",
        );
        let expected = "unsafe extern \"C\" fn (* mut Misc , usize , pie_blob :: Remote < [u8] >) -> c_int";
        assert_eq!(item.what.to_string(), expected);
        assert_eq!((item.constant.to_string(), item.symbol.0.as_str()), ("DUMP".into(), "dump"));
        assert_eq!((item.attributes.len(), item.cfgs.len(), item.kind), (1, 1, ItemKind::Function));
        assert_eq!(item.marker(), "__DUMP");
    }

    #[test]
    fn names_of_symbols() {
        let item = declared("#[link_name = \"calls.0\"] static mut Calls: [u64; 4];");
        assert_eq!((item.constant.to_string(), item.symbol.0.as_str()), ("CALLS".into(), "calls.0"));
        assert_eq!(item.what.to_string(), "[u64 ; 4]");
        let raw = declared("fn r#match();");
        assert_eq!((raw.constant.to_string(), raw.symbol.0.as_str()), ("MATCH".into(), "match"));
    }

    #[test]
    fn what_can_be_declared() {
        for source in [
            "fn f();",
            "unsafe fn f() -> !;",
            "pub fn f() -> ();",
            "pub(crate) fn f() -> *const u8;",
            "fn f(a: u8, b: i64, c: (usize), d: core::ffi::c_int, e: Alias, f: *const [u8; 4]) -> u64;",
            "static T: *const u8;",
            "static T: module::Type<3>;",
            "static T: (u8, u8);",
            "static T: extern \"C\" fn();",
        ] {
            declared(source);
        }
    }

    #[test]
    fn what_cannot() {
        for (item, expected) in [
            ("fn f() {}", "declarations have no body"),
            ("static F: u8 = 0;", "declarations have no body and no value"),
            ("type T;", "expected `fn` or `static`"),
            ("m!();", "expected `fn` or `static`"),
            ("safe fn f();", "remove `safe`"),
            ("safe static F: u8;", "remove `safe`"),
            ("async fn f();", "remove the qualifier"),
            ("const fn f();", "remove the qualifier"),
            ("fn f<T>();", "remove generics"),
            ("fn f() where u8: Copy;", "remove generics"),
            ("fn f(a: u8, ...);", "variadic functions cannot be called"),
            ("fn f(self);", "has no `self`"),
            ("fn f(&self);", "has no `self`"),
            ("fn f(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8);", "7 parameters, and only six"),
            ("fn f(#[x] a: u8);", "parameters take no attributes"),
            ("fn f(a: &u8);", "a reference cannot point into another address space"),
            ("fn f(a: &'static mut u8);", "a reference cannot point"),
            ("fn f(a: impl Copy);", "parameters are integers"),
            ("fn f(a: dyn Copy);", "parameters are integers"),
            ("fn f(a: [u8; 4]);", "parameters are integers"),
            ("fn f(a: (u8, u8));", "parameters are integers"),
            ("fn f(a: ());", "parameters are integers"),
            ("fn f(a: f64);", "parameters are integers"),
            ("fn f(a: bool);", "parameters are integers"),
            ("fn f(a: u128);", "parameters are integers"),
            ("fn f(a: Vec<u8>);", "parameters are integers"),
            ("fn f(a: <T as U>::V);", "parameters are integers"),
            ("fn f(a: extern \"C\" fn());", "parameters are integers"),
            ("fn f(a: _);", "parameters are integers"),
            ("fn f(a: !);", "parameters are integers"),
            ("fn f() -> &'static u8;", "a reference cannot point"),
            ("fn f() -> (u8, u8);", "a function returns nothing"),
            ("fn f() -> f32;", "a function returns nothing"),
            ("static F: &'static str;", "a reference cannot point"),
            ("static F: _;", "expected the type of plain data"),
            ("static F: [u8];", "expected the type of plain data"),
            ("static F: dyn Copy;", "expected the type of plain data"),
            ("#[no_mangle] fn f();", "this attribute has no meaning here"),
            ("#[layout] fn f();", "expected `#[layout(member, …)]`"),
            ("#[layout(1)] fn f();", "expected `#[layout(member, …)]`"),
            ("#[link_name] fn f();", "expected `#[link_name"),
            ("#[link_name = \"\"] fn f();", "expected `#[link_name"),
            ("#[link_name = \"a\"] #[link_name = \"b\"] fn f();", "expected `#[link_name"),
            ("pub(super) fn f();", "write `pub`, `pub(crate)` or nothing"),
            ("pub(in crate::x) static F: u8;", "write `pub`, `pub(crate)` or nothing"),
        ] {
            let errors = errors_of(&format!("mod a = \"a\"; unsafe extern \"C\" {{ {item} }}"));
            assert!(errors.contains(expected), "{item}: {errors}");
        }
    }

    #[test]
    fn every_mistake_is_reported() {
        let errors = errors_of(
            "mod a = \"a\"; extern \"C\" { fn f(a: &u8, b: f32) {} fn g(a: &u8, b: f32); type T; }",
        );
        for expected in
            ["unsafe extern", "no body", "a reference cannot", "parameters are integers", "expected `fn`"]
        {
            assert!(errors.contains(expected), "{expected}: {errors}");
        }
    }
}
