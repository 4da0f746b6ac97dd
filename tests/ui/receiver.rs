// A method.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        fn dump_misc(&self);
    }
}

fn main() {}
