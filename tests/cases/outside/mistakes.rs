//! What a compiler says about an invocation that is wrong, and where it points.

use crate::package::Package;

/// Exports a function and a static of eight bytes.
const SOURCE: &str = "
    .globl dump_misc, calls
    .type dump_misc, @function
    dump_misc: ret
    .size dump_misc, 1
    .data
    .balign 8
    .type calls, @object
    calls: .quad 7
    .size calls, 8
";

/// An invocation, the token that is at fault, and what is said about it.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("pie_blob::pie_blob!(\"nowhere\");", "\"nowhere\"", "there is no object for the blob `nowhere`"),
    ("pie_blob::pie_blob! { mod a = \"./nowhere.po\"; }", "\"./nowhere.po\"", "nowhere.po cannot be read"),
    ("pie_blob::pie_blob!(\"garbage\");", "\"garbage\"", "garbage.po cannot become a blob"),
    ("pie_blob::pie_blob!(\"cut\");", "\"cut\"", "cut.po cannot become a blob"),
    ("pie_blob::pie_blob!(\"folder\");", "\"folder\"", "folder.po cannot be read"),
    ("fn dump_mics();", "dump_mics", "the object defines no `dump_mics`; is it `dump_misc`?"),
    ("static dump_misc: u8;", "dump_misc", "`dump_misc` is a function in the object: declare it as a `fn`"),
    ("fn calls();", "calls", "`calls` is data in the object: declare it as a `static`"),
    ("static calls: u32;", "u32", "the type's size is not that of `calls` in the object: 8 bytes"),
    ("fn dump_misc(out: &mut u64);", "&mut u64", "a reference cannot point into another address space"),
];

#[test]
fn every_mistake_is_shown_where_it_is() {
    let package = Package::new("mistaken");
    let source = package.path("sound.s");
    std::fs::write(&source, SOURCE).unwrap();
    let blob = pie_blob_build::Blob::new("sound").source(source).out_dir(package.path("blobs"));
    let blob = blob.target("x86_64-unknown-linux-gnu").cargo_directives(false);
    let object = std::fs::read(blob.try_build().unwrap().object()).unwrap();
    package.write("blobs/garbage.po", "this is no object");
    package.write("blobs/cut.po", &object[..object.len() / 2]);
    package.write("blobs/folder.po/file", "");

    for &(mistake, token, message) in MISTAKES {
        let text = match mistake.starts_with("pie_blob::") {
            true => format!("//! A mistake.\n\n{mistake}\n"),
            false => format!(
                "//! A mistake.\n\npie_blob::pie_blob! {{\n    mod sound = \"sound\";\n    unsafe extern \"C\" {{\n        \
                 {mistake}\n    }}\n}}\n"
            ),
        };
        package.write("src/lib.rs", &text);
        let output = package.cargo(&["check", "--message-format=short"], &[]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{mistake} compiles");
        let (row, line) = text.lines().enumerate().find(|(_, line)| line.contains(mistake)).unwrap();
        let place = format!("src/lib.rs:{}:{}: error", row + 1, line.find(token).unwrap() + 1);
        let shown = said.lines().find(|line| line.starts_with(&place)).unwrap_or_default();
        assert!(shown.contains(message), "{mistake}: not at {place}:\n{said}");
        assert!(!said.contains("proc macro panicked"), "{said}");
    }
}
