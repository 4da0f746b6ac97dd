// An object that cannot become a blob: all reasons at once.

pie_blob::pie_blob!("faulty");

fn main() {}
