// A static of unknown size.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        static calls: [u64];
    }
}

fn main() {}
