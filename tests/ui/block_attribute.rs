// A block with an attribute.

pie_blob::pie_blob! {
    mod sound = "sound";
    #[link(name = "sound")]
    unsafe extern "C" {
        fn dump_misc();
    }
}

fn main() {}
