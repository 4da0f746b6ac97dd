//! Loading and relocating: against the simple way to do it, against linkers, and with data that no macro writes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[path = "support/linkers.rs"]
mod linkers;
#[path = "support/sketch.rs"]
mod sketch;

use pie_blob::__private::Parts;
use pie_blob::{Architecture, Blob, LoadError};
use proptest::collection::vec;
use proptest::prelude::*;

use sketch::{Bytes, Sketch, WORD, WORDS, sketches};

/// What lies in a buffer before anything is loaded.
const BEFORE: u8 = 0xa5;

/// A buffer with room for the image and some bytes more.
fn buffer(blob: &Blob, more: usize) -> Vec<u8> {
    vec![BEFORE; usize::try_from(blob.size()).unwrap() + more]
}

/// The image as `load` writes it.
fn loaded(blob: &Blob, base: u64) -> Vec<u8> {
    let mut image = buffer(blob, 0);
    blob.load(&mut image, base).unwrap();
    image
}

/// A kind of relocation that adds the base.
fn known() -> impl Strategy<Value = u8> {
    prop::sample::select(WORDS.map(|row| row.0).to_vec())
}

/// A kind that no version knows yet. Those of even numbers up to 8 want imports.
fn unknown() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0), 9..=u8::MAX]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn loading_is_copying_and_then_adding(sketch in sketches(), any in any::<u64>(), more in 0..40_usize) {
        let (blob, size) = (sketch.blob(), usize::try_from(sketch.size()).unwrap());
        for base in [sketch.base(any), sketch.last_base(), 0] {
            let mut image = buffer(blob, more);
            prop_assert_eq!(blob.load(&mut image, base), Ok(()));
            prop_assert!(image[..size] == sketch.expected(base), "at {:#x}", base);
            prop_assert!(image[size..].iter().all(|byte| *byte == BEFORE), "written behind the image");
        }
    }

    #[test]
    fn relocating_is_loading_elsewhere(sketch in sketches(), from in any::<u64>(), to in any::<u64>()) {
        let (blob, from, to) = (sketch.blob(), sketch.base(from), sketch.base(to));
        let mut image = loaded(blob, from);
        image.extend([BEFORE; 9]);
        prop_assert_eq!(blob.relocate(&mut image, from, to), Ok(()));
        let size = image.len() - 9;
        prop_assert!(image[..size] == loaded(blob, to), "from {:#x} to {:#x}", from, to);
        prop_assert_eq!(&image[size..], &[BEFORE; 9]);
    }

    /// What the blob has written since it was loaded is its own.
    #[test]
    fn relocating_changes_relocated_words_alone(sketch in sketches(), from in any::<u64>(), to in any::<u64>()) {
        let (blob, from, to) = (sketch.blob(), sketch.base(from), sketch.base(to));
        let mut image = loaded(blob, from);
        image.iter_mut().for_each(|byte| *byte = !*byte);
        let mut expected = image.clone();
        sketch.add(&mut expected, to.wrapping_sub(from));
        prop_assert_eq!(blob.relocate(&mut image, from, to), Ok(()));
        prop_assert!(image == expected);
    }

    #[test]
    fn an_error_leaves_the_buffer_as_it_was(sketch in sketches(), any in any::<u64>(), pick in any::<prop::sample::Index>()) {
        let (blob, base, size) = (sketch.blob(), sketch.base(any), sketch.size());
        let refused = |blob: &Blob, room: usize, base: u64, error: LoadError| -> Result<(), TestCaseError> {
            let mut image = vec![BEFORE; room];
            prop_assert_eq!(blob.load(&mut image, base), Err(error));
            prop_assert_eq!(blob.relocate(&mut image, 0, base), Err(error));
            prop_assert!(image.iter().all(|byte| *byte == BEFORE));
            Ok(())
        };
        let room = usize::try_from(size).unwrap();
        if room > 0 {
            let short = pick.index(room);
            refused(blob, short, base, LoadError::BufferTooSmall { needed: size, found: short as u64 })?;
        }
        if sketch.align > 1 {
            let base = base | 1 << pick.index(sketch.align.trailing_zeros() as usize);
            refused(blob, room, base, LoadError::Misaligned { base, align: sketch.align })?;
        }
        if let Some(base) = sketch.last_base().checked_add(sketch.align) {
            refused(blob, room, base, LoadError::OutOfAddressSpace { base, size })?;
        }
        let last = base >> 1 & !(sketch.align - 1);
        let narrow = pie_blob::__private::Parts { narrow: Some((last, u64::MAX)), ..*blob.__parts() };
        let narrow: &'static Blob = Box::leak(Box::new(pie_blob::__private::blob(narrow)));
        if base > last {
            refused(narrow, room, base, LoadError::Narrow { base, last })?;
        }
        prop_assert!(loaded(narrow, last) == sketch.expected(last), "the last base is allowed");
        let fixed = Sketch { fixed: Some(base), relocs: Vec::new(), ..sketch };
        let other = base ^ fixed.align;
        refused(fixed.blob(), room, other, LoadError::FixedBase { base: other, fixed: base })?;
        prop_assert!(loaded(fixed.blob(), base) == fixed.expected(0), "its own base is allowed");
    }

    /// Unsorted, overlapping, outside of the image, of unknown kinds: the first that cannot be applied is named, and
    /// without one everything is applied in the order of the list.
    #[test]
    fn relocations_that_no_macro_writes(
        len in 0..20_000_usize,
        seed in any::<u64>(),
        relocs in vec((prop_oneof![4 => 0..20_000_u32, 1 => any::<u32>()], prop_oneof![9 => known(), 1 => unknown()]), 0..9),
        base in any::<u64>(),
    ) {
        let sketch = Sketch { bytes: Bytes { len, seed }, zeros: 100, align: 1, relocs, fixed: None };
        let (blob, base) = (sketch.blob(), sketch.base(base));
        let wrong = |&&(offset, kind): &&(u32, u8)| match WORDS.iter().find(|row| row.0 == kind) {
            Some((_, width, _)) => offset as usize + width > len,
            None => true,
        };
        let expected = match sketch.relocs.iter().find(wrong) {
            Some(&(offset, _)) => Err(LoadError::Malformed { offset }),
            None => Ok(()),
        };
        let mut image = buffer(blob, 0);
        prop_assert_eq!(blob.load(&mut image, base), expected);
        prop_assert!(expected.is_err() || image == sketch.expected(base));
        prop_assert_eq!(blob.relocate(&mut image, base, 0), expected);
    }

    /// Sizes and alignments that contradict the bytes: an answer, whichever.
    #[test]
    fn descriptions_that_no_macro_writes(
        sketch in sketches(),
        size in prop_oneof![0..60_000_u64, any::<u64>()],
        align in any::<u64>(),
        base in any::<u64>(),
        room in 0..60_000_usize,
    ) {
        let parts = Parts { size, align, ..*sketch.blob().__parts() };
        let blob = pie_blob::__private::blob(parts);
        let mut image = vec![BEFORE; room];
        for base in [base, 0] {
            let answers = [blob.load(&mut image, base), blob.relocate(&mut image, !base, base)];
            let fits = size >= sketch.bytes.len as u64 && size <= room as u64;
            prop_assert!(fits || answers.iter().all(Result::is_err), "{:?}", answers);
        }
    }
}

/// Every way to lie across a boundary, for every boundary that a block may have.
#[test]
fn words_across_the_boundaries_of_blocks() {
    for (before, (kind, ..)) in (1..8).flat_map(|before| WORDS.map(|row| (before, row))) {
        let boundaries = (1..=64).map(|boundary| boundary * 1024 - before);
        let relocs =
            boundaries.flat_map(|offset| [offset - 8, offset, offset + 8]).map(|offset| (offset, kind));
        let bytes = Bytes { len: 64 * 1024 + 16, seed: 1 };
        let sketch = Sketch { bytes, zeros: 1, align: 1, relocs: relocs.collect(), fixed: None };
        let base = 0x0123_4567_89ab_cdef;
        assert!(loaded(sketch.blob(), base) == sketch.expected(base), "{before} bytes before");
    }
}

/// An image of 32-bit words ends where 32 bits do.
#[test]
fn the_last_base_of_a_narrow_architecture() {
    let bytes = Bytes { len: 16, seed: 3 };
    let sketch = Sketch { bytes, zeros: 0, align: 16, relocs: vec![(4, 3)], fixed: None };
    let parts = Parts { architecture: Architecture::X86, ..*sketch.blob().__parts() };
    let blob = pie_blob::__private::blob(parts);
    let mut image = buffer(&blob, 0);
    assert_eq!(blob.load(&mut image, 0xffff_fff0), Ok(()));
    assert!(image == sketch.expected(0xffff_fff0));
    let base = 0x1_0000_0000;
    assert_eq!(blob.load(&mut image, base), Err(LoadError::OutOfAddressSpace { base, size: 16 }));
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_for_another_machine_is_not_mapped() {
    let sketch =
        Sketch { bytes: Bytes { len: 8, seed: 4 }, zeros: 0, align: 1, relocs: Vec::new(), fixed: None };
    let parts = Parts { architecture: Architecture::S390x, ..*sketch.blob().__parts() };
    let foreign: &'static Blob = Box::leak(Box::new(pie_blob::__private::blob(parts)));
    assert!(matches!(foreign.map(), Err(pie_blob::MapError::Foreign)));
}

#[test]
fn nothing_but_relocated_words() {
    for start in 0..8 {
        let relocs = (0..5000).map(|index| (start + index * 8, WORD)).collect();
        let bytes = Bytes { len: 40_000 + start as usize, seed: 2 };
        let sketch = Sketch { bytes, zeros: 0, align: 1, relocs, fixed: None };
        assert!(loaded(sketch.blob(), !0 << 40) == sketch.expected(!0 << 40), "from {start}");
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod objects {
    use std::path::Path;

    use pie_blob_image::Image;
    use pie_blob_parasite::parasite;

    use crate::linkers::{Linked, linkers};
    use crate::loaded;
    use crate::sketch::embedded;

    /// Bases with nothing, something and everything above 32 bits.
    const BASES: [u64; 4] = [0, 0x1000, 0x5555_5555_4000, 0xffff_ffff_0000_0000];

    fn loads_as_relocated(image: &Image, blob: &pie_blob::Blob) {
        let last = (u64::MAX - image.size() + 1) & !(image.align() - 1);
        for base in BASES.into_iter().chain([last]) {
            let mut expected = image.relocated(base).unwrap();
            expected.resize(usize::try_from(image.size()).unwrap(), 0);
            assert!(loaded(blob, base) == expected, "at {base:#x}");
        }
    }

    fn built(blob: pie_blob_build::Blob) -> Image {
        let folder = tempfile::tempdir().unwrap();
        let blob = blob.target("x86_64-unknown-linux-gnu").out_dir(folder.path()).cargo_directives(false);
        blob.try_build().unwrap().image().clone()
    }

    /// The one that the macro has embedded is the one that is built anywhere.
    #[test]
    fn the_parasite() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../blobs/parasite");
        let image = built(pie_blob_build::Blob::new("parasite").cargo_package(package));
        assert!(image.bytes() == &parasite::BYTES[..]);
        assert_eq!(image.id(), parasite::BLOB.id());
        assert!(!image.relocations().is_empty());
        loads_as_relocated(&image, &parasite::BLOB);
    }

    #[test]
    fn what_every_linker_makes_of_rust() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../blobs/build/tests/sources/everything.rs");
        for linker in linkers() {
            let image = built(pie_blob_build::Blob::new("everything").source(&source).linker(&linker));
            assert!(image.relocations().len() > 5, "{}", linker.display());
            loads_as_relocated(&image, embedded(&image));
        }
    }

    #[test]
    fn loading_writes_what_linkers_write_for_a_base() {
        let (linked, linkers) = (Linked::new(), linkers());
        let images: Vec<_> = linkers.iter().map(|linker| (linker, linked.image(linker))).collect();
        for base in [0x1000, 0x5555_5555_4000] {
            for fixing in &linkers {
                let fixed = linked.fixed(fixing, base);
                for (linker, image) in &images {
                    let image_at_base = loaded(embedded(image), base);
                    let (linker, fixing) = (linker.display(), fixing.display());
                    assert_eq!(image.bytes().len(), fixed.len(), "{linker}, {fixing}");
                    assert!(image_at_base[..fixed.len()] == fixed, "{linker}, {fixing} at {base:#x}");
                }
            }
        }
    }
}

/// A blob that is called as a function has no host that its panic could be told to: it is told to whoever reads, and the
/// process ends.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[test]
fn a_panic_in_the_own_process_is_loud() {
    use std::os::unix::process::ExitStatusExt;

    use pie_blob_wild::wild;

    const AGAIN: &str = "PIE_BLOB_TEST_PANICS";
    if std::env::var_os(AGAIN).is_some() {
        let mapped = wild::BLOB.map().unwrap();
        // SAFETY: the type is the export's own, and the mapping outlives the call.
        let panics = unsafe { mapped.function(wild::PANICS) }.unwrap();
        // SAFETY: the export takes a number.
        unsafe { panics(7) };
        unreachable!("a panic does not come back");
    }
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "a_panic_in_the_own_process_is_loud", "--nocapture"]).env(AGAIN, "1");
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{said}");
    assert!(
        said.contains("a blob panicked at") && said.contains("src/lib.rs:") && said.contains('7'),
        "{said}"
    );
}
