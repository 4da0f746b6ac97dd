// An import whose type is left open.

pie_blob::pie_blob! {
    mod wanting = "wanting";
    imports {
        fn getenv(name: impl Copy) -> *const u8;
        static environ: *const *const u8;
    }
}

fn main() {}
