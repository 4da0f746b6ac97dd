//! A Java virtual machine: code that is compiled while it runs, threads, a collector that stops them all, and null references
//! that are found by a fault.

use std::process::Command;

use crate::computing::computes;

/// A line a round, always the same one, until the input ends.
const SOURCE: &str = r#"
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.*;
import java.util.stream.*;

public class Work {
    static final class Node { Node next; int value; Node(Node next, int value) { this.next = next; this.value = value; } }

    static int value(Node node) { return node.value; }

    static long chain(int seed) {
        Map<Integer, Node> nodes = new HashMap<>();
        long sum = 0;
        Node last = null;
        for (int n = 0; n < 20000; n++) {
            last = new Node(n % 64 == 0 ? null : last, n * 31 + seed);
            nodes.put(n % 512, last);
            sum = sum * 31 + last.value + Math.round(Math.sqrt(n) * 1000);
        }
        int missed = 0;
        for (Node node : new TreeMap<>(nodes).values())
            for (Node at = node; ; at = at.next)
                try { sum += value(at); } catch (NullPointerException end) { missed++; break; }
        if (missed != nodes.size()) throw new IllegalStateException(missed + " ends of lists");
        return sum;
    }

    static String work() throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        String sums = IntStream.range(0, 8).parallel().mapToObj(n -> n + ":" + chain(n)).sorted()
            .collect(Collectors.joining(","));
        byte[] hash = digest.digest(sums.getBytes(StandardCharsets.UTF_8));
        StringBuilder text = new StringBuilder();
        for (byte b : hash) text.append(String.format("%02x", b));
        return text.toString();
    }

    public static void main(String[] arguments) throws Exception {
        Thread input = new Thread(() -> {
            try { while (System.in.read() >= 0) { } } catch (java.io.IOException closed) { }
            Runtime.getRuntime().halt(0);
        });
        input.setDaemon(true);
        input.start();
        while (true) { System.out.println(work()); System.out.flush(); }
    }
}
"#;

/// Rounds after which everything is compiled and the heap as large as it will be.
const WARM_UP: usize = 400;

#[test]
fn java() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("Work.java");
    std::fs::write(&source, SOURCE).unwrap();
    let compiled = Command::new("javac").arg("-d").arg(folder.path()).arg(&source).status();
    assert!(compiled.expect(".ci/soak installs a JDK").success());
    // The first compiler only: the second one would look for null itself where a fault has found one.
    let arguments = ["-Xmx64m", "-Xms64m", "-XX:+UseG1GC", "-XX:TieredStopAtLevel=1", "-cp"];
    computes("Java", "java", &[&arguments[..], &[folder.path().to_str().unwrap(), "Work"]].concat(), WARM_UP);
}
