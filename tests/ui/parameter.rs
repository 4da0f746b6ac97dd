// A parameter that no register holds.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        fn dump_misc(out: [u64; 4]);
    }
}

fn main() {}
