//! Offsets of an object that the build crate made, asked about as a user does with an error message at hand.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic)] // That is how tests fail.

mod common;

use common::{Scratch, command, done, image, refused};
use pie_blob_build::Blob;

const C: &str = "long start(void) { return 0; }
static inline __attribute__((always_inline)) long inner(volatile long *at) {
    return *at; // inner
}
long unused(long a) {
    return a * 3 + 1; // left out by the linker
}
long outer(volatile long *at) {
    return inner(at); // outer
}
";

/// The object, with code of which there is debugging information and code of which there is none.
fn built(scratch: &Scratch) -> std::path::PathBuf {
    let (c, assembler) = (
        scratch.write("outer.c", C),
        scratch.write(
            "bare.s",
            ".text\n.globl bare\n.type bare, @function\nbare: nop\nret\n.size bare, . - bare\n",
        ),
    );
    let blob = Blob::new("lines").target("x86_64-unknown-linux-gnu").cargo_directives(false);
    blob.out_dir(scratch.path("out")).source(c).source(assembler).export("outer").try_build().unwrap();
    scratch.path("out/lines.po")
}

#[test]
fn an_offset_leads_to_file_and_line() {
    let scratch = Scratch::new();
    let object = built(&scratch);
    let image = image(&object);
    let [outer, bare] = ["outer", "bare"].map(|name| image.symbol(name).unwrap().offset());
    let asked =
        command(["lines"]).arg(&object).arg(format!("{outer:#x}")).arg((bare + 1).to_string()).output();
    let said = String::from_utf8(asked.unwrap().stdout).unwrap();
    println!("{said}");
    let lines: Vec<&str> = said.lines().collect();
    let [inner, outside, symbol] = lines[..] else { panic!("{said}") };
    assert!(inner.starts_with(&format!("{outer:#x}  inner at ")) && inner.contains("outer.c:3:"), "{said}");
    assert!(outside.trim_start().starts_with("outer at ") && outside.contains("outer.c:9:"), "{said}");
    assert_eq!(symbol, format!("{:#x}  bare+0x1", bare + 1));
}

#[test]
fn what_cannot_be_answered_is_refused() {
    let scratch = Scratch::new();
    let said = refused(command(["lines"]).arg(scratch.built()).arg("0"));
    assert!(said.contains("no debugging information"), "{said}");
    let object = built(&scratch);
    let said = refused(command(["lines"]).arg(&object).arg("0x7fffffff"));
    assert!(said.contains("0x7fffffff lies outside of the image"), "{said}");
    done(command(["lines"]).arg(&object).arg("0"));
}
