//! Position-independent blobs: code that travels inside another program and runs where no loader is.
//!
//! [`pie_blob!`] reads a prelinked object while your crate compiles and writes the image as a static byte
//! array, the relocations as a static slice and every export as a typed [`Offset`]. This crate is what the
//! expansion names: it holds no ELF, allocates nothing and runs without `std`.
//!
//! ```
//! use pie_blob::Reloc;
//!
//! // What the macro writes for a blob of one word that holds its own address.
//! static BYTES: pie_blob::Bytes<8> = pie_blob::Bytes::new(*b"\0\0\0\0\0\0\0\0");
//! static RELOCS: &[Reloc] = Reloc::slice(b"\0\0\0\0\x01\0\0\0");
//! # static BLOB: pie_blob::Blob = pie_blob::__private::blob(pie_blob::__private::Parts {
//! #     name: "word", id: 1, architecture: pie_blob::Architecture::X86_64, bytes: BYTES.as_slice(), relocs: RELOCS,
//! #     imports: &[], size: 8, align: 8, segments: &[], exports: &[], stack: None, packed: false, base: None, narrow: None,
//! #     done: None, panic: None });
//!
//! let mut image = [0; 8];
//! BLOB.load(&mut image, 0x7000_0000).unwrap();
//! assert_eq!(u64::from_le_bytes(image), 0x7000_0000);
//! ```
//!
//! | to | use |
//! |---|---|
//! | embed an object | [`pie_blob!`] |
//! | write the image as it stands at a base into a buffer | [`Blob::load`] |
//! | move an image that lies already | [`Blob::relocate`] |
//! | run it in the own process | `Blob::map` (feature `map`) |
//! | run it in another process | the crate `pie_blob_inject` |
//!
//! Three kinds of address are kept apart by types: an [`Offset`] lies in the image, a [`Remote`] in another
//! address space, a raw pointer here.
//!
#![doc = include_str!("../docs/guide.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[doc(hidden)]
pub mod __private;
mod blob;
mod bytes;
mod imports;
mod load;
#[cfg(all(feature = "map", target_os = "linux"))]
mod map;
mod offset;
mod reloc;
mod remote;

pub use blob::{Architecture, Blob, Export, ExportKind, Permissions, Segment};
pub use bytes::Bytes;
pub use imports::{Importing, Loadable, Supplied};
pub use load::LoadError;
#[cfg(all(feature = "map", target_os = "linux"))]
pub use map::{Function, MapError, Mapped};
pub use offset::{Code, Data, Offset};
pub use pie_blob_macros::pie_blob;
pub use reloc::Reloc;
pub use remote::Remote;
