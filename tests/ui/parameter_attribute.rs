// A parameter with an attribute.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        fn dump_misc(#[allow(unused)] level: u32);
    }
}

fn main() {}
