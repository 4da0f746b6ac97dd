// An option that does not exist.

pie_blob::pie_blob!("sound", bsae = 0x8000);

fn main() {}
