// A reference, which means nothing on the other side.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        fn dump_misc(out: &mut u64);
    }
}

fn main() {}
