//! Figures, faults and the JSON.

use super::*;
use crate::peers::catalogue::PEERS;

fn work() -> Work {
    Work {
        readings: vec![vec![100; BATCH], vec![50; BATCH]],
        reference_wh: 128,
        layout: packed::layout::Layout::Profile,
    }
}

fn steps(factor: f64) -> Steps {
    let times = [
        ("encrypt", 4e-4),
        ("sign", 1e-4),
        ("seal", 5e-4),
        ("admit", 3e-5),
        ("fold", 1e-5),
        ("server", 4e-5),
        ("fold_alone", 2e-6),
        ("copy", 1e-6),
    ];
    let mut steps = Steps::from(times.map(|(step, seconds)| (step, seconds * factor)));
    steps.insert("bytes", 12_000.0);
    steps.insert("ciphertext_bytes", 11_800.0);
    steps
}

/// A peer of the catalogue, before it is measured.
fn peer(index: usize) -> Peer {
    Peer {
        system: PEERS[index],
        version: None,
        figures: None,
        not_measured: None,
    }
}

fn measured(factor: f64) -> Measured {
    Measured {
        reports: 2.0,
        client: [("encrypt".to_owned(), 5e-3 * factor)].into(),
        server: [("add".to_owned(), 4e-4 * factor)].into(),
        bytes: 48_000,
    }
}

fn opened(off_wh: f64) -> Opened {
    Opened {
        totals_wh: vec![150.0 + off_wh; BATCH],
        included: vec![0, 1],
    }
}

fn comparison() -> Comparison {
    // The second round ran on a machine half as fast.
    let ours = [steps(1.0), steps(2.0)];
    let rounds = [measured(1.0), measured(2.0)];
    let mut tenseal = peer(0);
    tenseal.version = Some("TenSEAL".to_owned());
    tenseal.figures = Some(Figures::new(&rounds, &ours, &work(), &opened(0.0)).unwrap());
    let mut prio3 = peer(4);
    prio3.not_measured = Some("cargo build: no network".to_owned());
    Comparison {
        rounds: 2,
        reports_per_round: 2,
        readings_per_report: BATCH,
        reference_wh: 128,
        input: input(2),
        ours: Ours::new(&ours, &work(), &opened(0.0), 1).unwrap(),
        peers: vec![tenseal, prio3],
        brokers: brokers::BrokerComparison::default(),
        wrong: Vec::new(),
        correct: true,
        results: PathBuf::from("results/x"),
    }
}

#[test]
fn ratios_are_of_the_same_round_and_in_the_json_with_their_spread() {
    let json = serde_json::to_value(comparison()).unwrap();
    let ratios = &json["peers"][0]["figures"]["ratios"];
    let near = |value: &serde_json::Value, expected: f64| {
        let value = value.as_f64().unwrap();
        assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
    };
    // 2,500 µs a report over 500 and 400, 200 over 40 and 2, in both rounds.
    for figure in ["median", "min", "max"] {
        near(&ratios["client_over_seal"][figure], 5.0);
        near(&ratios["client_over_encrypt"][figure], 6.25);
        near(&ratios["server_over_ours"][figure], 5.0);
        near(&ratios["server_over_fold"][figure], 100.0);
    }
    near(&ratios["bytes"], 2.0);
    near(&json["ours"]["seal_us"]["min"], 500.0);
    near(&json["ours"]["fold_over_copy"]["median"], 2.0);
    assert_eq!(json["peers"][1]["figures"], serde_json::Value::Null);
    assert_eq!(json["peers"][1]["not_measured"], "cargo build: no network");
}

#[test]
fn what_was_not_measured_is_in_the_table_with_the_reason() {
    let text = comparison().text();
    for words in [
        "not measured: cargo build: no network",
        "gives: a proof that every reading is in range",
    ] {
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_sum_outside_what_its_system_promises_is_a_fault() {
    let check = |index: usize, off_wh: f64| {
        let opened = opened(off_wh);
        let figures = Figures::new(&[measured(1.0)], &[steps(1.0)], &work(), &opened).unwrap();
        fault(&PEERS[index], &figures, &work(), &opened)
    };
    // CKKS: a ten-thousandth of 150 Wh. Paillier: nothing. Prio3: half a step for each of two reports.
    assert_eq!(check(0, 0.014), None);
    assert!(check(0, 0.016).unwrap().contains("TenSEAL"));
    assert_eq!(check(2, 0.0), None);
    assert!(check(2, 1.0).is_some());
    assert_eq!(check(4, 1.0), None);
    assert!(check(4, 1.1).is_some());
    assert!(check(0, f64::NAN).is_some());
}
