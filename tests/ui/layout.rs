// A `layout` without members.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        #[layout]
        static calls: u64;
    }
}

fn main() {}
