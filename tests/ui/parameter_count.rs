// A parameter is missing.

pie_blob::pie_blob! {
    mod described = "described";
    unsafe extern "C" {
        fn collect(level: u32) -> i32;
    }
}

fn main() {}
