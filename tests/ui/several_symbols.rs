// A local symbol that the object has twice.

pie_blob::pie_blob! {
    mod twins = "twins";
    unsafe extern "C" {
        fn helper();
    }
}

fn main() {}
