// A declaration with a body.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        fn dump_misc() {}
    }
}

fn main() {}
