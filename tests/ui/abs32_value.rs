// What becomes of narrow words, misspelled.

pie_blob::pie_blob!("sound", abs32 = cheked);

fn main() {}
