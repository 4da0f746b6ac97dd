// A function with a qualifier.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        async fn dump_misc();
    }
}

fn main() {}
