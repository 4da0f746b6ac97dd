//! Any file as an object: it is refused, or its image keeps its promises and loads.
#![no_main]

mod borrowed;
#[path = "../../cases/support/promises.rs"]
mod promises;

use libfuzzer_sys::fuzz_target;
use pie_blob_image::{Abs32, Image, Limits};

const LIMIT: u64 = 1 << 20;

fuzz_target!(|object: &[u8]| {
    // The last byte decides how narrow words are read: behind the tables, where it means nothing else.
    let limits = Limits::default().with_image_size(LIMIT);
    let limits = match object.last() {
        Some(1) => limits.with_abs32(Abs32::Checked),
        Some(2) => limits.with_abs32(Abs32::Truncate),
        _ => limits,
    };
    let image = match Image::parse(object, &limits) {
        Ok(image) => image,
        Err(faults) => {
            assert!(!faults.as_slice().is_empty() && !faults.to_string().is_empty());
            return;
        }
    };
    promises::kept(&image, LIMIT);
    let _ = (image.id(), image.to_string().len(), image.dropped().len());
    let relocs = image.relocations().iter().flat_map(|relocation| {
        let [a, b, c, _] = relocation.kind().import().unwrap_or(0).to_le_bytes();
        relocation.offset().to_le_bytes().into_iter().chain([relocation.kind().code(), a, b, c])
    });
    let parts = pie_blob::__private::Parts {
        size: image.size(),
        align: image.align(),
        architecture: architecture(&image),
        narrow: Some((image.narrow().last, image.narrow().first_high)),
        ..borrowed::NOTHING
    };
    borrowed::with_blob(image.bytes().to_vec(), relocs.collect(), parts, |blob| {
        promises::loads(&image, blob)
    });
});

/// The runtime's name for it, as far as loading goes: how wide addresses are.
fn architecture(image: &Image) -> pie_blob::Architecture {
    if image.architecture().pointer_width() == 4 {
        pie_blob::Architecture::X86
    } else {
        pie_blob::Architecture::X86_64
    }
}
