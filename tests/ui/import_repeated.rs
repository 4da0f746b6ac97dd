// An import that is declared twice.

pie_blob::pie_blob! {
    mod wanting = "wanting";
    imports {
        fn getenv(name: *const u8) -> *const u8;
        static environ: *const *const u8;
        #[link_name = "getenv"]
        fn variable(name: *const u8) -> *const u8;
    }
}

fn main() {}
