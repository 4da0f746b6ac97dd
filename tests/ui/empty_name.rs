// A name with nothing in it.

pie_blob::pie_blob!("");

fn main() {}
