//! Builds a position-independent blob from Rust, C and assembler, in a build script.
//!
//! ```no_run
//! // In the `main` of build.rs:
//! pie_blob_build::Blob::new("parasite").cargo_package("../blobs/parasite").stack(16 * 1024).build();
//! ```
//!
//! `pie_blob!("parasite")` then finds the *object* `$OUT_DIR/parasite.po` by itself: a fully linked ELF that needs no
//! loader, laid out so that one look at it tells code, constants, data and stack apart.
//!
//! # Inputs
//!
//! | input | how it is compiled |
//! |---|---|
//! | [`cargo_package`](Blob::cargo_package) | a nested cargo builds the package's library once more, every crate of it with `--cfg pie_blob` |
//! | [`source`](Blob::source) `.rs` | rustc, with `--cfg pie_blob`: a `no_std` crate with a panic handler |
//! | `.c` | the C compiler that the crate `cc` finds for the target; if it is not installed, `zig cc` |
//! | `.s`, and `.S` without directives of the C preprocessor | rustc: no C compiler is needed, unless rustc has no `core` for the target |
//! | `.S` | the C compiler |
//!
//! Whatever a compiler takes for granted is supplied where it is missing: `memcpy`, `memmove`, `memset`, `memcmp`,
//! `bcmp`, `strlen`, and the runtime that rustc itself relies on (division of 128 bits, for example).
//!
//! # Exports
//!
//! Every defined symbol that is global (or weak), visible outside of its object, and named by an identifier
//! that is neither mangled nor reserved: `#[unsafe(no_mangle)] pub extern "C" fn`, `.globl`, and in C, which is compiled
//! with `-fvisibility=hidden`, `__attribute__((visibility("default")))`. [`export`](Blob::export) adds hidden symbols
//! and makes an error of a name that is not there. Everything else stays only if something refers to it.
//!
//! # Targets
//!
//! What cargo builds for, or what [`target`](Blob::target) says: a host can embed blobs for other machines (`foreign` in the
//! macro). Objects are made for Linux on x86-64, i386, AArch64, ARM, RISC-V (64 bits), z/Architecture, PowerPC
//! (64 bits, little-endian), MIPS (little-endian) and LoongArch.
//!
//! # Entry
//!
//! The entry is what lies in section `.pie_blob.head`; it is at offset 0. A blob whose exports are called one by one
//! needs none.
//!
//! # Variables
//!
//! | variable | means |
//! |---|---|
//! | `PIE_BLOB_LINKER` | the linker: a path, or a name on `PATH`. Otherwise the toolchain's `ld.lld`, then `ld.lld`, then GNU `ld` |
//! | `PIE_BLOB_PREBUILT_<name>` | an object that is verified and used instead of building one (`-` in a name becomes `_`): linked, or relocatable for x86-64 and i386 |
//! | `CC`, `CFLAGS`, … | as every crate that uses `cc` understands them |
//!
//! # What is tracked
//!
//! Every file that the compilers say they have read: sources, headers, path dependencies, manifests, the lock file. The
//! object is written only when its contents change.
#![forbid(unsafe_code)]

mod blob;
mod compile;
mod context;
mod directives;
mod error;
mod link;
mod symbols;
mod tool;
mod verify;

pub use blob::{Blob, Built};
pub use error::{Error, MissingExport};
pub use pie_blob_image::Abs32;
