// A blob for another machine, without a word that this is meant.

pie_blob::pie_blob!("elsewhere");

fn main() {}
