// A type in the block.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        type Misc;
    }
}

fn main() {}
