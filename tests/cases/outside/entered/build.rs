fn main() {
    pie_blob_build::Blob::new("leave").cargo_package("blob").stack(32 * 1024).build();
}
