// The variable names an object that is not there any more.

pie_blob::pie_blob!("cleaned");

fn main() {}
