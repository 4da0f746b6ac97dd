//! With the feature `embed` the package builds itself as a blob, so that a host needs no build script for it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "embed")]
    pie_blob_build::Blob::new("restorer").cargo_package(".").stack(32 * 1024).build();
}
