// A misspelled member.

#[repr(C)]
pub struct Misc {
    pid: i32,
    flags: u64,
}

pie_blob::pie_blob! {
    mod described = "described";
    unsafe extern "C" {
        #[layout(pid, flag)]
        static LAST: Misc;
    }
}

fn main() {}
