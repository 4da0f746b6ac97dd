//! Where things lie in an object, whatever the linker.
#![allow(clippy::unwrap_used, clippy::panic)] // That is how tests fail.

mod common;

use common::{Scratch, exports, offset, source, with_every_linker};
use pie_blob_image::{Image, Segment};

fn permissions(image: &Image) -> Vec<String> {
    image.segments().iter().map(|segment| segment.permissions.to_string()).collect()
}

fn end(segment: &Segment) -> u64 {
    segment.offset + segment.size
}

#[test]
fn three_segments_a_guard_and_a_stack() {
    let scratch = Scratch::new();
    let blob = scratch.blob("everything").source(source("everything.rs")).stack(20_000);
    for (linker, built) in with_every_linker(&scratch, &blob) {
        let image = built.image();
        assert_eq!(permissions(image), ["R-X", "R--", "RW-", "---", "RW-"], "{linker}");
        let [text, rodata, data, guard, stack] = image.segments() else { unreachable!() };
        assert!(image.segments().iter().all(|segment| segment.offset % 4096 == 0), "{linker}");
        assert_eq!(text.offset, 0, "{linker}");
        assert_eq!((guard.size, guard.initialised), (4096, 0), "{linker}");
        assert_eq!((stack.size, stack.initialised), (20_480, 0), "{linker}: whole pages, none in the file");
        assert_eq!(stack.offset, end(guard), "{linker}");
        assert_eq!(image.stack(), Some(stack.offset..end(stack)), "{linker}");
        assert_eq!(image.size(), end(stack), "{linker}: what only the reader needs is not part of the image");
        assert_eq!(offset(image, "__pie_blob_start"), 0, "{linker}");
        assert_eq!(offset(image, "__pie_blob_rodata"), rodata.offset, "{linker}");
        assert_eq!(offset(image, "__pie_blob_data"), data.offset, "{linker}");
        assert!(
            data.size >= 5008 && data.initialised < 4096,
            "{linker}: zero-filled data is not in the file"
        );
        let file = std::fs::metadata(built.object()).unwrap().len();
        assert!(file < 4 << 20, "{linker}: {file} bytes");
    }
}

#[test]
fn exports_are_the_same_whatever_links() {
    let scratch = Scratch::new();
    let blob = scratch.blob("everything").source(source("everything.rs"));
    let built = with_every_linker(&scratch, &blob);
    for (linker, other) in &built[1..] {
        assert_eq!(exports(built[0].1.image()), exports(other.image()), "{linker}");
    }
}

#[test]
fn a_large_stack_costs_no_file() {
    let scratch = Scratch::new();
    let source =
        scratch.write("one.c", "__attribute__((visibility(\"default\"))) int one(void) { return 1; }");
    for (linker, built) in with_every_linker(&scratch, &scratch.blob("one").source(source).stack(64 << 20)) {
        assert!(std::fs::metadata(built.object()).unwrap().len() < 1 << 20, "{linker}");
        assert!(built.image_size() > 64 << 20, "{linker}");
    }
}

#[test]
fn segments_may_be_empty() {
    let scratch = Scratch::new();
    let code = scratch.write("one.c", "__attribute__((visibility(\"default\"))) int one(void) { return 1; }");
    for (linker, built) in with_every_linker(&scratch, &scratch.blob("one").source(code).stack(0)) {
        assert_eq!(permissions(built.image()), ["R-X"], "{linker}");
        assert_eq!(built.exports().collect::<Vec<_>>(), ["one"], "{linker}");
        assert_eq!(built.image().stack(), None, "{linker}");
    }
    let data = scratch.write("data.c", "__attribute__((visibility(\"default\"))) int data = 3;");
    for (linker, built) in with_every_linker(&scratch, &scratch.blob("data").source(data).stack(0)) {
        assert_eq!(built.exports().collect::<Vec<_>>(), ["data"], "{linker}");
    }
}

#[test]
fn packed_is_one_segment_without_padding() {
    let scratch = Scratch::new();
    let blob = scratch.blob("everything").source(source("everything.rs"));
    let padded = with_every_linker(&scratch, &blob);
    for ((linker, built), (_, padded)) in with_every_linker(&scratch, &blob.packed(true)).iter().zip(&padded)
    {
        let image = built.image();
        assert!(image.packed(), "{linker}");
        assert_eq!(permissions(image), ["RWX"], "{linker}");
        assert_eq!(image.stack(), None, "{linker}");
        assert!(image.bytes().len() + 4096 < padded.image().bytes().len(), "{linker}");
        assert_eq!(exports(image), exports(padded.image()), "{linker}");
    }
}

#[test]
fn the_entry_is_first() {
    let scratch = Scratch::new();
    let blob = scratch
        .blob("probe")
        .source(source("probe.c"))
        .source(source("entry.S"))
        .include(source(""))
        .define("LEVEL", "2");
    for (linker, built) in with_every_linker(&scratch, &blob) {
        assert_eq!(offset(built.image(), "entry"), 0, "{linker}");
        let [first, ..] = built.image().segments() else { unreachable!() };
        assert!(offset(built.image(), "probe") > 0 && first.permissions.execute, "{linker}");
    }
}
