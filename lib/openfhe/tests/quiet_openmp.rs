//! OpenMP inside OpenFHE starts no threads. Alone in its process, because it counts them.

#![allow(clippy::unwrap_used)]

use std::sync::Barrier;
use std::thread;

use openfhe::{Context, Fresh, reference, secret};
use packed::Lifted;

#[test]
fn openfhe_starts_no_threads_of_its_own() {
    const THREADS: usize = 3;
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let before = threads();
    let context = Context::new().unwrap();
    let (secret, public) = secret::generate(&context).unwrap();
    // The setting belongs to a thread, so each has to find it made.
    let work = || {
        assert_eq!(reference::openmp_threads().unwrap(), 1);
        let mut fresh = Fresh::default();
        context.encrypt(&public, &[1 << 40], &mut fresh).unwrap();
        let Fresh { c0, c1 } = fresh;
        secret.open(&Lifted { c0, c1 }).unwrap();
    };
    work();
    assert_eq!(threads(), before);
    let (done, counted) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                work();
                done.wait();
                counted.wait();
            });
        }
        done.wait();
        let during = threads();
        counted.wait();
        assert_eq!(during, before + THREADS);
    });
}
