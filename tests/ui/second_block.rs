// Declarations in two blocks.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        fn dump_misc();
    }
    unsafe extern "C" {
        static calls: u64;
    }
}

fn main() {}
