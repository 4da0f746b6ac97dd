// An import that the blob defines itself.

pie_blob::pie_blob! {
    mod wanting = "wanting";
    imports {
        fn start();
        fn getenv(name: *const u8) -> *const u8;
        static environ: *const *const u8;
    }
}

fn main() {}
