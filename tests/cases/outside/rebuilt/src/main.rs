//! Prints what the blob answers.

pie_blob::pie_blob! {
    mod answer = "answer";
    unsafe extern "C" {
        fn answer() -> u32;
    }
}

fn main() {
    let mapped = answer::BLOB.map().expect("there is room");
    // SAFETY: `answer` takes nothing, and the mapping lives.
    println!("{}", unsafe { mapped.function(answer::ANSWER).expect("it is this blob's")() });
}
