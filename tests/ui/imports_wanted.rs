// A blob that wants symbols, embedded without saying what they are.

pie_blob::pie_blob!("wanting");

fn main() {}
