// A `link_name` without a name.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        #[link_name]
        fn dump_misc();
    }
}

fn main() {}
