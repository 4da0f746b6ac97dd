// A static that lies where its type cannot.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        static unaligned: u64;
    }
}

fn main() {}
