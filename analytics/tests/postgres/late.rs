//! What comes late, or not at all: a commit that was given up, a server that says nothing.

use std::net::TcpListener;
use std::sync::mpsc;
use std::thread::{self, sleep};
use std::time::Duration;

use analytics::ownership::{Leases as _, Member, Terms};
use analytics::store::{PostgresLeases, PostgresStore, Scope, Store, StoreError, Transaction};
use rustix::process::{Pid, Signal, kill_process};

use crate::cluster::Cluster;
use crate::line::Line;
use crate::rows::{feeder, format};

fn time(store: &mut PostgresStore, time: u64) -> Result<(), StoreError> {
    let transaction = Transaction {
        times: vec![(feeder(0), time)],
        ..Transaction::default()
    };
    store.commit(&transaction).map(|lost| assert_eq!(lost, []))
}

/// The session of a commit stops before it does anything, the client is cut off, makes the commit again and the next one, and then the
/// session goes on.
#[test]
fn a_commit_that_was_given_up_does_not_come_after_its_retry() {
    let cluster = Cluster::start(&[]);
    let mut settings = cluster.database("late");
    let line = Line::to(cluster.port);
    settings.analytics.postgres.address = format!("127.0.0.1:{}", line.port);
    let mut store = PostgresStore::open(&settings, 1).unwrap();
    store.load(&format(), Scope::All, &mut drop).unwrap();
    time(&mut store, 0).unwrap();
    let sessions = "FROM pg_stat_activity WHERE application_name LIKE 'cipherwatt analytics%'";
    let session = cluster.sql("late", &format!("SELECT pid {sessions}"));
    let pid = Pid::from_raw(session.parse().unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let before = line.sent();
    thread::scope(|scope| {
        let commit = scope.spawn(|| time(&mut store, 1));
        while line.sent() == before {
            sleep(Duration::from_millis(10));
        }
        line.cut();
        let error = commit.join().unwrap().unwrap_err();
        assert!(error.may_pass(), "{error}");
    });
    let mut is_stopped = true;
    for number in [1, 2] {
        while let Err(error) = time(&mut store, number) {
            assert!(error.may_pass(), "{error}");
            if std::mem::take(&mut is_stopped) {
                kill_process(pid, Signal::CONT).unwrap();
            }
        }
    }
    let had_waited = !is_stopped;
    let _ = kill_process(pid, Signal::CONT);
    while cluster.sql(
        "late",
        &format!("SELECT count(*) {sessions} AND pid = {session}"),
    ) != "0"
    {
        sleep(Duration::from_millis(10));
    }
    assert_eq!(store.feeder(&feeder(0), &mut drop).unwrap(), Some(2));
    assert!(
        had_waited,
        "nothing was written while the first might still come"
    );
}

/// Does it within ten seconds, or fails.
fn soon<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, waits) = mpsc::channel();
    thread::spawn(move || done.send(work()));
    let result = waits.recv_timeout(Duration::from_secs(10));
    result.expect("it takes longer than ten seconds")
}

#[test]
fn a_server_that_accepts_and_says_nothing_does_not_keep_from_the_next() {
    let cluster = Cluster::start(&[]);
    let mut settings = cluster.database("silent");
    PostgresStore::open(&settings, 1).unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().map(|at| (silent, at)).unwrap();
    let postgres = &mut settings.analytics.postgres;
    postgres.address = format!("{}, 127.0.0.1:{}", silent.1, cluster.port);
    postgres.connect_timeout = Duration::from_millis(300);
    let all = settings.clone();
    soon(move || PostgresStore::open(&all, 1)).unwrap();
    let all = settings.clone();
    let taken = soon(move || {
        let member = Member {
            id: "one".parse().unwrap(),
            run: 1,
        };
        let terms = Terms {
            shards: 4,
            ttl: Duration::from_secs(10),
        };
        PostgresLeases::new(&all, member).unwrap().turn(&terms)
    });
    assert_eq!(taken.unwrap().len(), 4);
    // Alone it is a database that is away, and is named.
    settings.analytics.postgres.address = silent.1.to_string();
    let error = soon(move || PostgresStore::open(&settings, 1)).unwrap_err();
    let text = service::Chain(&error).to_string();
    assert!(error.may_pass() && text.contains("300ms"), "{text}");
}
