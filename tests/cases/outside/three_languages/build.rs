fn main() {
    pie_blob_build::Blob::new("three")
        .cargo_package("blob")
        .source("blob/c/three.c")
        .source("blob/asm/swap.s")
        .source("blob/asm/level.S")
        .include("blob/c")
        .define("LEVEL", "3")
        .build();
}
