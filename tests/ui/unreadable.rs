// A path where no object lies.

pie_blob::pie_blob!("/nowhere/at-all.po");

fn main() {}
