fn main() {
    pie_blob_build::Blob::new("answer").source("answer.s").build();
}
