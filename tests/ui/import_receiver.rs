// A method as an import.

pie_blob::pie_blob! {
    mod wanting = "wanting";
    imports {
        fn getenv(&self) -> *const u8;
        static environ: *const *const u8;
    }
}

fn main() {}
