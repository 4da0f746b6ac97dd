// A layout of what has no members in the blob.

pie_blob::pie_blob! {
    mod described = "described";
    unsafe extern "C" {
        #[layout(pid)]
        fn reset(level: u32);
    }
}

fn main() {}
