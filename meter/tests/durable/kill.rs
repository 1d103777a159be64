//! The real process, killed at its named points and from outside.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};
use wire::Status;

use crate::world::{LIMIT, World, windows};

/// The process in this world, with what any source of readings needs.
pub(crate) fn bare(world: &World) -> Command {
    let settings = &world.settings;
    let mut command = Command::new(env!("CARGO_BIN_EXE_meter"));
    let mut set = |key: &str, value: String| {
        command.arg("--set").arg(format!("{key}={value}"));
    };
    let key = settings.deployment.operator_key.unwrap();
    set("deployment.operator_key", key.to_string());
    set(
        "deployment.state_dir",
        settings.deployment.state_dir.display().to_string(),
    );
    set("mqtt.address", settings.mqtt.address.clone());
    set("mqtt.backoff_min", "20ms".to_owned());
    set("meter.metrics_listen", String::new());
    let floor = settings.meter.min_meters_floor;
    set("meter.min_meters_floor", floor.to_string());
    set("meter.seal_threads", "1".to_owned());
    command
        .current_dir(world.folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

fn meter(world: &World) -> Command {
    let mut command = bare(world);
    let mut set = |key: &str, value: String| {
        command.arg("--set").arg(format!("{key}={value}"));
    };
    set("meter.meters", "5".to_owned());
    set("meter.feeders", "2".to_owned());
    set("meter.speed", "1e9".to_owned());
    set("meter.start", "2023-11-14T22:13:20Z".to_owned());
    set("meter.duration", "8h".to_owned());
    set("meter.max_unreceipted", "9".to_owned());
    set("meter.outbox_max_reports", "12".to_owned());
    set("meter.retry_min", "100ms".to_owned());
    set("meter.retry_max", "200ms".to_owned());
    command
}

/// Loses the first receipt of every third report: it is then sent again.
fn forgetful(world: &World) {
    let mut count = 0;
    world.answer(move |_, times| {
        count += 1;
        (times > 0 || count % 3 != 0).then_some(Status::Folded)
    });
}

async fn ended(child: &mut Child) -> ExitStatus {
    let ended = tokio::time::timeout(LIMIT, child.wait()).await;
    ended.expect("it never ended").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_named_point_it_loses_and_repeats_nothing() {
    let world = World::start().await;
    forgetful(&world);
    let mut killed = 0;
    for count in [1, 2, 4, 7] {
        for point in [
            "meter.before_journal",
            "meter.after_journal",
            "meter.before_publish",
            "meter.after_publish",
        ] {
            let mut command = meter(&world);
            command.env("CIPHERWATT_FAILPOINT", format!("{point}:{count}"));
            let status = ended(&mut command.spawn().unwrap()).await;
            // It may have come to its end before it came to the point so often.
            assert!(
                status.signal() == Some(6) || status.success(),
                "{point}: {status}"
            );
            killed += u32::from(status.signal() == Some(6));
        }
    }
    assert!(killed >= 8, "{killed}");
    let status = ended(&mut meter(&world).spawn().unwrap()).await;
    assert!(status.success(), "{status}");
    world.check_taken(&windows(), 5);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_from_outside_and_terminated_it_goes_on() {
    let world = World::start().await;
    forgetful(&world);
    for taken in [3, 11, 17] {
        let mut child = meter(&world).spawn().unwrap();
        world
            .until("some reports are taken", |books| books.taken.len() >= taken)
            .await;
        child.start_kill().unwrap();
        ended(&mut child).await;
    }
    // No answers: it cannot end by itself, and is told to.
    world.answer(|_, _| None);
    let mut child = meter(&world).spawn().unwrap();
    let arrivals = world.books().arrivals.len();
    world
        // The first few may be what the one before still sent.
        .until("it sends again", |books| {
            books.arrivals.len() > arrivals + 8
        })
        .await;
    let pid = child.id().unwrap().to_string();
    let told = Command::new("kill")
        .args(["-TERM", &pid])
        .status()
        .await
        .unwrap();
    assert!(told.success());
    let status = tokio::time::timeout(Duration::from_secs(30), child.wait()).await;
    let status = status.expect("it drains within a stated time").unwrap();
    assert!(status.success(), "{status}");
    forgetful(&world);
    let status = ended(&mut meter(&world).spawn().unwrap()).await;
    assert!(status.success(), "{status}");
    world.check_taken(&windows(), 5);
    world.end().await;
}

/// A gateway whose files can be limited in size, with its log in a file.
fn limitable(world: &World, log: &Path) -> Command {
    let settings = meter(world);
    // SIGXFSZ would end the process; ignored, the write fails as it does on a full disk.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
    command.arg(settings.as_std().get_program());
    command.args(settings.as_std().get_args());
    command.current_dir(world.folder.path()).kill_on_drop(true);
    command
        .stderr(std::fs::File::create(log).unwrap())
        .stdin(Stdio::null());
    command
}

/// Limits the size of the files that a process may write. That stands for a full disk: the process must not die of it, and the
/// limit can be lifted.
async fn limit(child: &Child, limit: &str) -> std::io::Result<ExitStatus> {
    let pid = child.id().unwrap().to_string();
    let mut command = Command::new("prlimit");
    command.args(["--pid", &pid, &format!("--fsize={limit}:unlimited")]);
    command.status().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_it_from_taking_and_not_from_going_on() {
    let world = World::start().await;
    world.answer(|_, _| None);
    let mut child = meter(&world).spawn().unwrap();
    let journal = world
        .settings
        .deployment
        .state_dir
        .join("gateway-1/outbox.redb");
    world
        .until("two windows are taken in", |books| books.taken.len() == 9)
        .await;
    child.start_kill().unwrap();
    ended(&mut child).await;
    assert!(journal.exists());

    let log = world.folder.path().join("log.txt");
    let mut child = limitable(&world, &log).spawn().unwrap();
    let arrivals = world.books().arrivals.len();
    world
        // The first few may be what the one before still sent.
        .until("it sends again", |books| {
            books.arrivals.len() > arrivals + 8
        })
        .await;
    assert!(
        limit(&child, "4096").await.unwrap().success(),
        "prlimit is of util-linux"
    );
    // Receipts are taken all the same; what they would make room for is not.
    forgetful(&world);
    let stated = || std::fs::read_to_string(&log).unwrap();
    let failing = async {
        while !stated().contains("no new readings are taken until it can be written") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, failing)
        .await
        .expect("it says that it cannot write");
    assert!(child.try_wait().unwrap().is_none());
    assert!(limit(&child, "unlimited").await.unwrap().success());
    assert!(ended(&mut child).await.success(), "{}", stated());
    assert_eq!(
        stated().matches("until it can be written").count(),
        1,
        "{}",
        stated()
    );
    world.check_taken(&windows(), 5);
    world.end().await;
}
