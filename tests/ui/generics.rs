// A function with generics.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        fn dump_misc<T>(out: *mut T);
    }
}

fn main() {}
