//! Rust, C and assembler, and what their compilers take for granted.
#![allow(clippy::unwrap_used, clippy::panic)] // That is how tests fail.

mod common;

use common::{Scratch, contains, offset, source, with_every_linker, word};
use pie_blob_build::Blob;

fn probe(scratch: &Scratch) -> Blob {
    scratch.blob("probe").source(source("probe.c")).include(source("")).define("LEVEL", "2")
}

#[test]
fn rust_with_tables_formatting_and_wide_division() {
    let scratch = Scratch::new();
    let blob = scratch.blob("everything").source(source("everything.rs"));
    for (linker, built) in with_every_linker(&scratch, &blob) {
        let image = built.image();
        let mut exports: Vec<_> = built.exports().collect();
        exports.sort_unstable();
        assert_eq!(
            exports,
            ["CALLS", "FUNCTIONS", "NAMES", "ROOM", "apply", "divide", "jump", "print", "square"],
            "{linker}"
        );
        let table = offset(image, "FUNCTIONS");
        assert_eq!(word(image, table + 8), offset(image, "square"), "{linker}: the word holds the addend");
        let relocated: Vec<u64> = image.relocations().iter().map(|r| r.offset().into()).collect();
        assert!(relocated.contains(&table) && relocated.contains(&(table + 8)), "{linker}");
        assert!(relocated.len() >= 5, "{linker}: {relocated:?}");
        assert!(contains(image, b"second"), "{linker}");
        assert!(!image.symbols_named("memset").is_empty(), "{linker}: supplied");
        assert!(!image.symbols_named("__udivti3").is_empty(), "{linker}: supplied");
    }
}

#[test]
fn c_and_assembler() {
    let scratch = Scratch::new();
    let blob = probe(&scratch).source(source("entry.S")).export("hidden");
    for (linker, built) in with_every_linker(&scratch, &blob) {
        let image = built.image();
        let mut exports: Vec<_> = built.exports().collect();
        exports.sort_unstable();
        assert_eq!(exports, ["COUNT", "TABLE", "entry", "from_assembler", "probe"], "{linker}");
        let hidden = image.symbol("hidden").unwrap_or_else(|| panic!("{linker}: asked for, so kept"));
        assert_eq!(hidden.name(), "hidden");
        assert_eq!(image.relocations().len(), 2, "{linker}: the table's two words");
        assert!(built.inputs().contains(&source("probe.h")), "{linker}: headers are tracked");
        assert!(built.inputs().contains(&source("entry.S")), "{linker}");
    }
}

#[test]
fn assembler_with_directives_goes_to_the_c_compiler() {
    let scratch = Scratch::new();
    let built = probe(&scratch).source(source("preprocessed.S")).try_build().unwrap();
    assert!(built.exports().any(|name| name == "from_assembler"));
    let code = usize::try_from(offset(built.image(), "from_assembler")).unwrap();
    assert_eq!(built.image().bytes()[code..code + 3], [0x8d, 0x47, 2], "lea LEVEL(%rdi), %eax");
}

#[test]
fn a_blob_may_bring_its_own_memcpy() {
    let scratch = Scratch::new();
    let source = scratch.write(
        "own.c",
        "#include <stddef.h>
        __attribute__((noipa)) void *memcpy(void *to, const void *from, size_t len) { return len ? to : (void *)from; }
        void *memset(void *, int, size_t);
        __attribute__((visibility(\"default\"))) void both(char *to, char *from, size_t len)
        { memset(to, 0, len); memcpy(to, from, len); }",
    );
    for (linker, built) in with_every_linker(&scratch, &scratch.blob("own").source(source)) {
        assert_eq!(
            built.exports().collect::<Vec<_>>(),
            ["both"],
            "{linker}: the compiler's functions are no exports"
        );
        assert_eq!(built.image().symbols_named("memcpy").len(), 1, "{linker}");
    }
}

/// What `core` itself calls, in Rust and in C.
#[test]
fn text_of_c_has_a_length() {
    let scratch = Scratch::new();
    let rust = scratch.write(
        "length.rs",
        "#![no_std]
        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }
        #[unsafe(no_mangle)]
        unsafe extern \"C\" fn length(text: *const core::ffi::c_char) -> usize {
            // SAFETY: the caller's promise.
            unsafe { core::ffi::CStr::from_ptr(text) }.count_bytes()
        }",
    );
    let c = scratch.write(
        "length.c",
        "unsigned long strlen(const char *);
        __attribute__((visibility(\"default\"))) unsigned long length(const char *text) { return strlen(text); }",
    );
    for source in [rust, c] {
        for (linker, built) in with_every_linker(&scratch, &scratch.blob("length").source(&source)) {
            assert_eq!(built.exports().collect::<Vec<_>>(), ["length"], "{linker}");
            assert_eq!(built.image().symbols_named("strlen").len(), 1, "{linker}: supplied");
        }
    }
}

#[test]
fn exports_are_kept_out_of_other_crates_runtime() {
    let scratch = Scratch::new();
    let source = scratch.write(
        "panics.rs",
        "#![no_std]
        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }
        #[unsafe(no_mangle)]
        extern \"C\" fn __pie_blob_mine() {}
        #[unsafe(no_mangle)]
        extern \"C\" fn at(bytes: &[u8; 4], i: usize) -> u8 { bytes[i] }",
    );
    for (linker, built) in with_every_linker(&scratch, &scratch.blob("panics").source(source)) {
        assert_eq!(built.exports().collect::<Vec<_>>(), ["at"], "{linker}");
    }
}

#[test]
fn several_languages_in_one_blob() {
    let scratch = Scratch::new();
    let blob = probe(&scratch).source(source("entry.S")).source(source("everything.rs"));
    for (linker, built) in with_every_linker(&scratch, &blob) {
        for name in ["entry", "probe", "print"] {
            assert!(built.exports().any(|export| export == name), "{linker}: {name}");
        }
    }
}
