#![no_main]

use std::sync::LazyLock;

use readings::{Mappings, Message, READY, read_line, read_meters};

/// Every ready mapping, all of one meter and each of a topic of its own.
static MAPPINGS: LazyLock<Mappings> = LazyLock::new(|| {
    let rules = READY.iter().map(|(name, rule)| {
        let mut rule = rule();
        rule.topic = (*name).to_owned();
        rule.meter = "m".parse().ok();
        rule
    });
    Mappings::new(rules.collect(), "Europe/Berlin").expect("ready mappings are right")
});

// As a line, as a message of each program, and as a list of meters.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(Some(reading)) = read_line(1, data) {
        assert!(data.len() <= readings::MAX_LINE, "{reading:?}");
    }
    for (topic, _) in READY {
        let message = Message {
            topic,
            payload: data,
            retained: false,
            now_s: 1_767_614_400,
        };
        let _ = MAPPINGS.read(message);
    }
    let _ = read_meters(data);
});
