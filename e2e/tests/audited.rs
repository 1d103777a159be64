//! A holder killed in the middle of an audit.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::processes::{Deployment, wait_for};

const CONFIG: [&str; 2] = ["--config", "holders.toml"];

/// What is released stays there for as long as the test takes.
const KEPT: &str = "[meter]\nkeep_released = \"100days\"\n\n[holder]\nkeep_sums = \"100days\"\naudit_share = 0.0\n\n";

#[test]
fn a_holder_killed_in_the_middle_of_an_audit_goes_on_with_it_and_whoever_demanded_it_is_told() {
    let deployment = Deployment::new();
    let ids = ["a", "b"];
    let settings = format!("{KEPT}{}", deployment.agree(&ids, &[]));
    std::fs::write(deployment.folder.path().join("holders.toml"), settings).unwrap();
    let own = ids.map(|id| format!("holder.id={id}"));
    let arguments = |place: usize| [&CONFIG[..], &["--set", &own[place]]].concat();
    let _broker = deployment.start("broker", &[]);
    let operator = deployment.start("operator", &CONFIG);
    let mut dying =
        deployment.start_to_die("holder", &arguments(0), "holder.after_audited_report:7");
    let _other = deployment.start_as(&own[1], "holder", &arguments(1));
    let _analytics = deployment.start("analytics", &CONFIG);
    // It runs until the test ends, and shows its reports.
    let arguments_of_meter = ["--meters", "20", "--feeders", "1", "--speed", "7200"];
    let _meter = deployment.start("meter", &[&arguments_of_meter[..], &CONFIG].concat());
    let released = || !deployment.totals().is_empty();
    wait_for("a total", released, || operator.log());
    let demand = [&["audit", "--output", "json"], &arguments(0)[..]].concat();
    let mut audit = deployment.start_as("audit", "holder", &demand);
    assert!(!dying.ends().success(), "{}", dying.log());
    assert!(!audit.has_ended(), "{}", audit.log());
    let holder = deployment.start_as(&own[0], "holder", &arguments(0));
    assert!(audit.ends().success(), "{}\n{}", audit.log(), holder.log());
    let told = std::fs::read(deployment.folder.path().join("audit.out")).unwrap();
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    let verdict = &told[0]["verdict"];
    assert_eq!(verdict["result"], "right", "{told}");
    assert_eq!(told.as_array().unwrap().len(), 1);
}
