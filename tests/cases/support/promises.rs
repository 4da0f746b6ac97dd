//! What an image promises, whatever object it was made of.

use pie_blob::Blob;
use pie_blob_image::{BaseError, Image};

/// Holds an image to what its documentation says.
pub(crate) fn kept(image: &Image, limit: u64) {
    let length = image.bytes().len() as u64;
    assert!(length <= image.size() && image.size() <= limit);
    assert!(image.align().is_power_of_two());
    let mut end = 0;
    for segment in image.segments() {
        assert!(segment.offset >= end && segment.initialised <= segment.size);
        assert!(image.packed() || !(segment.permissions.write && segment.permissions.execute), "{image}");
        end = segment.offset + segment.size;
    }
    assert_eq!(end, image.size());
    let mut end = 0;
    for relocation in image.relocations() {
        let offset = u64::from(relocation.offset());
        assert!(offset >= end, "{image}");
        end = offset + u64::from(relocation.kind().width());
        assert!(end <= length);
        if let Some(import) = relocation.kind().import() {
            assert!(usize::try_from(import).unwrap() < image.imports().len());
        }
    }
    for symbol in image.symbols().iter().chain(image.exports()) {
        assert!(u64::from(symbol.offset()) + symbol.size() <= image.size());
        assert!(image.symbols_named(symbol.name()).contains(symbol));
    }
    if let Some(stack) = image.stack() {
        assert!(stack.start < stack.end && stack.end <= image.size());
    }
    assert!(image.imports().windows(2).all(|pair| pair[0].name() < pair[1].name()));
}

/// Loads it at bases that fit and at some that do not: the bytes are the image's own, the rest of the buffer stays.
pub(crate) fn loads(image: &Image, blob: &Blob) {
    const BEFORE: u8 = 0xa5;
    let size = usize::try_from(image.size()).unwrap();
    for base in [0, image.align() << 4, 0x7fff_0000_0000, 0x7fff_0000 & !(image.align() - 1)] {
        let mut buffer = vec![BEFORE; size + 64];
        let answer = blob.load(&mut buffer, base);
        match image.relocated(base) {
            Ok(mut expected) => {
                expected.resize(size, 0);
                assert_eq!(answer, Ok(()), "{image}");
                assert!(buffer[..size] == expected, "at {base:#x}\n{image}");
            }
            Err(BaseError::Imports { .. }) => assert!(answer.is_err()),
            Err(error) => {
                assert!(answer.is_err(), "{error}\n{image}");
                assert!(buffer.iter().all(|byte| *byte == BEFORE), "{error}\n{image}");
            }
        }
        assert!(buffer[size..].iter().all(|byte| *byte == BEFORE), "written behind the image");
        assert!(size == 0 || blob.load(&mut buffer[..size - 1], base).is_err());
    }
}
