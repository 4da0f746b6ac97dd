//! The macro of [`pie_blob`](https://docs.rs/pie_blob), which re-exports it: depend on that.
//!
//! # The way of an invocation
//!
//! | module | does |
//! |---|---|
//! | `parse` | tokens to an invocation: name, options, module, declared items |
//! | `declare` | one declared `fn` or `static`: what of Rust can be said about a blob's export |
//! | `imports` | the `imports` block: what the blob wants, as it is declared, against the image |
//! | `find` | the invocation's name to the object's file |
//! | `check` | declared items against the image, and every name against every other |
//! | `signature` | declared items against what the object's debugging information says of them |
//! | `expand` | the image to tokens |
//! | `supply` | imports to tokens |
//! | `report` | collects every mistake, so that all are shown at once |
//! | `messages` | every message there is |
//!
//! # Names in the expansion
//!
//! ```text
//! module    := the declared identifier | the name, its `-` turned into `_`
//! constant  := upper case of the item's or the export's name
//! marker    := "__" constant        carries the type from where it was written into the module
//! fixed     := BYTES | RELOCS | BLOB
//! structure := Imports              only where the blob has imports; no constant can be called so
//! carrier   := "__imports_" field   the marker of an import
//! ```
//!
//! Two constants that are equal, or equal to a fixed name, are an error.
//!
#![doc = include_str!("../docs/messages.md")]
#![forbid(unsafe_code)]

mod check;
mod declare;
mod expand;
mod find;
#[cfg(test)]
mod golden;
mod imports;
mod messages;
mod parse;
mod report;
mod signature;
mod supply;
#[cfg(test)]
mod testing;

use proc_macro::TokenStream;

/// Embeds a prelinked object: its bytes, its relocations and a typed offset for each of its exports.
///
/// ```ignore
/// // Every export as `Offset<Code>` or `Offset<Data>`, in `mod parasite`.
/// pie_blob::pie_blob!("parasite");
///
/// // The same with the ABI declared and checked: only the declared items, with their types.
/// pie_blob::pie_blob! {
///     /// Asks a process what only the process can know.
///     pub mod parasite = "parasite";
///     unsafe extern "C" {
///         fn dump_misc(out: *mut Misc) -> c_int;
///         static mut CALLS: u64;
///     }
/// }
/// ```
///
/// # The object
///
/// The file is looked for in this order: the variable `PIE_BLOB_<name>` (which `pie_blob_build` sets from
/// your build script; `-` in the name becomes `_`), `$OUT_DIR/<name>.po`, `blobs/<name>.po` in your crate. A
/// name with a `/` in it is a path, relative to your crate. Your crate is compiled again when the file changes.
///
/// It is linked (a static-PIE, or an executable with `--emit-relocs`), or for x86-64 and i386 relocatable: what `ld -r` writes,
/// and compel's `.po`.
///
/// # What it expands to
///
/// | in the module | is |
/// |---|---|
/// | `BYTES` | the initialised bytes of the image |
/// | `RELOCS` | the words to which the base is added |
/// | `BLOB` | both, and what describes them: what is loaded, mapped or injected |
/// | `DUMP_MISC`, … | the offset of an export, its name in upper case |
///
/// # Options
///
/// They follow the name: `pie_blob!("parasite", base = 0x8000)`, `mod parasite = "parasite", crate = ::mine;`.
///
/// - `base = 0x8000` relocates while compiling, for code at a fixed address: `RELOCS` is empty.
/// - `abs32 = checked` accepts absolute words that are narrower than an address (of 32 bits for x86-64, and of 16 and 8),
///   as relocatable objects with boot code or an entry for 32 bits have them: `load` then refuses every base at which one
///   would not hold its value. `abs32 = truncate` cuts them off: for code that is known never to run there.
/// - `foreign` says that the blob may be for another instruction set than your crate: it is loaded for another machine,
///   and neither mapped nor injected here.
/// - `crate = path` names the runtime crate where it is re-exported.
///
/// # Declared items
///
/// Parameters are integers, `*const T`, `*mut T` and `Remote<T>`, at most six. Attributes are documentation,
/// `#[cfg]`, `#[deprecated]`, and `#[link_name = "…"]` where the symbol has another name. Local and hidden
/// symbols can be declared too. It is checked that each symbol exists, that a `fn` is code and a `static`
/// is data, and that size and alignment of a static's type fit.
///
/// Where the object has debugging information, a function's parameters and result are compared with it, and so are the
/// sizes of what they point to. `#[layout(pid, flags)]` at an item compares the places of the named members of
/// the static, or of the first structure that the function takes a pointer to, too.
///
/// # Imports
///
/// A blob can want symbols of the address space that it will run in: the functions of its victim's C library,
/// say. They are declared in a block of their own, all of them and nothing else:
///
/// ```ignore
/// pie_blob::pie_blob! {
///     pub mod spy = "spy";
///     imports {
///         fn getenv(name: *const c_char) -> *const c_char;
///         static environ: *const *const c_char;
///     }
/// }
/// // `spy::BLOB` alone cannot be loaded.
/// let blob = spy::BLOB.with(spy::Imports { getenv: Remote::new(found), environ: Remote::new(read) });
/// ```
///
/// `Imports` has a field of the type `Remote<…>` for each of them. What is known only when the blob is loaded does not
/// go with `base = …`.
///
/// # Mistakes
///
/// All are shown at once, each at its token: [every message](https://docs.rs/pie_blob_macros) with an example.
#[proc_macro]
pub fn pie_blob(input: TokenStream) -> TokenStream {
    expand::pie_blob(input.into(), &find::Environment::of_rustc()).into()
}
