use proptest::prelude::*;
use serde_json::Value;
use wire::{Part, WindowStart};

use super::*;
use crate::model::{Load, Truth};

fn about(load: bool) -> About {
    About {
        source: Source::Bench,
        deployment: "dev".to_owned(),
        input: None,
        load,
        min_meters: None,
        intervals: 4,
        max_feeders: 2,
    }
}

fn window(feeder: &str, start: u64) -> Window {
    Window {
        feeder: feeder.parse().unwrap(),
        start: WindowStart(start),
        part: Part(0),
        interval_s: 3600,
        intervals: 2,
        meters: 20,
        completeness: 0.8,
        withheld_intervals: 0,
        quantum_wh: 1,
        taken_at: 1,
        holders: None,
        load: Some(Load {
            energy_wh: vec![Some(987_654_321), Some(5)],
            peak_wh: Some(987_654_321),
            peak_interval: Some(0),
            load_factor: Some(0.5),
            percentiles: None,
            truth: Some(Truth {
                energy_wh: vec![Some(987_654_321), Some(5)],
            }),
        }),
    }
}

fn snapshot(live: &Live) -> Value {
    serde_json::from_str(&live.connect().unwrap().snapshot.data).unwrap()
}

fn starts(state: &Value, feeder: &str) -> Vec<u64> {
    let windows = state["feeders"][feeder].as_array().unwrap();
    windows
        .iter()
        .map(|window| window["start"].as_u64().unwrap())
        .collect()
}

#[test]
fn the_oldest_windows_go_and_the_order_is_that_of_time() {
    let live = Live::new(about(true));
    for start in [7200, 0, 14_400] {
        live.window(window("f", start));
    }
    assert_eq!(starts(&snapshot(&live), "f"), [7200, 14_400]);
}

#[test]
fn a_window_that_comes_again_is_there_once() {
    let live = Live::new(about(true));
    live.window(window("f", 0));
    live.window(window("f", 0));
    assert_eq!(starts(&snapshot(&live), "f"), [0]);
}

#[test]
fn feeders_beyond_the_limit_are_counted() {
    let live = Live::new(about(true));
    for feeder in ["a", "b", "c", "a"] {
        live.window(window(feeder, 0));
    }
    let state = snapshot(&live);
    assert_eq!(state["feeders"].as_object().unwrap().len(), 2);
    assert_eq!(state["windows_not_shown"], 1);
}

#[test]
fn intervals_that_are_not_the_truth_are_counted_over_all_windows() {
    let live = Live::new(about(true));
    let accuracy = || {
        let accuracy = &snapshot(&live)["accuracy"];
        ["intervals", "wrong", "error_wh"].map(|key| accuracy[key].as_u64().unwrap())
    };
    for start in [0, 7200] {
        live.window(window("f", start));
    }
    assert_eq!(accuracy(), [4, 0, 0]);
    for (start, energy_wh) in [
        (14_400, [Some(987_654_317), Some(5)]),
        (21_600, [Some(987_654_321), Some(6)]),
    ] {
        let mut window = window("f", start);
        window.load.as_mut().unwrap().truth = Some(Truth {
            energy_wh: energy_wh.to_vec(),
        });
        live.window(window);
    }
    assert_eq!(accuracy(), [8, 2, 4]);
}

#[test]
fn a_withheld_interval_is_right_if_it_is_to_be_withheld_and_wrong_otherwise() {
    let live = Live::new(about(true));
    for (start, truth) in [(0, None), (7200, Some(5))] {
        let mut window = window("f", start);
        let load = window.load.as_mut().unwrap();
        load.energy_wh[1] = None;
        load.truth.as_mut().unwrap().energy_wh[1] = truth;
        live.window(window);
    }
    let accuracy = &snapshot(&live)["accuracy"];
    let [intervals, wrong] = ["intervals", "wrong"].map(|key| accuracy[key].as_u64().unwrap());
    assert_eq!((intervals, wrong), (3, 1));
}

#[test]
fn a_page_gets_the_state_and_then_each_change_once() {
    let live = Live::new(about(true));
    live.window(window("f", 0));
    let mut page = live.connect().unwrap();
    live.window(window("f", 7200));
    let state: Value = serde_json::from_str(&page.snapshot.data).unwrap();
    assert_eq!(starts(&state, "f"), [0]);
    let change = page.changes.try_recv().unwrap();
    assert_eq!((change.kind, change.sequence), ("window", 2));
    let data: Value = serde_json::from_str(&change.data).unwrap();
    assert_eq!(data["start"], 7200);
    assert!(page.changes.try_recv().is_err());
    live.min_meters(15);
    let change = page.changes.try_recv().unwrap();
    assert_eq!((change.kind, &*change.data), ("group", "15"));
    assert_eq!(snapshot(&live)["min_meters"], 15);
}

#[test]
fn there_is_room_for_so_many_pages() {
    let live = Live::new(about(false));
    let pages: Vec<Page> = std::iter::from_fn(|| live.connect()).collect();
    assert_eq!((pages.len(), live.pages()), (MAX_PAGES, MAX_PAGES));
    drop(pages);
    assert_eq!(live.pages(), 0);
}

#[test]
fn a_page_that_lags_a_ring_behind_is_told_so_and_memory_stays() {
    let live = Live::new(about(false));
    let mut page = live.connect().unwrap();
    for start in 0..=RING as u64 {
        live.window(window("f", start * 7200));
    }
    let lagged = broadcast::error::TryRecvError::Lagged(1);
    assert_eq!(page.changes.try_recv().unwrap_err(), lagged);
    assert_eq!(starts(&snapshot(&live), "f").len(), 2);
}

proptest! {
    /// Whatever is entered: without `load` no number of it is in the state or in any change.
    #[test]
    fn without_load_nothing_decrypted_is_kept_or_sent(windows in proptest::collection::vec((0_u64..5, "[a-c]"), 1..20)) {
        let live = Live::new(about(false));
        let mut page = live.connect().unwrap();
        for (start, feeder) in windows {
            live.window(window(&feeder, start * 7200));
            while let Ok(change) = page.changes.try_recv() {
                let data: Value = serde_json::from_str(&change.data).unwrap();
                prop_assert!(data["load"].is_null() && data["accuracy"].is_null());
                prop_assert!(!change.data.contains("9876543"));
            }
        }
        prop_assert!(!live.connect().unwrap().snapshot.data.contains("9876543"));
    }
}
