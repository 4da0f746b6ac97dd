// Two exports that differ in case only.

pie_blob::pie_blob! {
    mod taken = "taken";
    unsafe extern "C" {
        fn twice();
        fn Twice();
    }
}

fn main() {}
