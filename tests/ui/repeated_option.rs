// An option that is given twice.

pie_blob::pie_blob!("sound", base = 0x8000, base = 0x9000);

fn main() {}
