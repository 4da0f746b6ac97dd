// A misspelled export.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        fn dump_mics();
    }
}

fn main() {}
