//! With the feature `embed` the package builds itself as a blob.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "embed")]
    pie_blob_build::Blob::new("wild").cargo_package(".").build();
}
