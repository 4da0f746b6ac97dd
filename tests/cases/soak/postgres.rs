//! `PostgreSQL` under pgbench: a backend that serves, and the postmaster. Its own books say whether a transaction is lost.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::cycles::{CYCLES, DEATHS, Working, all};
use crate::figures::{Change, Figures, traces};
use crate::program::{Server, output, wait_until};

const PORT: &str = "15432";
const USER: &str = "postgres";

/// The newest version's programs; Debian keeps them out of the way.
fn programs() -> String {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect(".ci/soak installs postgresql");
    let newest = versions.map(|entry| entry.unwrap().path()).max_by_key(|path| {
        path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()).unwrap_or_default()
    });
    format!("{}/bin", newest.unwrap().display())
}

struct Database {
    programs: String,
    folder: String,
}

impl Database {
    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let connection = ["-h", &self.folder, "-p", PORT, "-U", USER];
        output(&format!("{}/{program}", self.programs), &[&connection, arguments].concat())
    }

    fn ask(&self, question: &str) -> String {
        self.run("psql", &["-d", USER, "-tAc", question]).trim().to_owned()
    }

    /// How many transactions were made; none failed.
    fn load(&self) -> u64 {
        let said = self.run("pgbench", &["-n", "-c", "4", "-j", "2", "-T", "15", USER]);
        let field = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        assert_eq!(field("number of failed transactions:"), Some("0 (0.000%)"), "{said}");
        field("number of transactions actually processed:").and_then(|number| number.parse().ok()).unwrap()
    }

    /// A backend that serves the benchmark, if there is one now.
    fn backend(&self) -> Option<i32> {
        let question = "select min(pid) from pg_stat_activity where application_name = 'pgbench'";
        self.ask(question).parse().ok()
    }
}

#[test]
fn postgres() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    output("chown", &[USER, &path]);
    let data = format!("{path}/data");
    let programs = programs();
    let initdb = format!("{programs}/initdb");
    output(
        "setpriv",
        &["--reuid", USER, "--regid", USER, "--init-groups", &initdb, "-D", &data, "--auth=trust", "-N"],
    );
    let log = folder.path().join("log");
    let arguments = ["-D", &data, "-p", PORT, "-k", &path, "-c", "listen_addresses="];
    let server = Server::start(USER, &format!("{programs}/postgres"), &arguments, &log);
    wait_until("the database is ready", || {
        std::fs::read_to_string(&log).unwrap_or_default().contains("ready to accept")
    });
    let database = Database { programs, folder: path };
    database.run("pgbench", &["-i", "-q", "-s", "4", USER]);

    let before = Figures::of(server.pid());
    let ended = AtomicUsize::new(0);
    let backends = AtomicUsize::new(0);
    // The postmaster blocks every signal while it does anything but wait, some of which it is woken with.
    let refused = AtomicUsize::new(0);
    let served = || {
        let backend = database.backend();
        backends.fetch_add(usize::from(backend.is_some()), Ordering::Relaxed);
        backend
    };
    let transactions = std::thread::scope(|scope| {
        scope.spawn(|| {
            let _working = Working(&ended);
            refused.fetch_add(all(served), Ordering::Relaxed);
        });
        scope.spawn(|| {
            let _working = Working(&ended);
            refused.fetch_add(all(|| Some(server.pid())), Ordering::Relaxed);
        });
        let mut transactions = 0;
        while ended.load(Ordering::Relaxed) < 2 {
            transactions += database.load();
        }
        transactions
    });

    let books = "select (select count(*) from pgbench_history), \
         (select count(distinct sum) from (select sum(abalance) from pgbench_accounts union all \
         select sum(tbalance) from pgbench_tellers union all select sum(bbalance) from pgbench_branches union all \
         select sum(delta) from pgbench_history) sums)";
    assert_eq!(database.ask(books), format!("{transactions}|1"), "a transaction is lost");
    let log = std::fs::read_to_string(log).unwrap();
    let complaint = |line: &&str| {
        ["ERROR:", "FATAL:", "PANIC:", "terminated by signal"].iter().any(|bad| line.contains(bad))
    };
    assert_eq!(log.lines().find(complaint), None);
    let after = Figures::of(server.pid());
    before.assert_no_leak(after, CYCLES + DEATHS);
    assert_eq!(traces(server.pid()), [""; 0]);
    println!(
        "PostgreSQL: {CYCLES} cycles and {DEATHS} dead hosts each in backends ({}) and the postmaster ({} moments refused), {transactions} transactions, \
         0 failed; postmaster: {}",
        backends.load(Ordering::Relaxed),
        refused.load(Ordering::Relaxed),
        Change(before, after)
    );
    assert!(server.stop("-INT"), "PostgreSQL ends badly");
}
