// A parameter of another type.

#[repr(C)]
pub struct Misc {
    pid: i32,
    flags: u64,
}

pie_blob::pie_blob! {
    mod described = "described";
    unsafe extern "C" {
        fn collect(level: u64, out: *mut Misc) -> i32;
    }
}

fn main() {}
