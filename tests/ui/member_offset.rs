// A structure with its members in another order.

#[repr(C)]
pub struct Misc {
    flags: u64,
    pid: i32,
}

pie_blob::pie_blob! {
    mod described = "described";
    unsafe extern "C" {
        #[layout(pid, flags)]
        static LAST: Misc;
    }
}

fn main() {}
