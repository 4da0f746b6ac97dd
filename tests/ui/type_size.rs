// A structure that has grown on one side only.

#[repr(C)]
pub struct Misc {
    pid: i32,
    flags: u64,
    more: u64,
}

pie_blob::pie_blob! {
    mod described = "described";
    unsafe extern "C" {
        fn collect(level: u32, out: *mut Misc) -> i32;
    }
}

fn main() {}
