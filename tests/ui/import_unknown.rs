// A misspelled import.

pie_blob::pie_blob! {
    mod wanting = "wanting";
    imports {
        fn getemv(name: *const u8) -> *const u8;
        fn getenv(name: *const u8) -> *const u8;
        static environ: *const *const u8;
    }
}

fn main() {}
