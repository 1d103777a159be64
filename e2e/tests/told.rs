//! The gateway says what is wrong, where whoever started it looks.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use e2e::processes::{Deployment, Process, wait_for};

/// Broker, operator and analytics.
fn services(deployment: &Deployment) -> [Process; 3] {
    ["broker", "operator", "analytics"].map(|name| deployment.start(name, &[]))
}

/// A second machine's state, which knows the operator.
fn second_state(deployment: &Deployment) -> &'static str {
    let folder = deployment.folder.path();
    let operator = folder.join("state-2/operator");
    std::fs::create_dir_all(&operator).unwrap();
    let key = folder.join("state/operator/signing.pub");
    std::fs::copy(key, operator.join("signing.pub")).unwrap();
    "deployment.state_dir=state-2"
}

/// Writes a day of quarter hours, each customer with the same energy in all of them, in kWh.
fn file(deployment: &Deployment, name: &str, day: &str, customers: &[(&str, f64)]) {
    let mut text = "time".to_owned();
    for (id, _) in customers {
        let _ = write!(text, ",{id}");
    }
    for quarter in 0..96 {
        let (hour, minute) = (quarter / 4, quarter % 4 * 15);
        let _ = write!(text, "\n{day} {hour:02}:{minute:02}");
        for (_, kwh) in customers {
            let _ = write!(text, ",{kwh}");
        }
    }
    std::fs::write(deployment.folder.path().join(name), text + "\n").unwrap();
}

fn homes(prefix: &str) -> Vec<(String, f64)> {
    (0..15)
        .map(|number| (format!("{prefix}{number}"), 0.3))
        .collect()
}

fn borrowed(customers: &[(String, f64)]) -> Vec<(&str, f64)> {
    let customers = customers.iter();
    customers.map(|(id, kwh)| (id.as_str(), *kwh)).collect()
}

#[test]
fn a_works_beside_homes_is_refused_by_name_and_the_homes_are_in_totals() {
    let deployment = Deployment::new();
    let _services = services(&deployment);
    file(
        &deployment,
        "homes.csv",
        "2024-03-04",
        &borrowed(&homes("home-")),
    );
    let replay = |name: &str, more: &[&str]| {
        let arguments = ["--replay", name, "--feeders", "1", "--speed", "100000"];
        deployment.start_as(name, "meter", &[&arguments, more].concat())
    };
    let mut first = replay("homes.csv", &[]);
    assert!(first.ends().success(), "{}", first.log());
    let before = deployment.totals().len();

    // The feeder's scale is that of homes now.
    let flats = homes("flat-");
    let mut mixed = borrowed(&flats);
    mixed.push(("works", 40_000.0));
    file(&deployment, "mix.csv", "2024-04-04", &mixed);
    let mut second = replay(
        "mix.csv",
        &[
            "--set",
            "meter.gateway=gateway-2",
            "--set",
            second_state(&deployment),
        ],
    );
    second.says("meter works declares 160000000 W");
    second.says("put it on another feeder");
    assert!(second.ends().success(), "{}", second.log());
    wait_for(
        "the totals of the flats",
        || deployment.totals().len() > before,
        || second.log(),
    );
    let totals = deployment.totals();
    let of_flats = totals.iter().skip(before);
    assert!(
        of_flats.clone().all(|total| total["meters"] == 15),
        "{totals:?}"
    );
    let said = second.log().matches("meter works declares").count();
    assert_eq!(said, 1, "{}", second.log());
}

#[test]
fn a_file_ahead_of_the_clock_is_said_with_both_times() {
    let deployment = Deployment::new();
    let _services = services(&deployment);
    file(
        &deployment,
        "plan.csv",
        "2135-01-01",
        &borrowed(&homes("home-")),
    );
    let meter = deployment.start(
        "meter",
        &["--replay", "plan.csv", "--feeders", "1", "--speed", "7200"],
    );
    meter.says("the readings start at 2135-01-01T00:00:00Z, ahead of this machine's clock");
}

#[test]
fn a_second_gateway_of_one_id_is_named_to_both() {
    let deployment = Deployment::new();
    let _services = services(&deployment);
    let arguments = ["--meters", "20", "--feeders", "1", "--speed", "3600"];
    let first = deployment.start("meter", &arguments);
    first.says("a new run begins");
    let copy = ["--set", second_state(&deployment)];
    let second = deployment.start_as("copy", "meter", &[&arguments[..], &copy].concat());
    for gateway in [&first, &second] {
        gateway.says("gateway-1 again and again: another process has that client id");
    }
}
