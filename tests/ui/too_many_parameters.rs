// More parameters than registers.

pie_blob::pie_blob! {
    mod sound = "sound";
    unsafe extern "C" {
        fn dump_misc(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8);
    }
}

fn main() {}
