//! Any description of a blob, as no macro writes it: `load` and `relocate` answer, and write nowhere but in the image.
#![no_main]

mod borrowed;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use pie_blob::__private::Parts;
use pie_blob::{Architecture, LoadError};

#[derive(Arbitrary, Debug)]
struct Input {
    bytes: Vec<u8>,
    relocs: Vec<(u16, u8, [u8; 3])>,
    /// More than the bytes, mostly.
    zeros: u16,
    size: Option<u64>,
    align: Result<u8, u64>,
    narrow: Option<(u64, u64)>,
    fixed: Option<u64>,
    narrow_architecture: bool,
    base: u64,
    from: u64,
    more: u8,
    less: u8,
}

fuzz_target!(|input: Input| {
    let size = input.size.unwrap_or(input.bytes.len() as u64 + u64::from(input.zeros));
    let relocs = input.relocs.iter().flat_map(|(offset, kind, import)| {
        let [a, b] = offset.to_le_bytes();
        [a, b, 0, 0, *kind, import[0], import[1], import[2]]
    });
    let align = input.align.map_or_else(|any| any, |power| 1 << (power & 15));
    let parts = Parts {
        size,
        align,
        narrow: input.narrow,
        base: input.fixed,
        architecture: if input.narrow_architecture { Architecture::X86 } else { Architecture::X86_64 },
        ..borrowed::NOTHING
    };
    // Rounded, or hardly any base would be one.
    let base = if align.is_power_of_two() { input.base & !(align - 1) } else { input.base };
    let image = usize::try_from(size).unwrap_or(usize::MAX).min(1 << 17);
    // Of one that is longer than any buffer here none has room, whatever is added.
    let more = if image as u64 == size { usize::from(input.more) } else { 0 };
    let room = (image + more).saturating_sub(usize::from(input.less));
    let bytes = input.bytes.clone();
    // Words that lie over one another carry into each other: what was added in one order does not come off in the same.
    let mut offsets: Vec<u16> = input.relocs.iter().map(|reloc| reloc.0).collect();
    offsets.sort_unstable();
    let disjoint = offsets.windows(2).all(|pair| pair[1] - pair[0] >= 8);
    borrowed::with_blob(input.bytes, relocs.collect(), parts, |blob| {
        const BEFORE: u8 = 0xa5;
        let mut buffer = vec![BEFORE; room];
        match blob.load(&mut buffer, base) {
            Ok(()) => {
                assert!(size <= room as u64 && bytes.len() as u64 <= size);
                assert!(buffer[image..].iter().all(|byte| *byte == BEFORE), "written behind the image");
                assert!(buffer[bytes.len()..image].iter().all(|byte| *byte == 0), "the tail is not zero");
                assert!(input.narrow.is_none_or(|(last, high)| base <= last || base >= high));
                // Forth and back again.
                let loaded = buffer.clone();
                if blob.relocate(&mut buffer, base, input.from).is_ok() {
                    assert_eq!(blob.relocate(&mut buffer, input.from, base), Ok(()));
                    assert!(!disjoint || buffer == loaded);
                }
            }
            Err(LoadError::Malformed { .. } | LoadError::MissingImport { .. }) => {
                assert!(size >= room as u64 || buffer[image..].iter().all(|byte| *byte == BEFORE));
            }
            Err(_) => assert!(buffer.iter().all(|byte| *byte == BEFORE), "written before it was refused"),
        }
    });
});
