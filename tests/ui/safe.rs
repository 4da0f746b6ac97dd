// A function that is promised to be safe.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        safe fn dump_misc();
    }
}

fn main() {}
