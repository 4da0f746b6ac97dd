// A function that is declared as a static.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        static dump_misc: u64;
    }
}

fn main() {}
