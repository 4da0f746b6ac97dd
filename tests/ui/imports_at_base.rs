// A fixed base for what is known only later.

pie_blob::pie_blob! {
    mod wanting = "wanting", base = 0x8000;
    imports {
        fn getenv(name: *const u8) -> *const u8;
        static environ: *const *const u8;
    }
}

fn main() {}
