//! Every message of the macro, in one table: what is wrong and what to do about it.

use std::fmt;

/// What a mistake is told as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Message {
    // The invocation.
    UnknownOption,
    RepeatedOption { option: &'static str },
    BaseValue,
    Abs32Value,
    ModuleName { name: String },
    EmptyName,
    SecondBlock,
    SecondImports,
    BlockWithoutUnsafe,
    BlockAbi,
    BlockAttribute,
    // The object's file.
    NotFound { name: String, places: Vec<String> },
    VariablePoints { variable: String, path: String, error: String },
    Unreadable { path: String, error: String },
    PathEncoding { path: String },
    Faults { path: String, faults: String },
    Base { error: String },
    // A declared item.
    Attribute,
    LinkName,
    Layout,
    Visibility,
    Body,
    NeitherFnNorStatic,
    Safe,
    Qualifier,
    Generics,
    Variadic,
    Receiver,
    TooManyParameters { count: usize },
    ParameterAttribute,
    Reference,
    Parameter,
    Return,
    StaticType,
    // Names.
    FixedName { name: String },
    NamesMeet { name: String, other: String, link: String },
    Unnameable { export: String },
    // Against the image.
    NoSuchSymbol { name: String, near: Vec<String> },
    SeveralSymbols { name: String, count: usize },
    NotCode { name: String },
    NotData { name: String },
    // Against what the object says of itself.
    ParameterCount { blob: String, count: usize },
    Signature { blob: String, found: String, declared: String },
    TypeSize { blob: String, name: String, size: u64 },
    NoSuchMember { name: String, structure: String, near: Vec<String> },
    NoLayout { blob: String },
    MemberOffset { name: String, structure: String, offset: u64 },
    // Imports.
    ImportLayout,
    ImportReceiver,
    ImportType,
    ImportsWanted { name: String, module: String, names: Vec<String> },
    ImportsAtBase { names: Vec<String> },
    ImportUndeclared { name: String },
    ImportUnknown { name: String, near: Vec<String> },
    ImportDefined { name: String },
    ImportRepeated { name: String },
    // In the expansion.
    Size { name: String, size: u64 },
    Alignment { name: String, offset: u32, align: u64 },
    Architecture { name: String, architecture: &'static str },
}

/// What a parameter may be, for messages that refuse one.
const PARAMETERS: &str = "parameters are integers, `*const T`, `*mut T` and `Remote<T>`";

/// How many names a message shows at most.
const MOST_SHOWN: usize = 16;

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownOption => f.write_str("expected an option: `base = 0x…`, `abs32 = …`, `foreign` or `crate = path`"),
            Self::RepeatedOption { option } => write!(f, "`{option}` is given twice: remove one"),
            Self::BaseValue => f.write_str("expected an address of at most 64 bits, such as `base = 0x8000`"),
            Self::Abs32Value => f.write_str(
                "expected `abs32 = checked` or `abs32 = truncate`: what becomes of absolute words that are narrower than an \
                 address",
            ),
            Self::ModuleName { name } => write!(
                f,
                "`{name}` is not the name of a module: write `pie_blob! {{ mod some_name = \"…\"; }}` to give it one"
            ),
            Self::EmptyName => f.write_str("the name of the blob is empty: write the name that the build script gives it"),
            Self::SecondBlock => f.write_str("one `extern` block holds all declarations: move these into the first one"),
            Self::SecondImports => f.write_str("one `imports` block holds all imports: move these into the first one"),
            Self::BlockWithoutUnsafe => f.write_str(
                "write `unsafe extern \"C\"`: nothing but this declaration says what the parameters of the functions are",
            ),
            Self::BlockAbi => f.write_str("functions of a blob are called with the C ABI: write `unsafe extern \"C\"`"),
            Self::BlockAttribute => {
                f.write_str("the block takes no attributes: write them at the module or at the items")
            }
            Self::NotFound { name, places } => {
                write!(f, "there is no object for the blob `{name}`; looked for")?;
                for place in places {
                    write!(f, "\n  {place}")?;
                }
                write!(
                    f,
                    "\nbuild it in build.rs: `pie_blob_build::Blob::new(\"{name}\").….build()`; if build.rs does, it has not \
                     run: build this crate once, and let the editor run build scripts"
                )
            }
            Self::VariablePoints { variable, path, error } => write!(
                f,
                "{variable} points to {path}, which cannot be read: {error}; run the build script again or correct the variable"
            ),
            Self::Unreadable { path, error } => write!(
                f,
                "the object {path} cannot be read: {error}; build it, or correct the path: it begins in this crate's folder"
            ),
            Self::PathEncoding { path } => {
                write!(f, "the object's path is not UTF-8 and cannot be tracked, rename it: {path}")
            }
            Self::Faults { path, faults } => {
                write!(f, "the object {path} cannot become a blob:")?;
                faults.lines().try_for_each(|fault| write!(f, "\n  {fault}"))
            }
            Self::Base { error } => write!(f, "{error}: choose another base"),
            Self::Attribute => f.write_str(
                "this attribute has no meaning here: items take documentation, `#[cfg]`, `#[deprecated]`, \
                 `#[link_name = \"…\"]` and `#[layout(…)]`",
            ),
            Self::LinkName => f.write_str("expected `#[link_name = \"symbol\"]`, once"),
            Self::Layout => f.write_str("expected `#[layout(member, …)]`: members of the structure that the item is or points to"),
            Self::Visibility => {
                f.write_str("write `pub`, `pub(crate)` or nothing: the module's visibility decides the rest")
            }
            Self::Body => f.write_str("declarations have no body and no value, those are in the blob: end it with `;`"),
            Self::NeitherFnNorStatic => f.write_str("expected `fn` or `static`: a blob exports nothing else"),
            Self::Safe => f.write_str(
                "nothing here can promise that a function in another image is safe: remove `safe`",
            ),
            Self::Qualifier => f.write_str("a blob's function is a plain `fn`: remove the qualifier"),
            Self::Generics => f.write_str("a symbol is one function, not a family: remove generics and `where`"),
            Self::Variadic => f.write_str("variadic functions cannot be called: declare the parameters that it takes"),
            Self::Receiver => write!(f, "a blob's function has no `self`: {PARAMETERS}"),
            Self::TooManyParameters { count } => write!(
                f,
                "{count} parameters, and only six fit into registers: pass a pointer to a struct"
            ),
            Self::ParameterAttribute => f.write_str("parameters take no attributes: remove it"),
            Self::Reference => write!(
                f,
                "a reference cannot point into another address space; {PARAMETERS}: write `*const T` or `*mut T`, the \
                 call copies what it points to"
            ),
            Self::Parameter => write!(f, "{PARAMETERS}: pass everything else by pointer"),
            Self::Return => {
                f.write_str("a function returns nothing, `!`, an integer or a pointer: write everything else through a pointer")
            }
            Self::StaticType => f.write_str("expected the type of plain data: a path, a raw pointer or an array"),
            Self::FixedName { name } => write!(
                f,
                "the module has its own `{name}`: declare the item under another name with `#[link_name = \"…\"]`"
            ),
            Self::NamesMeet { name, other, link } => write!(
                f,
                "`{other}` and `{link}` both become `{name}`: declare one under another name with `#[link_name = \"{link}\"]`"
            ),
            Self::Unnameable { export } => write!(
                f,
                "the export `{export}` has no name in Rust: declare it with `#[link_name = \"{export}\"]`"
            ),
            Self::NoSuchSymbol { name, near } => {
                write!(f, "the object defines no `{name}`")?;
                nearest(f, near, "export it in the blob, or name it with `#[link_name]`")
            }
            Self::SeveralSymbols { name, count } => write!(
                f,
                "{count} local symbols of the object are called `{name}`: rename or export the one that is meant"
            ),
            Self::NotCode { name } => write!(f, "`{name}` is data in the object: declare it as a `static`"),
            Self::NotData { name } => write!(f, "`{name}` is a function in the object: declare it as a `fn`"),
            Self::ParameterCount { blob, count } => {
                write!(f, "the blob has {blob}; the declaration has {count} parameter{}: declare what the blob has", plural(*count))
            }
            Self::Signature { blob, found, declared } => write!(
                f,
                "the blob has {blob}; the declaration has `{declared}` for {found}: declare what the blob has"
            ),
            Self::TypeSize { blob, name, size } => write!(
                f,
                "the type's size is not that of `{name}` in the blob: {size} bytes; the blob has {blob}"
            ),
            Self::NoSuchMember { name, structure, near } => {
                write!(f, "the blob's `{structure}` has no member `{name}`")?;
                nearest(f, near, "remove it")
            }
            Self::NoLayout { blob } => {
                write!(f, "the blob has {blob}, where not both sides name a structure: remove `#[layout(…)]`")
            }
            Self::MemberOffset { name, structure, offset } => write!(
                f,
                "the member `{name}` of the blob's `{structure}` lies at {offset:#x}, and here it does not: lay both out alike"
            ),
            Self::ImportLayout => f.write_str("nothing is known of an import's layout: remove `#[layout(…)]`"),
            Self::ImportReceiver => f.write_str("an import is a plain function: it has no `self`"),
            Self::ImportType => f.write_str("write the type out: an import is one function, not a family"),
            Self::ImportsWanted { name, module, names } => {
                let count = names.len();
                write!(f, "the blob `{name}` wants {count} symbol{} from its host: declare what it wants, or define it in the blob", plural(count))?;
                write!(f, "\n  mod {module} = \"{name}\";\n  imports {{")?;
                let shown = names.iter().take(MOST_SHOWN);
                shown.clone().try_for_each(|name| write!(f, "\n      fn {name}(…) -> …; // or `static {name}: …;`"))?;
                if count > MOST_SHOWN {
                    write!(f, "\n      // and {} more", count - MOST_SHOWN)?;
                }
                f.write_str("\n  }")
            }
            Self::ImportsAtBase { names } => {
                f.write_str("what the blob wants from its host is known only when it is loaded (")?;
                for (index, name) in names.iter().take(MOST_SHOWN).enumerate() {
                    write!(f, "{}`{name}`", if index == 0 { "" } else { ", " })?;
                }
                write!(f, "{}): remove `base`", if names.len() > MOST_SHOWN { ", …" } else { "" })
            }
            Self::ImportUndeclared { name } => write!(
                f,
                "the blob wants `{name}` from its host: declare it in `imports {{ … }}`, or define it in the blob"
            ),
            Self::ImportUnknown { name, near } => {
                write!(f, "the blob wants no `{name}` from its host")?;
                nearest(f, near, "remove it")
            }
            Self::ImportDefined { name } => write!(
                f,
                "the blob defines `{name}` itself: declare it in an `unsafe extern \"C\"` block to name it, or remove it"
            ),
            Self::ImportRepeated { name } => write!(f, "the import `{name}` is declared twice: remove one"),
            Self::Size { name, size } => write!(
                f,
                "the type's size is not that of `{name}` in the object: {size} bytes; declare the type that it has there"
            ),
            Self::Alignment { name, offset, align } => write!(
                f,
                "`{name}` lies at offset {offset:#x} of an image aligned to {align:#x}, too little for the type's alignment: align it in the blob"
            ),
            Self::Architecture { name, architecture } => {
                write!(f, "the blob `{name}` is for {architecture} and this crate is not: build the object for this target, or say `foreign` if the blob is to run on another machine")
            }
        }
    }
}

/// The names that a misspelled one probably meant, or else what to do.
fn nearest(f: &mut fmt::Formatter<'_>, near: &[String], remedy: &str) -> fmt::Result {
    for (index, near) in near.iter().enumerate() {
        write!(f, "{} `{near}`", if index == 0 { "; is it" } else { " or" })?;
    }
    if near.is_empty() { write!(f, ": {remedy}") } else { f.write_str("?") }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
