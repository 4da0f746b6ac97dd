// A base that is no address.

pie_blob::pie_blob!("sound", base = 0x1_0000_0000_0000_0000);

fn main() {}
