// A static of another size.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        static calls: u32;
    }
}

fn main() {}
