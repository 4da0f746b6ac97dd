// Imports in two blocks.

pie_blob::pie_blob! {
    mod wanting = "wanting";
    imports {
        fn getenv(name: *const u8) -> *const u8;
        static environ: *const *const u8;
    }
    imports {}
}

fn main() {}
