// An export that no constant can be called.

pie_blob::pie_blob!("nameless");

fn main() {}
