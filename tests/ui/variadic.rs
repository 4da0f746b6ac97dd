// A function with any number of parameters.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        fn dump_misc(level: u32, ...);
    }
}

fn main() {}
