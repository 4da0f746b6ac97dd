//! Prints what two blobs answer whose objects are not built here: one found by its name, one by its path.

pie_blob::pie_blob! {
    mod named = "by-name";
    unsafe extern "C" {
        fn answer() -> u32;
    }
}

pie_blob::pie_blob! {
    mod pathed = "objects/path.po";
    unsafe extern "C" {
        fn answer() -> u32;
    }
}

fn main() {
    let mapped = [named::BLOB.map().expect("there is room"), pathed::BLOB.map().expect("there is room")];
    // SAFETY: `answer` takes nothing, and the mappings live.
    unsafe {
        let named = mapped[0].function(named::ANSWER).expect("it is this blob's")();
        let pathed = mapped[1].function(pathed::ANSWER).expect("it is this blob's")();
        println!("{named} {pathed}");
    }
}
