// A block with another ABI.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "sysv64" {
        fn dump_misc();
    }
}

fn main() {}
