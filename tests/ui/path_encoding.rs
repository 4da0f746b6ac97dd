// An object in a place whose name is not UTF-8.

pie_blob::pie_blob!("odd");

fn main() {}
