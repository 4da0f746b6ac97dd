// A block that does not say that it must be believed.

pie_blob::pie_blob! {
    mod sound = "sound";
    extern "C" {
        fn dump_misc();
    }
}

fn main() {}
