// An attribute that means nothing to a declaration.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        #[no_mangle]
        fn dump_misc();
    }
}

fn main() {}
