//! What a person demands, and how long that takes at most.

use clap::Parser;
use wire::UnixSeconds;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    command: AuditCommand,
}

fn command(line: &[&str]) -> AuditCommand {
    let line = [&["audit"], line].concat();
    Line::try_parse_from(line).ok().unwrap().command
}

/// The running holder drives its audits until the command has what it asked for; gateways show what they have.
async fn run(
    auditing: &mut Auditing,
    line: &[&str],
    reports: &[Sent],
) -> Result<(String, Result<(), AuditError>), AuditError> {
    let settings = auditing.settings.clone();
    let running = command(line).run(&settings);
    tokio::pin!(running);
    loop {
        tokio::select! {
            biased;
            ended = &mut running => return ended,
            () = tokio::time::sleep(SECOND) => {
                let now = Instant::now();
                if auditing.tick(now).is_empty() {
                    continue;
                }
                for report in reports {
                    let _ = auditing.show(report, now);
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_demands_an_audit_of_the_running_holder_and_sees_what_it_came_to() {
    let mut auditing = Auditing::new();
    auditing.world.holders[0].audit_share = 0.0;
    let sum = auditing.world.sum(FEEDERS[0], 0, &[0, 1, 2]);
    let nothing = run(&mut auditing, &[], &[]).await.unwrap_err();
    assert!(matches!(nothing, AuditError::Nothing), "{nothing}");
    let reports = auditing.consent_to_honest(&sum);
    let now = Instant::now();
    assert_eq!(auditing.tick(now), [], "nobody demands it");

    let window = UnixSeconds(sum.window.0).0.to_string();
    let (told, judged) = run(&mut auditing, &[], &reports).await.unwrap();
    assert!(
        judged.is_ok() && told.starts_with("right: feeder-1, 2023"),
        "{told}"
    );
    let of = ["--feeder", FEEDERS[0], "--window", &window];
    let (told, judged) = run(&mut auditing, &of, &reports[1..]).await.unwrap();
    let judged = judged.unwrap_err().to_string();
    assert_eq!(judged, "of 1 audits 0 are wrong and 1 incomplete");
    let missing = format!("not shown: {} of gateway-1", reports[0].meter);
    assert!(told.contains(&missing), "{told}");
    let (json, judged) = run(&mut auditing, &["--results", "--output", "json"], &[])
        .await
        .unwrap();
    assert!(judged.is_err());
    let records: Vec<Record> = serde_json::from_str(&json).unwrap();
    assert_eq!(records, [auditing.record()]);

    let elsewhere = ["--feeder", FEEDERS[1], "--window", &window];
    let nothing = run(&mut auditing, &elsewhere, &[]).await.unwrap_err();
    assert!(matches!(nothing, AuditError::Nothing), "{nothing}");
    // Nobody is there to audit.
    let settings = auditing.settings.clone();
    auditing.world.holders.remove(0);
    let stopped = command(&[]).run(&settings).await.unwrap_err();
    assert!(
        matches!(stopped, AuditError::NotRunning { .. }),
        "{stopped}"
    );
}

/// Somebody waits for it.
#[tokio::test(start_paused = true)]
async fn a_demand_ends_in_bounded_time_whatever_becomes_of_the_audit() {
    // The holder has no plan: it takes no demand.
    let (mut auditing, ..) = Auditing::of_three();
    let held = auditing.world.holders[0].held.take();
    let error = run(&mut auditing, &[], &[]).await.unwrap_err();
    assert!(matches!(error, AuditError::NotTaken), "{error}");
    let folder = records::folder_in(auditing.world.folder(0).path());
    let left = records::names(&folder.join("wanted")).unwrap();
    assert!(left.is_empty(), "nobody waits for it any more");
    auditing.world.holders[0].held = held;

    // It cannot audit what its plan has no feeder of.
    let (mut auditing, sum, _) = Auditing::of_three();
    let mut held = (**auditing.world.holders[0].held.as_ref().unwrap()).clone();
    held.plan
        .feeders
        .retain(|setting| setting.feeder != sum.feeder);
    auditing.world.holders[0].held = Some(std::sync::Arc::new(held));
    let error = run(&mut auditing, &[], &[]).await.unwrap_err();
    assert!(matches!(error, AuditError::Nothing), "{error}");

    // It begins and is stopped: nothing of it is ever written.
    let (mut auditing, ..) = Auditing::of_three();
    let settings = auditing.settings.clone();
    let running = command(&[]).run(&settings);
    let stopping = async {
        tokio::time::sleep(SECOND).await;
        auditing.tick(Instant::now());
    };
    let (ended, ()) = tokio::join!(running, stopping);
    let error = ended.unwrap_err();
    assert!(matches!(error, AuditError::NotOver { .. }), "{error}");
    let told = error.to_string();
    assert!(told.contains("is not over after 13m 30s"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_and_what_nobody_waits_for_any_more_is_not_audited() {
    let (mut auditing, sum, _) = Auditing::of_three();
    auditing.world.holders[0].to_audit.clear();
    let folder = records::folder_in(auditing.world.folder(0).path());
    let wanted = records::Wanted {
        of: Some((sum.feeder.clone(), sum.window)),
    };
    let [old, unread] = ["old", "unread"].map(|id| records::path_of(&folder.join("wanted"), id));
    records::write(&old, &wanted).unwrap();
    let file = std::fs::File::options().write(true).open(&old).unwrap();
    let then = std::time::SystemTime::now() - Duration::from_secs(60);
    file.set_modified(then).unwrap();
    std::fs::write(&unread, b"{").unwrap();
    assert_eq!(auditing.tick(Instant::now()), []);
    assert!(!old.exists() && !unread.exists());
    let taken = folder.join("taken");
    assert_eq!(records::names(&taken).unwrap(), ["unread"]);
    let begun: Vec<String> = records::read(&records::path_of(&taken, "unread")).unwrap();
    assert!(begun.is_empty(), "{begun:?}");
}

#[tokio::test(start_paused = true)]
async fn a_demand_that_cannot_be_answered_is_taken_once_and_nothing_is_audited_for_it() {
    let (mut auditing, ..) = Auditing::of_three();
    auditing.world.holders[0].to_audit.clear();
    let folder = records::folder_in(auditing.world.folder(0).path());
    let wanted = records::path_of(&folder.join("wanted"), "1");
    records::write(&wanted, &records::Wanted { of: None }).unwrap();
    std::fs::write(folder.join("taken"), b"in the way").unwrap();
    for _ in 0..2 {
        assert_eq!(auditing.tick(Instant::now()), []);
        assert!(!wanted.exists());
    }
}
