//! The guide in the documentation, built and run as a reader would: every file in it is whole.

use crate::package::Package;

const GUIDE: &str = include_str!("../../../runtime/docs/guide.md");

/// The blocks that begin with a comment that names a file, and the output that the guide promises.
fn blocks() -> (Vec<(String, String)>, String) {
    let mut files = Vec::new();
    let mut output = String::new();
    for block in GUIDE.split("\n```").skip(1).step_by(2) {
        let (_, text) = block.split_once('\n').unwrap();
        let first = text.lines().next().unwrap();
        if let Some(file) = first.strip_prefix("// ").or(first.strip_prefix("# ")) {
            files.push((file.to_owned(), format!("{text}\n")));
        } else if let Some(promised) = text.strip_prefix("$ cargo run\n") {
            output = format!("{promised}\n");
        }
    }
    (files, output)
}

#[test]
fn the_guide_does_what_it_says() {
    let (files, promised) = blocks();
    let names: Vec<&str> = files.iter().map(|(file, _)| file.as_str()).collect();
    assert_eq!(names, ["probe/Cargo.toml", "probe/src/lib.rs", "build.rs", "src/main.rs"]);
    // The manifest that `cargo new` and `cargo add` write, with the workspace's own crates.
    let package = Package::new("guide");
    for (file, text) in files {
        let path = format!("{{ path = \"{}/blobs/std\" }}", Package::workspace().display());
        package.write(&file, text.replace("pie_blob_std = \"0.1\"", &format!("pie_blob_std = {path}")));
    }
    let said = package.build(&[]).run();
    assert_eq!(String::from_utf8(said).unwrap(), promised);
}
