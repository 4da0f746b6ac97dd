// A result that no register holds.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        fn dump_misc() -> (u64, u64);
    }
}

fn main() {}
