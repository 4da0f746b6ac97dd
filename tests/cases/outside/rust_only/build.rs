fn main() {
    pie_blob_build::Blob::new("everything").cargo_package("blob").build();
}
