//! Settings that a command decides by itself. One that is given all the same is refused: a figure measured with another
//! value than the one asked for would mislead.

use anyhow::{Result, bail};
use service::config::{Loaded, Origin};

/// Commands by the settings they decide beyond those of [`ALWAYS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `demo`, `run`, `budget`, `point` and `--peers`: none.
    Usual,
    Sweep,
    Load,
    Chaos,
    Attack,
}

/// Keys with spaces in between, and why they are not to be set.
type Keys = (&'static str, &'static str);

const ALWAYS: [Keys; 7] = [
    (
        "mqtt.address broker.listen",
        "it starts a broker of its own on a free port, which log.txt names",
    ),
    (
        "deployment.state_dir operator.totals_file",
        "keys and state are in a folder that is removed afterwards, and --results DIR takes the results",
    ),
    (
        "operator.live_listen operator.live_remote operator.live_load",
        "demo and run have --live ADDR",
    ),
    (
        "broker.metrics_listen operator.metrics_listen analytics.metrics_listen meter.metrics_listen",
        "its services share one process and serve no metrics; chaos and `load --processes` take free ports for them",
    ),
    (
        "meter.source meter.replay meter.meters meter.feeders meter.seed",
        "it has flags for this: --replay, --meters, --feeders, --seed, see --help",
    ),
    (
        "plan.interval plan.batch",
        "an interval and a batch are flags or values of a sweep, or fixed: see --help",
    ),
    (
        // Where the pace is the command's, so are the waits.
        "meter.speed meter.start meter.duration meter.retry_min meter.retry_max analytics.grace analytics.idle_limit",
        "it follows from the length of the run",
    ),
];

fn fixed(kind: Kind) -> Vec<Keys> {
    let more: Option<Keys> = match kind {
        Kind::Usual => None,
        Kind::Sweep => Some((
            "plan.layout plan.histogram_edges plan.profile analytics.retention broker.segment_bytes broker.segment_count",
            "a sweep varies or fixes it",
        )),
        Kind::Load => Some((
            "analytics.retention",
            "windows close when they are complete",
        )),
        Kind::Chaos => Some((
            "analytics.retention analytics.release_retry meter.outbox_max_reports",
            "it follows from the number of windows",
        )),
        Kind::Attack => Some((
            "plan.min_meters plan.detail_min_meters plan.layout release.min_cell meter.min_meters_floor analytics.min_meters_floor \
             analytics.retention analytics.release_retry operator.publish_totals operator.reference_headroom \
             release.supplement_min_meters release.dominance_largest release.dominance_share",
            "each attack decides it",
        )),
    };
    let time_zone: Option<Keys> = (kind != Kind::Usual).then_some((
        "plan.time_zone",
        "its windows are all of one length; demo and run have local days",
    ));
    ALWAYS.into_iter().chain(more).chain(time_zone).collect()
}

/// An error if a setting was given that a command of `kind` decides by itself.
pub(crate) fn check(loaded: &Loaded, kind: Kind) -> Result<()> {
    let mut found = Vec::new();
    for (keys, why) in fixed(kind) {
        for key in keys.split(' ') {
            match loaded.origin(key) {
                None | Some(Origin::Default) => {}
                Some(origin) => found.push(format!("`{key}` from {origin}: {why}")),
            }
        }
    }
    if !found.is_empty() {
        bail!(
            "this command would not use what is set; leave it out:\n  {}",
            found.join("\n  ")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use service::config::{Overrides, load_layers};

    use super::*;

    fn loaded(key: &str, value: &str) -> Loaded {
        let overrides = Overrides::new().set(key, value);
        load_layers(&[], std::iter::empty(), &overrides).unwrap()
    }

    const KINDS: [Kind; 4] = [Kind::Usual, Kind::Sweep, Kind::Load, Kind::Chaos];

    #[test]
    fn a_setting_that_would_not_be_used_is_refused_with_its_origin_and_why() {
        for kind in KINDS {
            // The default too: whoever writes it down wants it.
            let error = check(&loaded("broker.listen", "127.0.0.1:1883"), kind).unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains("`broker.listen` from a flag: it starts a broker of its own"),
                "{text}"
            );
            check(&loaded("plan.min_meters", "25"), kind).unwrap();
        }
        let retention = loaded("analytics.retention", "10days");
        check(&retention, Kind::Usual).unwrap();
        check(&retention, Kind::Sweep).unwrap_err();
    }

    #[test]
    fn every_key_exists() {
        let defaults = load_layers(&[], std::iter::empty(), &Overrides::new()).unwrap();
        for kind in KINDS {
            for key in fixed(kind)
                .into_iter()
                .flat_map(|(keys, _)| keys.split(' '))
            {
                assert!(defaults.origin(key).is_some(), "{key}");
            }
        }
    }
}
