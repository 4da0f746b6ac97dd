//! A blob of data that is given back: what a macro writes lives for ever, what a fuzzer makes must not.

use pie_blob::__private::{Parts, blob};
use pie_blob::{Architecture, Blob, Reloc};

/// A blob that is nothing, to be changed.
pub(crate) const NOTHING: Parts = Parts {
    name: "fuzzed",
    id: 0,
    architecture: Architecture::X86_64,
    bytes: &[],
    relocs: &[],
    imports: &[],
    size: 0,
    align: 1,
    segments: &[],
    exports: &[],
    stack: None,
    packed: false,
    base: None,
    narrow: None,
    done: None,
    panic: None,
};

/// Calls `with` with a blob of these bytes and packed relocations, and of what `parts` says besides.
pub(crate) fn with_blob(bytes: Vec<u8>, relocs: Vec<u8>, parts: Parts, with: impl FnOnce(&Blob)) {
    let [bytes, relocs] = [bytes, relocs].map(|data| Box::into_raw(data.into_boxed_slice()));
    // SAFETY: the pointer comes from a box that nobody else has, and is valid until it is made one again below.
    let parts = Parts { bytes: unsafe { &*bytes }, ..parts };
    // SAFETY: as above.
    let parts = Parts { relocs: Reloc::slice(unsafe { &*relocs }), ..parts };
    with(&blob(parts));
    for data in [bytes, relocs] {
        // SAFETY: it came from a box, and the blob that has borrowed from it is gone. `with` has only read through it: no
        // target keeps what `bytes` and `relocs` give out.
        drop(unsafe { Box::from_raw(data) });
    }
}
