// An item whose constant would be one that every module has.

pie_blob::pie_blob! {
    mod taken = "taken";
    unsafe extern "C" {
        fn blob();
    }
}

fn main() {}
