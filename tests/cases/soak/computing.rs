//! Interpreters that compute: every result is that of an undisturbed run.

use std::sync::atomic::{AtomicUsize, Ordering};

use pie_blob_tests::victim::Running;

use crate::cycles::{CYCLES, DEATHS, Working, all};
use crate::figures::{Change, Figures, traces};

/// A line a round, always the same one, until the input ends: chained hashes, floating point, dictionaries, sorting.
const PYTHON: &str = r#"
import hashlib, math, select, sys
def work():
    digest, total, words = b"pie_blob", 0.0, {}
    for n in range(20000):
        digest = hashlib.sha256(digest).digest()
        total += math.sin(n) * math.sqrt(n)
        words[digest[:2]] = words.get(digest[:2], 0) + n
    ordered = sorted(words.items(), key=lambda item: (item[1], item[0]))
    return hashlib.sha256(repr((digest, total, ordered)).encode()).hexdigest()
while not select.select([sys.stdin], [], [], 0)[0]:
    print(work(), flush=True)
"#;

/// The same in code that V8 compiles while it runs, with hashes in libuv's threads, timers and garbage.
const NODE: &str = r#"
const crypto = require("crypto");
let ended = false;
process.stdin.on("end", () => { ended = true; }).resume();
const derive = (salt) => new Promise((done, failed) =>
  crypto.pbkdf2("pie_blob", salt, 2000, 32, "sha256", (error, key) => error ? failed(error) : done(key)));
async function work() {
  const numbers = new Float64Array(4096);
  let bits = 12345 | 0, garbage = [];
  for (let n = 0; n < 400000; n++) {
    bits = (Math.imul(bits, 1103515245) + 12345) | 0;
    numbers[n & 4095] += Math.sqrt(n) * (bits & 255);
    if ((n & 63) === 0) garbage.push({ n, text: "round " + n });
  }
  const keys = await Promise.all([..."abcdefgh"].map(derive));
  await new Promise((done) => setTimeout(done, 2));
  const hash = crypto.createHash("sha256");
  hash.update(Buffer.from(numbers.buffer)).update(JSON.stringify(garbage));
  keys.forEach((key) => hash.update(key));
  return hash.digest("hex");
}
(async () => { while (!ended) console.log(await work()); process.exit(0); })();
"#;

/// `warm_up` are the rounds after which it has the memory that it works with.
pub(crate) fn computes(name: &str, program: &str, arguments: &[&str], warm_up: usize) {
    let mut undisturbed = Running::start(program, arguments);
    let wanted = undisturbed.first_line().to_owned();
    assert_eq!((wanted.len(), undisturbed.line()), (64, wanted.clone()), "{name} has one result");
    undisturbed.end();

    let mut victim = Running::start(program, arguments);
    let pid = victim.pid();
    for _ in 0..warm_up {
        assert_eq!(victim.line(), wanted);
    }
    let before = Figures::of(pid);
    let ended = AtomicUsize::new(0);
    let rounds = std::thread::scope(|scope| {
        scope.spawn(|| {
            let _working = Working(&ended);
            assert_eq!(all(|| Some(pid)), 0, "it blocks nothing");
        });
        let mut rounds = 0;
        while ended.load(Ordering::Relaxed) == 0 {
            assert_eq!(victim.line(), wanted, "{name}: another result in round {rounds}");
            rounds += 1;
        }
        rounds
    });
    for _ in 0..3 {
        assert_eq!(victim.line(), wanted, "{name}: another result after the last cycle");
    }
    let after = Figures::of(pid);
    before.assert_no_leak(after, CYCLES + DEATHS);
    assert_eq!(traces(pid), [""; 0]);
    let last = victim.end();
    assert!(last.is_empty() || last == wanted, "{name}: another last result: {last}");
    println!(
        "{name}: {CYCLES} cycles, {DEATHS} dead hosts, {rounds} results, 0 changed; {}",
        Change(before, after)
    );
}

#[test]
fn cpython() {
    computes("CPython", "/usr/bin/python3", &["-u", "-c", PYTHON], 20);
}

#[test]
fn node_js() {
    computes("Node.js", "node", &["-e", NODE], 400);
}
