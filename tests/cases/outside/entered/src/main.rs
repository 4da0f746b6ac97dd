//! Enters the blob with the number on the command line, and never comes back.

pie_blob::pie_blob! {
    mod leave = "leave";
    unsafe extern "C" {
        fn pie_blob_main(arg: u64) -> !;
    }
}

fn main() {
    let arg = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).expect("usage: entered NUMBER");
    assert_ne!(leave::PIE_BLOB_MAIN.get(), 0, "the entry lies before it");
    let mapped = leave::BLOB.map().expect("there is room");
    // SAFETY: the blob ends the process.
    unsafe { mapped.enter(arg) }
}
