// A visibility that depends on where the module is.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        pub(super) fn dump_misc();
    }
}

fn main() {}
