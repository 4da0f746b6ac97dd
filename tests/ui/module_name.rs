// A blob whose name is none for a module.

pie_blob::pie_blob!("2fast");

fn main() {}
