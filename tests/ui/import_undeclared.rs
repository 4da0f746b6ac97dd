// An import that is not declared.

pie_blob::pie_blob! {
    mod wanting = "wanting";
    imports {
        fn getenv(name: *const u8) -> *const u8;
    }
}

fn main() {}
