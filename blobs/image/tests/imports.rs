//! Objects that want symbols from their host: words and slots of the GOT become imports, and nothing else does.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use pie_blob_image::{BaseError, Image, Import, Limits, RelocationKind};
use support::{Bench, IMPORTING, Target, imports_script, linkers};

fn parse(object: &[u8]) -> Image {
    Image::parse(object, &Limits::default()).unwrap_or_else(|faults| panic!("{faults}"))
}

/// An object with imports, from every linker and with every way of binding.
fn objects(source: &str) -> Vec<(String, Image)> {
    let mut objects = Vec::new();
    for linker in linkers() {
        for binding in ["now", "lazy"] {
            let flags = ["-Bsymbolic", "-z", binding];
            let object = Bench::new(&linker).link_with(source, Target::Shared, &imports_script(), &flags);
            objects.push((format!("{} {binding}", linker.display()), parse(&object)));
        }
    }
    objects
}

fn word(image: &Image, offset: u32) -> u64 {
    let offset = usize::try_from(offset).unwrap();
    u64::from_le_bytes(image.bytes()[offset..offset + 8].try_into().unwrap())
}

#[test]
fn what_code_and_data_want_is_an_import() {
    for (linker, image) in objects(IMPORTING) {
        let names: Vec<&str> = image.imports().iter().map(Import::name).collect();
        assert_eq!(names, ["environ", "errno", "getenv", "puts"], "{linker}");
        let words = image.symbol("words").unwrap().offset();
        let at = |offset| image.relocations().iter().find(|r| r.offset() == words + offset).map(|r| r.kind());
        assert_eq!(at(0), Some(RelocationKind::Import64 { import: 0 }), "{linker}");
        assert_eq!(at(8), Some(RelocationKind::Import64 { import: 0 }), "{linker}");
        assert_eq!(at(16), Some(RelocationKind::Import64 { import: 2 }), "{linker}");
        assert_eq!(at(24), Some(RelocationKind::Relative64), "{linker}");
        assert_eq!(at(32), None, "{linker}: nobody need supply what is weak");
        assert_eq!([word(&image, words), word(&image, words + 8)], [0, 0x18], "{linker}");
        assert_eq!(word(&image, words + 32), 0, "{linker}");
        // Slots of the GOT: what a linker left in them for binding lazily is gone.
        for import in 0..4 {
            let kind = RelocationKind::Import64 { import };
            let slots = image.relocations().iter().filter(|r| r.kind() == kind && r.offset() < words);
            let slots: Vec<u64> = slots.map(|slot| word(&image, slot.offset())).collect();
            assert!(slots.iter().all(|&addend| addend == 0), "{linker}: {slots:?}");
            assert_eq!(slots.is_empty(), import == 0, "{linker}: {image}");
        }
        assert!(image.to_string().contains("\nimport 1 errno\n"), "{image}");
    }
}

#[test]
fn a_base_is_not_enough() {
    for (linker, image) in objects(IMPORTING) {
        let names = ["environ", "errno", "getenv", "puts"].map(str::to_owned).to_vec();
        assert_eq!(image.relocated(0x7000_0000), Err(BaseError::Imports { names }), "{linker}");
    }
}

#[test]
fn names_decide_the_id() {
    let other = IMPORTING.replace("puts", "gets");
    for ((linker, one), (_, other)) in objects(IMPORTING).iter().zip(objects(&other)) {
        assert_ne!(one.id(), other.id(), "{linker}");
    }
}
