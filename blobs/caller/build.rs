//! With the feature `embed` the package builds itself as a blob. It may leave one symbol undefined.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "embed")]
    pie_blob_build::Blob::new("caller").cargo_package(".").import("getenv").build();
}
