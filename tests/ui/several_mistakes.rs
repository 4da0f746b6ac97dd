// Everything that is wrong is said at once.

pie_blob::pie_blob! {
    mod sound = "sound";
    extern "C" {
        fn dump_mics(out: &mut u64, scale: f32);
        static dump_misc: u64;
        async fn calls();
        type Misc;
    }
}

fn main() {}
