//! Declared items against the image, and every name against every other.

use std::collections::HashMap;

use pie_blob_image::{Image, Symbol, SymbolKind, nearest};
use proc_macro2::{Ident, Span};
use quote::ToTokens as _;

use crate::declare::{Item, ItemKind};
use crate::messages::Message;
use crate::parse::Invocation;
use crate::report::Report;

/// Constants that every module has.
const FIXED: &[&str] = &["BYTES", "RELOCS", "BLOB"];

/// A constant to write, and what it stands for.
pub(crate) struct Constant<'a> {
    pub(crate) name: Ident,
    pub(crate) symbol: &'a Symbol,
    /// What the block says; `None` where there is no block.
    pub(crate) item: Option<&'a Item>,
}

/// The constants of the module: what is declared, or every export where nothing is.
pub(crate) fn check<'a>(
    invocation: &'a Invocation,
    image: &'a Image,
    report: &mut Report,
) -> Vec<Constant<'a>> {
    let constants: Vec<Constant<'a>> = match &invocation.items {
        Some(items) => items.iter().filter_map(|item| declared(item, image, report)).collect(),
        None => image.exports().iter().filter_map(|export| undeclared(invocation, export, report)).collect(),
    };
    names(invocation, &constants, report);
    constants
}

fn declared<'a>(item: &'a Item, image: &'a Image, report: &mut Report) -> Option<Constant<'a>> {
    let (name, span) = &item.symbol;
    let place = Ident::new("_0", *span).into_token_stream();
    let mut mistake = |message| report.add_when(&item.cfgs, &place, message);
    let Some(symbol) = image.symbol(name) else {
        let name = name.clone();
        match image.symbols_named(&name).len() {
            0 => {
                let near = nearest(&name, image.symbols().iter().map(Symbol::name));
                let near = near.into_iter().map(str::to_owned).collect();
                mistake(Message::NoSuchSymbol { name, near });
            }
            count => mistake(Message::SeveralSymbols { name, count }),
        }
        return None;
    };
    match (item.kind, symbol.kind()) {
        (ItemKind::Function, SymbolKind::Data) => mistake(Message::NotCode { name: name.clone() }),
        (ItemKind::Static, SymbolKind::Code) => mistake(Message::NotData { name: name.clone() }),
        _ => {}
    }
    Some(Constant { name: item.constant.clone(), symbol, item: Some(item) })
}

fn undeclared<'a>(invocation: &Invocation, export: &'a Symbol, report: &mut Report) -> Option<Constant<'a>> {
    let name = export.name().to_uppercase();
    match syn::parse_str::<Ident>(&name) {
        Ok(_) => {
            let name = Ident::new(&name, Span::call_site().located_at(invocation.name.span()));
            Some(Constant { name, symbol: export, item: None })
        }
        Err(_) => {
            report.add(&invocation.name, Message::Unnameable { export: export.name().to_owned() });
            None
        }
    }
}

/// No name may stand for two things. Items under a `#[cfg]` may never meet: the compiler says when they do.
fn names(invocation: &Invocation, constants: &[Constant<'_>], report: &mut Report) {
    let mut taken: HashMap<String, &str> = HashMap::new();
    for constant in constants {
        let cfgs = constant.item.map(|item| item.cfgs.as_slice()).unwrap_or_default();
        let name = constant.name.to_string();
        let link = constant.symbol.name();
        let place = match constant.item {
            Some(_) => constant.name.to_token_stream(),
            None => invocation.name.to_token_stream(),
        };
        if FIXED.contains(&name.as_str()) {
            report.add_when(cfgs, &place, Message::FixedName { name: name.clone() });
        }
        if !cfgs.is_empty() {
            continue;
        }
        match taken.get(&name) {
            Some(other) => {
                report.add(
                    &place,
                    Message::NamesMeet { name, other: (*other).to_owned(), link: link.to_owned() },
                );
            }
            None => {
                taken.insert(name, link);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{NEXT_FILE, errors_with_object};

    const OBJECT: &str = "
        .globl start, dump_misc, calls, blob, Twice, twice
        start: .type start, @function\n ret\n .size start, 1
        dump_misc: .type dump_misc, @function\n ret\n .size dump_misc, 1
        blob: ret\n Twice: ret\n twice: ret
        local: ret
        .data
        calls: .type calls, @object\n .quad 1\n .size calls, 8";

    fn declared(items: &str) -> String {
        errors_with_object(OBJECT, &|path| format!("mod a = {path:?}; unsafe extern \"C\" {{ {items} }}"))
    }

    #[test]
    fn what_the_object_has_is_accepted() {
        assert_eq!(
            declared("fn dump_misc(a: u8); static mut CALLS_: u64;").matches("compile_error").count(),
            1
        );
        assert_eq!(declared("fn start(); fn local(); static calls: u64;"), "");
        assert_eq!(declared("#[link_name = \"blob\"] fn the_blob();"), "");
        assert_eq!(declared("#[cfg(a)] fn twice(); #[cfg(not(a))] #[link_name = \"Twice\"] fn twice();"), "");
    }

    #[test]
    fn mistakes_about_the_object() {
        for (items, expected) in [
            ("fn dump_mics();", "the object defines no `dump_mics`; is it `dump_misc`?"),
            ("fn entirely_else();", "the object defines no `entirely_else`: export it in the blob"),
            ("#[link_name = \"call\"] static c: u64;", "is it `calls`"),
            ("static dump_misc: u8;", "`dump_misc` is a function in the object: declare it as a `fn`"),
            ("fn calls();", "`calls` is data in the object: declare it as a `static`"),
            ("fn blob();", "the module has its own `BLOB`"),
            ("#[link_name = \"calls\"] static bytes: u64;", "the module has its own `BYTES`"),
            ("#[link_name = \"calls\"] static Relocs: u64;", "the module has its own `RELOCS`"),
            ("fn twice(); fn Twice();", "`twice` and `Twice` both become `TWICE`"),
        ] {
            let errors = declared(items);
            assert!(errors.contains(expected), "{items}: {errors}");
        }
    }

    #[test]
    fn a_mistake_under_a_cfg_is_one_only_there() {
        let errors = declared("#[cfg(windows)] fn nowhere();");
        assert!(errors.contains("# [cfg (windows)] :: core :: compile_error !"), "{errors}");
    }

    #[test]
    fn exports_of_a_blob_without_a_block() {
        let errors = errors_with_object(OBJECT, &|path| format!("mod a = {path:?};"));
        assert!(errors.contains("the module has its own `BLOB`"), "{errors}");
        assert!(errors.contains("both become `TWICE`"), "{errors}");
        let errors = errors_with_object(".globl _\n _: ret", &|path| format!("mod a = {path:?};"));
        assert!(errors.contains("the export `_` has no name in Rust"), "{errors}");
    }

    #[test]
    fn local_symbols_of_one_name() {
        let object = format!(".globl start\n start: ret\n helper: ret{NEXT_FILE} helper: ret");
        let errors = errors_with_object(&object, &|path| {
            format!("mod a = {path:?}; unsafe extern \"C\" {{ fn helper(); }}")
        });
        assert!(errors.contains("2 local symbols of the object are called `helper`"), "{errors}");
    }
}
