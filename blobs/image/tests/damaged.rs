//! Damaged objects: no input makes the reader panic, and what it accepts keeps every promise of an image.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use pie_blob_image::{BaseError, Image, Limits, RelocationKind, SymbolKind};
use support::{Bench, GOOD, IMPORTING, Target, imports_script, linkers};

/// Small, so that a lying size is refused and not allocated.
const LIMIT: u64 = 1 << 20;

/// Parses and checks an image against its own bounds.
fn check(object: &[u8]) -> bool {
    let Ok(image) = Image::parse(object, &Limits::default().with_image_size(LIMIT)) else { return false };
    let length = image.bytes().len() as u64;
    assert!(length <= image.size() && image.size() <= LIMIT);
    assert!(image.align().is_power_of_two());
    let mut end = 0;
    for segment in image.segments() {
        assert!(segment.offset >= end && segment.initialised <= segment.size);
        end = segment.offset + segment.size;
    }
    assert_eq!(end, image.size());
    let mut end = 0;
    for relocation in image.relocations() {
        let offset = u64::from(relocation.offset());
        assert!(offset >= end && offset + 8 <= length);
        end = offset + 8;
    }
    for symbol in image.symbols().iter().chain(image.exports()) {
        assert!(u64::from(symbol.offset()) + symbol.size() <= image.size());
        assert!(matches!(symbol.kind(), SymbolKind::Code | SymbolKind::Data));
        assert!(image.symbols_named(symbol.name()).contains(symbol));
    }
    if let Some(stack) = image.stack() {
        assert!(stack.start < stack.end && stack.end <= image.size());
    }
    for relocation in image.relocations() {
        if let RelocationKind::Import64 { import } = relocation.kind() {
            assert!(usize::try_from(import).unwrap() < image.imports().len());
        }
    }
    assert!(image.imports().windows(2).all(|pair| pair[0].name() < pair[1].name()));
    let far = image.align() << 4;
    if image.imports().is_empty() {
        assert_eq!(image.relocated(0).unwrap(), image.bytes());
        assert_eq!(image.relocated(far).unwrap().len() as u64, length);
    } else {
        assert!(matches!(image.relocated(far), Err(BaseError::Imports { .. })));
    }
    true
}

fn objects() -> Vec<Vec<u8>> {
    let mut objects: Vec<Vec<u8>> =
        linkers().iter().map(|linker| Bench::new(linker).link(GOOD, Target::Pie, &[])).collect();
    if let Some(lld) = support::lld() {
        objects.push(Bench::new(&lld).link(GOOD, Target::Pie, &["-z", "pack-relative-relocs"]));
    }
    for linker in linkers() {
        let bench = Bench::new(&linker);
        objects.push(bench.link_with(
            IMPORTING,
            Target::Shared,
            &imports_script(),
            &["-Bsymbolic", "-z", "now"],
        ));
    }
    objects
}

/// The parts of a file that are not the image itself: where every byte means something to the reader.
fn tables(object: &[u8]) -> Vec<usize> {
    let number =
        |at: usize| usize::try_from(u64::from_le_bytes(object[at..at + 8].try_into().unwrap())).unwrap();
    let headers = 64 + 56 * usize::from(u16::from_le_bytes([object[56], object[57]]));
    // The metadata segment is the last but one program header.
    let meta = headers - 2 * 56;
    let (start, size) = (number(meta + 8), number(meta + 32));
    (64..headers).chain(start..start + size).chain(number(40)..object.len()).collect()
}

#[test]
fn truncated_at_every_length() {
    for object in objects() {
        assert!(check(&object));
        for length in 0..object.len() {
            assert!(!check(&object[..length]), "accepted when cut to {length} bytes");
        }
    }
}

#[test]
fn every_value_of_every_byte_of_the_file_header() {
    for mut object in objects() {
        for at in 0..64 {
            let good = object[at];
            for value in 0..=u8::MAX {
                object[at] = value;
                check(&object);
            }
            object[at] = good;
        }
    }
}

#[test]
fn every_bit_of_every_table() {
    for mut object in objects() {
        for at in tables(&object) {
            let good = object[at];
            for value in (0..8).map(|bit| good ^ 1 << bit).chain([0, 0x7f, 0xff]) {
                object[at] = value;
                check(&object);
            }
            object[at] = good;
        }
    }
}
