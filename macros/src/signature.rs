//! Declared signatures against what the object says of its own: parameters, results, sizes and members.
//!
//! What a macro can tell from a type's name is told at once. What it cannot, the compiler is asked: an assertion
//! stands where the type does. An object that says nothing is not contradicted.

use pie_blob_image::{Class, Described, Description, Image, Parameter, Structure, Value, nearest};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, Ident, Type};

use crate::check::Constant;
use crate::declare::{Item, plain};
use crate::messages::Message;
use crate::parse::Invocation;
use crate::report::Report;

/// Integers that have the same size for every target, by the last part of their path.
const INTEGERS: &[(&str, u64)] = &[
    ("u8", 1),
    ("i8", 1),
    ("u16", 2),
    ("i16", 2),
    ("u32", 4),
    ("i32", 4),
    ("u64", 8),
    ("i64", 8),
    ("c_char", 1),
    ("c_schar", 1),
    ("c_uchar", 1),
    ("c_short", 2),
    ("c_ushort", 2),
    ("c_int", 4),
    ("c_uint", 4),
    ("c_longlong", 8),
    ("c_ulonglong", 8),
];

/// What a name alone tells of a declared type.
enum Declared<'a> {
    Nothing,
    Integer(u64),
    Pointer(&'a Type),
    /// `Remote<T>`: eight bytes that are an address to one side and may be a number to the other.
    Remote,
    /// The name of a type that the compiler knows.
    Named,
}

/// Describes the declared symbols of the object and holds the declarations against that; returns what the
/// compiler is to be asked for each constant.
pub(crate) fn check(
    invocation: &Invocation,
    object: &[u8],
    image: &Image,
    constants: &[Constant<'_>],
    report: &mut Report,
) -> Vec<TokenStream> {
    let declared: Vec<_> =
        constants.iter().filter(|constant| constant.item.is_some()).map(|c| c.symbol).collect();
    let mut descriptions = pie_blob_image::describe(object, &declared).into_iter();
    let width = u64::from(image.architecture().pointer_width());
    let assertions = constants.iter().map(|constant| {
        let Some(item) = constant.item else { return TokenStream::new() };
        let Some(description) = descriptions.next().flatten() else { return TokenStream::new() };
        let mut checked = Checked {
            item,
            cfgs: invocation.cfgs().into_iter().chain(item.cfgs.iter().cloned()).collect(),
            description: &description,
            width,
            report: &mut *report,
            assertions: TokenStream::new(),
        };
        match description.what() {
            Described::Function { parameters, variadic, result } => {
                checked.function(parameters, *variadic, result);
            }
            Described::Static(value) => checked.static_(value, constant.symbol.size()),
            _ => {}
        }
        checked.assertions
    });
    assertions.collect()
}

struct Checked<'a, 'r> {
    item: &'a Item,
    /// Where the item is there at all: the module's conditions and its own.
    cfgs: Vec<Attribute>,
    description: &'a Description,
    width: u64,
    report: &'r mut Report,
    assertions: TokenStream,
}

impl Checked<'_, '_> {
    fn mistake(&mut self, place: impl quote::ToTokens, problem: impl FnOnce(String) -> Message) {
        let message = problem(self.description.to_string());
        self.report.add_when(&self.item.cfgs, place, message);
    }

    fn function(&mut self, parameters: &[Parameter], variadic: bool, result: &Value) {
        let item = self.item;
        let count = item.parameters.len();
        if count < parameters.len() || (count > parameters.len() && !variadic) {
            let place = Ident::new("_0", item.symbol.1).into_token_stream();
            self.mistake(place, |blob| Message::ParameterCount { blob, count });
            return;
        }
        for (declared, parameter) in item.parameters.iter().zip(parameters) {
            self.value(declared, &parameter.value);
        }
        if let Some(declared) = &item.result {
            self.value(declared, result);
        }
        let structures = item.parameters.iter().zip(parameters).filter_map(|(declared, parameter)| {
            Some((named_pointee(declared)?, parameter.value.structure.as_ref()?))
        });
        match structures.into_iter().next() {
            Some((pointee, structure)) => self.layout(pointee, structure),
            None => self.no_layout(),
        }
    }

    /// One declared type against one of the object's.
    fn value(&mut self, declared: &Type, value: &Value) {
        let Some(size) = value.size else { return };
        let known = known(declared, self.width);
        let fits = match (value.class, &known) {
            (Class::Unknown, _) | (_, Declared::Nothing) => true,
            // What fits into a register may be passed in one.
            (Class::Aggregate, _) => size <= self.width,
            (Class::Nothing | Class::Float, _) => false,
            (Class::Integer, Declared::Integer(declared)) => *declared == size,
            (Class::Integer, Declared::Pointer(_)) | (Class::Pointer, Declared::Integer(_)) => false,
            (Class::Integer | Class::Pointer, Declared::Remote) => size == self.width,
            (Class::Pointer, Declared::Pointer(_)) | (Class::Integer | Class::Pointer, Declared::Named) => {
                true
            }
        };
        if !fits {
            let declared_as = declared.to_token_stream().to_string().replace(" ", "");
            let declared_as = declared_as.replace("*mut", "*mut ").replace("*const", "*const ");
            let found = format!("`{}` ({})", value.name, said(value.class, size));
            self.mistake(declared, |blob| Message::Signature { blob, found, declared: declared_as });
            return;
        }
        if matches!(known, Declared::Named) && matches!(value.class, Class::Integer | Class::Pointer) {
            self.size(declared, size, &value.name);
        }
        let structure = value.structure.as_ref().and_then(|structure| Some((structure, structure.size?)));
        if let (Some(pointee), Some((structure, size)), Class::Pointer) =
            (named_pointee(declared), structure, value.class)
        {
            self.size(pointee, size, &structure.name);
        }
    }

    fn static_(&mut self, value: &Value, symbol_size: u64) {
        let Some(declared) = &self.item.result else { return };
        // The symbol's own size is asked for elsewhere, with the alignment.
        if let (0, Some(size)) = (symbol_size, value.size.filter(|_| value.class != Class::Unknown)) {
            self.size(declared, size, &value.name);
        }
        match &value.structure {
            Some(structure) => self.layout(declared, structure),
            None => self.no_layout(),
        }
    }

    /// There are no members to compare: listed ones are a mistake.
    fn no_layout(&mut self) {
        if let Some(first) = self.item.layout.first() {
            self.mistake(first, |blob| Message::NoLayout { blob });
        }
    }

    /// Asks the compiler for the size of a type.
    fn size(&mut self, declared: &Type, size: u64, name: &str) {
        let message =
            Message::TypeSize { blob: self.description.to_string(), name: name.to_owned(), size }.to_string();
        let span = Span::call_site().located_at(declared.span());
        let cfgs = &self.cfgs;
        self.assertions.extend(quote_spanned! {span=>
            #(#cfgs)*
            const _: () = if ::core::mem::size_of::<#declared>() as ::core::primitive::u64 != #size { ::core::panic!("{}", #message) };
        });
    }

    /// Asks the compiler for the offsets of the members that `#[layout(…)]` lists.
    fn layout(&mut self, declared: &Type, structure: &Structure) {
        let item = self.item;
        for field in &item.layout {
            let name = syn::ext::IdentExt::unraw(field).to_string();
            let Some(member) = structure.members.iter().find(|member| member.name == name) else {
                let near = nearest(&name, structure.members.iter().map(|member| member.name.as_str()));
                let near = near.into_iter().map(str::to_owned).collect();
                let structure = structure.name.clone();
                self.mistake(field, |_| Message::NoSuchMember { name, structure, near });
                continue;
            };
            let offset = member.offset;
            let structure = structure.name.clone();
            let message = Message::MemberOffset { name, structure, offset }.to_string();
            let span = Span::call_site().located_at(field.span());
            let cfgs = &self.cfgs;
            let of = quote!(::core::mem::offset_of!(#declared, #field));
            self.assertions.extend(quote_spanned! {span=>
                #(#cfgs)*
                const _: () = if #of as ::core::primitive::u64 != #offset { ::core::panic!("{}", #message) };
            });
        }
    }
}

fn said(class: Class, size: u64) -> String {
    let what = match class {
        Class::Nothing => return "nothing".to_owned(),
        Class::Integer => "an integer",
        Class::Pointer => "a pointer",
        Class::Float => "a floating-point number",
        Class::Aggregate | Class::Unknown => "a value",
    };
    format!("{what} of {size} bytes")
}

fn known(declared: &Type, width: u64) -> Declared<'_> {
    match plain(declared) {
        Type::Ptr(pointer) => Declared::Pointer(&pointer.elem),
        Type::Never(_) | Type::Tuple(_) => Declared::Nothing,
        Type::Path(path) => {
            let last = path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
            match last.as_str() {
                "Remote" => Declared::Remote,
                "usize" | "isize" => Declared::Integer(width),
                name => INTEGERS
                    .iter()
                    .find(|integer| integer.0 == name)
                    .map_or(Declared::Named, |integer| Declared::Integer(integer.1)),
            }
        }
        _ => Declared::Named,
    }
}

/// What a declared pointer leads to, where that is the name of a structure.
fn named_pointee(declared: &Type) -> Option<&Type> {
    let Declared::Pointer(pointee) = known(declared, 8) else { return None };
    let Type::Path(path) = plain(pointee) else { return None };
    let last = path.path.segments.last()?.ident.to_string();
    // What has no size, or says on purpose that it is nothing in particular.
    let opaque = matches!(last.as_str(), "c_void" | "str" | "CStr");
    (!opaque && matches!(known(pointee, 8), Declared::Named)).then_some(pointee)
}

#[cfg(test)]
mod tests {
    use crate::testing::expand_with_c;

    const C: &str = "
        struct misc { int pid; unsigned long flags; };
        typedef unsigned int number;
        int start(number a, struct misc *b) { return a + b->pid; }
        void *find(const char *name, long length) { return (void *)(name + length); }
        double half(float a) { return a / 2; }
        void done(void) { }
        int print(const char *format, ...) { return *format; }
        struct misc here = { 1, 2 };";

    fn expanded(items: &str) -> (String, String) {
        expand_with_c(C, "-g -O1", &|path| format!("mod a = {path:?}; unsafe extern \"C\" {{ {items} }}"))
    }

    #[test]
    fn what_fits_is_accepted() {
        for items in [
            "fn start(a: u32, b: *mut Misc) -> c_int;",
            "fn start(a: ::core::ffi::c_uint, b: Remote<Misc>) -> i32; fn done();",
            "fn start(a: Alias, b: Address) -> Alias;",
            "fn start(a: i32, b: *const u8); fn done() -> !;",
            "fn find(name: *const u8, length: Remote<u8>) -> *mut c_void;",
            "fn find(name: *const [u8; 4], length: isize) -> Remote<u8>;",
            "fn print(format: *const u8) -> c_int;",
            "#[link_name = \"print\"] fn print2(format: *const u8, a: u8, b: u64) -> c_int;",
            "#[layout(pid, flags)] static here: Misc;",
            "#[layout(r#pid)] fn start(a: u32, b: *mut Misc) -> c_int;",
        ] {
            assert_eq!(expanded(items).1, "", "{items}");
        }
    }

    #[test]
    fn what_does_not_fit_is_shown_with_both_sides() {
        let blob = "the blob has `fn start(a: number, b: *mut misc) -> int` at 0.c:4; the declaration has";
        for (items, expected) in [
            ("fn start(a: u32);", format!("{blob} 1 parameter: ")),
            ("fn start(a: u32, b: u64, c: u8);", format!("{blob} 3 parameters")),
            ("fn start(a: u64, b: *mut M);", format!("{blob} `u64` for `number` (an integer of 4 bytes)")),
            ("fn start(a: Remote<u8>, b: *mut M);", format!("{blob} `Remote<u8>` for `number`")),
            ("fn start(a: *const u8, b: *mut M);", format!("{blob} `*const u8` for `number`")),
            ("fn start(a: u32, b: usize);", format!("{blob} `usize` for `*mut misc` (a pointer of 8 bytes)")),
            ("fn start(a: u32, b: *mut M) -> u8;", format!("{blob} `u8` for `int`")),
            ("fn done() -> u8;", "`u8` for `()` (nothing)".to_owned()),
            ("fn half(a: u32) -> u64;", "`u64` for `double` (a floating-point number of 8 bytes)".to_owned()),
            ("fn print();", "the declaration has 0 parameters".to_owned()),
            (
                "#[layout(pidd)] static here: M;",
                "the blob's `misc` has no member `pidd`; is it `pid`?".to_owned(),
            ),
            (
                "#[layout(pid)] fn done();",
                "`fn done()` at 0.c:7, where not both sides name a structure".to_owned(),
            ),
            (
                "#[layout(pid)] fn start(a: u32, b: *mut u8);",
                "where not both sides name a structure".to_owned(),
            ),
            ("#[layout(other)] fn start(a: u32, b: *mut M);", "no member `other`: remove it".to_owned()),
        ] {
            let errors = expanded(items).1;
            assert!(errors.contains(&expected), "{items}: {errors}");
        }
        let errors = expanded("fn start(a: u64, b: usize) -> u8;").1;
        assert_eq!(errors.matches("compile_error").count(), 3, "{errors}");
    }

    #[test]
    fn the_compiler_is_asked_for_what_it_knows() {
        let (expansion, _) = expanded("#[layout(flags)] fn start(a: Alias, b: *mut m::Misc) -> c_int;");
        for expected in [
            "size_of :: < Alias > () as :: core :: primitive :: u64 != 4u64",
            "size_of :: < m :: Misc > () as :: core :: primitive :: u64 != 16u64",
            "offset_of ! (m :: Misc , flags) as :: core :: primitive :: u64 != 8u64",
        ] {
            assert!(expansion.contains(expected), "{expected}: {expansion}");
        }
        let (expansion, _) = expanded("fn start(a: u32, b: *mut c_void) -> c_int; fn done();");
        assert!(!expansion.contains("size_of"), "{expansion}");
    }

    /// An address, and what is as wide as one, is what it is where the blob runs.
    #[test]
    fn pointer_sized_types_are_those_of_a_foreign_blob() {
        let foreign = |items: &str| {
            expand_with_c(C, "-m32 -g -O1", &|path| {
                format!("mod a = {path:?}, foreign; unsafe extern \"C\" {{ {items} }}")
            })
        };
        for items in [
            "fn find(name: *const u8, length: isize) -> *mut c_void;",
            "fn find(name: *const u8, length: i32) -> *mut c_void;",
        ] {
            assert_eq!(foreign(items).1, "", "{items}");
        }
        let errors = foreign("fn find(name: *const u8, length: i64) -> *mut c_void;").1;
        assert!(errors.contains("`i64` for `long int` (an integer of 4 bytes)"), "{errors}");
        let errors = foreign("fn find(name: u64, length: isize) -> *mut c_void;").1;
        assert!(errors.contains("`u64` for `*const char` (a pointer of 4 bytes)"), "{errors}");
        // The compiler knows how wide `c_long` is here.
        let (expansion, _) = foreign("fn find(name: *const u8, length: c_long) -> *mut c_void;");
        assert!(
            expansion.contains("size_of :: < c_long > () as :: core :: primitive :: u64 != 4u64"),
            "{expansion}"
        );
    }

    #[test]
    fn an_object_that_says_nothing_is_not_contradicted() {
        let items = "fn start() -> u8; #[layout(nothing)] static here: [u8; 16];";
        let invocation = |path: &str| format!("mod a = {path:?}; unsafe extern \"C\" {{ {items} }}");
        assert_eq!(expand_with_c(C, "-g0", &invocation).1, "");
    }
}
