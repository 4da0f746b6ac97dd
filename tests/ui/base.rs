// A base that the image cannot lie at.

pie_blob::pie_blob!("sound", base = 0x8001);

fn main() {}
