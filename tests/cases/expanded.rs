//! The macro's written-down expansions compile as they stand, and are what their invocations ask for.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    private_interfaces,
    non_camel_case_types,
    clippy::doc_markdown,
    clippy::undocumented_unsafe_blocks,
    clippy::manual_is_multiple_of,
    reason = "the expansions stand here without the hygiene that hides them from lints"
)]

use pie_blob::{Code, LoadError, Offset, Remote};

mod again {
    pub(crate) use pie_blob::*;
}

/// What `declared` says its static is.
type Number = u64;

include!("../../macros/tests/expanded/every_export.rs");
include!("../../macros/tests/expanded/declared.rs");
include!("../../macros/tests/expanded/importing.rs");

#[test]
fn every_export_is_an_offset() {
    let answer: Offset<Code> = every_export::ANSWER;
    assert!(every_export::BLOB.owns(answer));
    let mut image = vec![1; usize::try_from(every_export::BLOB.size()).unwrap()];
    every_export::BLOB.load(&mut image, 0x7000_0000).unwrap();
    // The bytes are left out: zeros, but for what is relocated.
    assert_eq!(image.iter().filter(|byte| **byte != 0).collect::<Vec<_>>(), [&0x70]);
}

#[test]
fn declared_items_have_their_types() {
    let _: Offset<unsafe extern "C" fn(u64) -> u64> = declared::ANSWER;
    let _: Offset<Number> = declared::CALLS;
    let mut image = vec![0; usize::try_from(declared::BLOB.size()).unwrap()];
    assert_eq!(declared::BLOB.load(&mut image, 0), Err(LoadError::FixedBase { base: 0, fixed: 0x8000 }));
}

#[test]
fn imports_are_wanted_by_name() {
    let blob = importing::BLOB.with(importing::Imports { getpid: Remote::new(0x1234) });
    let mut image = vec![0; 4120];
    blob.load(&mut image, 0).unwrap();
    assert_eq!(image[0x1010..0x1018], 0x1234_u64.to_le_bytes());
}
