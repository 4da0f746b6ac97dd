//! Tokens to an invocation.
//!
//! ```text
//! invocation := STRING options
//!             | attributes visibility "mod" IDENT "=" STRING options ";" { block | imports }
//! options    := { "," option } [ "," ]
//! option     := "base" "=" INTEGER | "abs32" "=" ( "checked" | "truncate" ) | "foreign" | "crate" "=" PATH
//! block      := "unsafe" "extern" "\"C\"" "{" { fn ";" | static ";" } "}"
//! imports    := "imports" "{" { fn ";" | static ";" } "}"
//! ```
//!
//! At most one of each.

use pie_blob_image::Abs32;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, ItemForeignMod, LitInt, LitStr, Path, Token, Visibility};

use crate::declare::{Item, item};
use crate::imports::{Block, Declared};
use crate::messages::Message;
use crate::report::Report;

/// One invocation of the macro.
pub(crate) struct Invocation {
    /// Documentation and `#[cfg]` of the module.
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) module: Ident,
    /// The blob's name, or the path of its object.
    pub(crate) name: LitStr,
    pub(crate) options: Options,
    /// What the block declares; `None` where there is no block.
    pub(crate) items: Option<Vec<Item>>,
    /// What the `imports` block declares, and its word; `None` where there is no such block.
    pub(crate) imports: Option<(Ident, Vec<Declared>)>,
}

/// What follows the name.
#[derive(Default)]
pub(crate) struct Options {
    /// The address to relocate for, and where it is written.
    pub(crate) base: Option<(u64, LitInt)>,
    /// What becomes of absolute words that are narrower than an address.
    pub(crate) abs32: Option<Abs32>,
    /// The blob may be for another instruction set than the crate.
    pub(crate) foreign: bool,
    runtime: Option<Path>,
}

impl Invocation {
    /// The attributes that decide whether the module is there at all.
    pub(crate) fn cfgs(&self) -> Vec<Attribute> {
        self.attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).cloned().collect()
    }
}

impl Options {
    /// The runtime crate, as it is named inside of the module when `inside`, else beside it.
    pub(crate) fn runtime(&self, inside: bool) -> TokenStream {
        let Some(path) = &self.runtime else { return quote!(::pie_blob) };
        let first = path.segments.first().map(|segment| segment.ident.to_string());
        let rest = path.segments.iter().skip(1);
        match first.as_deref() {
            Some("self") if inside => quote!(super #(:: #rest)*),
            Some("super") if inside => quote!(super::super #(:: #rest)*),
            _ => path.to_token_stream(),
        }
    }
}

/// Parses an invocation. `None` if its syntax leaves nothing to go on with; the report then says why.
pub(crate) fn parse(tokens: TokenStream, report: &mut Report) -> Option<Invocation> {
    let parser = |input: ParseStream<'_>| invocation(input, report);
    match parser.parse2(tokens) {
        Ok(invocation) => invocation,
        Err(error) => {
            report.add_syntax(error);
            None
        }
    }
}

fn invocation(input: ParseStream<'_>, report: &mut Report) -> syn::Result<Option<Invocation>> {
    if input.peek(syn::LitStr) {
        let name: LitStr = input.parse()?;
        let options = options(input, report)?;
        let module = module_name(&name, report);
        return Ok(module.map(|module| Invocation {
            attributes: Vec::new(),
            visibility: Visibility::Inherited,
            module,
            name,
            options,
            items: None,
            imports: None,
        }));
    }
    let attributes = input.call(Attribute::parse_outer)?;
    let visibility = input.parse()?;
    input.parse::<Token![mod]>()?;
    let module = input.parse()?;
    input.parse::<Token![=]>()?;
    let name: LitStr = input.parse()?;
    let options = options(input, report)?;
    input.parse::<Token![;]>()?;
    let (mut items, mut imports) = (None, None);
    while !input.is_empty() {
        if Block::peek(input) {
            let block: Block = input.parse()?;
            if imports.is_some() {
                report.add(block.keyword, Message::SecondImports);
                continue;
            }
            let declared = block.read(report);
            imports = Some((block.keyword, declared));
        } else {
            let declared: ItemForeignMod = input.parse()?;
            if items.is_some() {
                report.add(&declared.abi, Message::SecondBlock);
                continue;
            }
            items = Some(block(&declared, report));
        }
    }
    if name.value().is_empty() {
        report.add(&name, Message::EmptyName);
    }
    Ok(Some(Invocation { attributes, visibility, module, name, options, items, imports }))
}

fn options(input: ParseStream<'_>, report: &mut Report) -> syn::Result<Options> {
    let mut options = Options::default();
    while input.peek(Token![,]) {
        input.parse::<Token![,]>()?;
        if input.is_empty() || input.peek(Token![;]) {
            break;
        }
        if input.peek(Token![crate]) {
            let keyword: Token![crate] = input.parse()?;
            input.parse::<Token![=]>()?;
            if options.runtime.replace(input.call(Path::parse_mod_style)?).is_some() {
                report.add(keyword, Message::RepeatedOption { option: "crate" });
            }
            continue;
        }
        let option: Option<Ident> = input.parse()?;
        let option = match option {
            Some(option) if option == "base" => option,
            Some(option) if option == "abs32" => {
                input.parse::<Token![=]>()?;
                abs32(&option, input, &mut options, report)?;
                continue;
            }
            Some(option) if option == "foreign" => {
                if std::mem::replace(&mut options.foreign, true) {
                    report.add(option, Message::RepeatedOption { option: "foreign" });
                }
                continue;
            }
            Some(other) => return Err(syn::Error::new(other.span(), Message::UnknownOption)),
            None => return Err(input.error(Message::UnknownOption)),
        };
        input.parse::<Token![=]>()?;
        let value: LitInt =
            input.parse().map_err(|error| syn::Error::new(error.span(), Message::BaseValue))?;
        match value.base10_parse() {
            Ok(_) if options.base.is_some() => report.add(option, Message::RepeatedOption { option: "base" }),
            Ok(base) => options.base = Some((base, value)),
            Err(_) => report.add(value, Message::BaseValue),
        }
    }
    Ok(options)
}

/// The value of `abs32`.
fn abs32(
    option: &Ident,
    input: ParseStream<'_>,
    options: &mut Options,
    report: &mut Report,
) -> syn::Result<()> {
    let value: Ident = input.parse().map_err(|error| syn::Error::new(error.span(), Message::Abs32Value))?;
    let value = match value.to_string().as_str() {
        "checked" => Abs32::Checked,
        "truncate" => Abs32::Truncate,
        _ => {
            report.add(value, Message::Abs32Value);
            return Ok(());
        }
    };
    if options.abs32.replace(value).is_some() {
        report.add(option, Message::RepeatedOption { option: "abs32" });
    }
    Ok(())
}

/// The module that a blob's name gives: for a path, the file's name without its extension.
fn module_name(name: &LitStr, report: &mut Report) -> Option<Ident> {
    let value = name.value();
    if value.is_empty() {
        report.add(name, Message::EmptyName);
        return None;
    }
    let stem = value.rsplit('/').next().unwrap_or_default();
    let stem = stem.strip_suffix(".po").unwrap_or(stem).replace('-', "_");
    let Ok(ident) = syn::parse_str::<Ident>(&stem) else {
        report.add(name, Message::ModuleName { name: stem });
        return None;
    };
    Some(Ident::new(&ident.to_string(), Span::call_site().located_at(name.span())))
}

fn block(block: &ItemForeignMod, report: &mut Report) -> Vec<Item> {
    for attribute in &block.attrs {
        report.add(attribute, Message::BlockAttribute);
    }
    if block.unsafety.is_none() {
        report.add(&block.abi, Message::BlockWithoutUnsafe);
    }
    if block.abi.name.as_ref().is_some_and(|name| name.value() != "C") {
        report.add(&block.abi, Message::BlockAbi);
    }
    block.items.iter().filter_map(|declared| item(declared, report)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::errors_of;

    fn parsed(source: &str) -> Invocation {
        let mut report = Report::default();
        let invocation = parse(source.parse().unwrap(), &mut report);
        assert!(report.is_empty(), "{}", report.into_tokens());
        invocation.unwrap()
    }

    #[test]
    fn the_short_form() {
        let short = parsed("\"my-parasite\"");
        assert_eq!(
            (short.module.to_string(), short.name.value()),
            ("my_parasite".into(), "my-parasite".into())
        );
        assert!(short.items.is_none());
        assert_eq!(parsed("\"some/where/else-where.po\",").module, "else_where");
    }

    #[test]
    fn options_follow_the_name() {
        let short = parsed("\"a\", base = 0x8000, crate = ::my::pie_blob");
        assert_eq!(short.options.base.as_ref().map(|base| base.0), Some(0x8000));
        assert_eq!(short.options.abs32, None);
        assert_eq!(parsed("\"a\", abs32 = checked, base = 1").options.abs32, Some(Abs32::Checked));
        assert_eq!(parsed("\"a\", abs32 = truncate").options.abs32, Some(Abs32::Truncate));
        assert_eq!(short.options.runtime(true).to_string(), ":: my :: pie_blob");
        let declared =
            parsed("/// D\npub mod b = \"a\", base = 4096, crate = self::x; unsafe extern \"C\" { fn f(); }");
        assert_eq!(declared.options.runtime(true).to_string(), "super :: x");
        assert_eq!(declared.options.runtime(false).to_string(), "self :: x");
        assert_eq!(
            parsed("\"a\", crate = super::x").options.runtime(true).to_string(),
            "super :: super :: x"
        );
        assert_eq!(parsed("\"a\"").options.runtime(true).to_string(), ":: pie_blob");
        assert_eq!(declared.items.unwrap().len(), 1);
        assert!(parsed("mod b = \"a\";").items.is_none());
    }

    #[test]
    fn mistakes_in_the_invocation() {
        for (source, expected) in [
            ("", "expected"),
            ("\"a\" \"b\"", "unexpected token"),
            (
                "\"a\", colour = 3",
                "expected an option: `base = 0x…`, `abs32 = …`, `foreign` or `crate = path`",
            ),
            ("\"a\", abs32 = 3", "expected `abs32 = checked` or `abs32 = truncate`"),
            ("\"a\", abs32 = cut", "expected `abs32 = checked` or `abs32 = truncate`"),
            ("\"a\", abs32 = checked, abs32 = checked", "`abs32` is given twice"),
            ("\"a\", base = 1, base = 2", "`base` is given twice"),
            ("\"a\", foreign, foreign", "`foreign` is given twice"),
            ("\"a\", crate = x, crate = y", "`crate` is given twice"),
            ("\"a\", base = x", "expected an address of at most 64 bits"),
            ("\"a\", base = 0x1_0000_0000_0000_0000", "expected an address of at most 64 bits"),
            ("\"\"", "the name of the blob is empty"),
            ("mod a = \"\";", "the name of the blob is empty"),
            ("\"1st\"", "`1st` is not the name of a module"),
            ("\"mod\"", "`mod` is not the name of a module"),
            ("mod a = \"a\"; extern \"C\" {}", "write `unsafe extern"),
            ("mod a = \"a\"; unsafe extern \"C\" {} unsafe extern \"C\" {}", "one `extern` block"),
            ("mod a = \"a\"; unsafe extern \"sysv64\" {}", "called with the C ABI"),
            ("mod a = \"a\"; #[link(name = \"x\")] unsafe extern \"C\" {}", "the block takes no attributes"),
        ] {
            let errors = errors_of(source);
            assert!(errors.contains(expected), "{source}: {errors}");
        }
    }
}
