// A blob that nothing has built: no build script, or it has not run yet (in an editor).

pie_blob::pie_blob!("nowhere");

fn main() {}
