// A layout of what lies in somebody else's image.

pie_blob::pie_blob! {
    mod wanting = "wanting";
    imports {
        fn getenv(name: *const u8) -> *const u8;
        #[layout(first)]
        static environ: *const *const u8;
    }
}

fn main() {}
