// A static that is declared as a function.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        fn calls();
    }
}

fn main() {}
