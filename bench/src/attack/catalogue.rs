//! The attacks.

use std::pin::Pin;

use anyhow::Result;

use super::gain::Gain;
use super::stage::Ground;
use super::{
    closings, crowd, holders, joining, keys, late, members, overlap, plan, refusals, spoilt,
    streams, totals, web,
};

/// What an attack comes to.
pub(super) type Played = Pin<Box<dyn Future<Output = Result<Gain>>>>;

/// An attack, and what stops it.
pub(super) struct Attack {
    pub(super) name: &'static str,
    /// Who carries it out, with what they have.
    pub(super) coalition: &'static str,
    /// What they do, and what for.
    pub(super) tries: &'static str,
    /// The safeguard that stops it, by the name under which it can be left out.
    pub(super) safeguard: &'static str,
    pub(super) play: fn(Ground) -> Played,
    /// Whether it is in the short form.
    pub(super) is_short: bool,
}

/// All of them.
pub(super) const ATTACKS: [Attack; 30] = [
    Attack {
        name: "late-household",
        coalition: "14 enrolled meters",
        tries: "report as late as a household does, so that a sum of its own is released for the 15",
        safeguard: "late",
        play: |ground| Box::pin(late::run(ground)),
        is_short: true,
    },
    Attack {
        name: "one-as-fifteen",
        coalition: "analytics",
        tries: "have one report opened with encryptions of zero, as the sum of 15 homes",
        safeguard: "masks",
        play: |ground| Box::pin(members::one_as_fifteen(ground)),
        is_short: true,
    },
    Attack {
        name: "one-alone",
        coalition: "analytics",
        tries: "have one report opened in its own name",
        safeguard: "minimum_group",
        play: |ground| Box::pin(members::one_alone(ground)),
        is_short: false,
    },
    Attack {
        name: "overlapping-sums",
        coalition: "analytics",
        tries: "have three sums opened that overlap, whose totals combine to one household's",
        safeguard: "disjoint",
        play: |ground| Box::pin(overlap::run(ground)),
        is_short: true,
    },
    Attack {
        name: "second-release",
        coalition: "analytics",
        tries: "have the sum of all homes opened twice, so that they are counted twice",
        safeguard: "no_second_release",
        play: |ground| Box::pin(overlap::twice(ground)),
        is_short: false,
    },
    Attack {
        name: "large-customer",
        coalition: "a reader of totals",
        tries: "read a factory off the total of 19 homes and the factory",
        safeguard: "dominance",
        play: |ground| Box::pin(totals::large_customer(ground)),
        is_short: false,
    },
    Attack {
        name: "squares",
        coalition: "48 of a group of 50, and a reader of totals with standard deviations",
        tries: "compute the readings of the other two from sum and standard deviation",
        safeguard: "quantum",
        play: |ground| Box::pin(totals::squares(ground)),
        is_short: false,
    },
    Attack {
        name: "key-in-totals",
        coalition: "analytics and 20 enrolled meters",
        tries: "add a multiple of the key to a sum, and read the key off its total",
        safeguard: "zeros",
        play: |ground| Box::pin(keys::in_totals(ground)),
        is_short: false,
    },
    Attack {
        name: "key-in-rounding",
        coalition: "analytics and 20 enrolled meters",
        tries: "add half a quantum, so that the key decides how 16 totals are rounded",
        safeguard: "grid",
        play: |ground| Box::pin(keys::in_rounding(ground)),
        is_short: false,
    },
    Attack {
        name: "withheld-plan",
        coalition: "the broker, and a thief of the old key",
        tries: "keep a gateway sealing under an old key, by keeping the newer plan from it",
        safeguard: "plan_expiry",
        play: |ground| Box::pin(plan::withheld(ground)),
        is_short: false,
    },
    Attack {
        name: "lowered-minimum",
        coalition: "the operator",
        tries: "allow sums of two homes by a new plan",
        safeguard: "min_meters_floor",
        play: |ground| Box::pin(plan::lowered_now(ground)),
        is_short: false,
    },
    Attack {
        name: "lowered-later",
        coalition: "the operator",
        tries: "lower the minimum group, so that sums are released that were held",
        safeguard: "min_meters_from",
        play: |ground| Box::pin(plan::lowered_later(ground)),
        is_short: false,
    },
    Attack {
        name: "spoilt-sum",
        coalition: "one enrolled meter",
        tries: "void a window of its whole feeder by a report that is no ciphertext",
        safeguard: "divide",
        play: |ground| Box::pin(spoilt::noise(ground)),
        is_short: true,
    },
    Attack {
        name: "used-up-refusals",
        coalition: "16 enrolled meters on a feeder of their own",
        tries: "have sums refused until no sum of the key is opened any more",
        safeguard: "refusal_share",
        play: |ground| Box::pin(refusals::used_up(ground)),
        is_short: false,
    },
    Attack {
        name: "reports-of-the-future",
        coalition: "15 enrolled meters",
        tries: "move their feeder's time on, so that the others' reports are late",
        safeguard: "window_clock",
        play: |ground| Box::pin(spoilt::future(ground)),
        is_short: false,
    },
    Attack {
        name: "replayed-reports",
        coalition: "a client of the broker",
        tries: "have reports counted twice by sending them again",
        safeguard: "dedup",
        play: |ground| Box::pin(spoilt::twice(ground)),
        is_short: false,
    },
    Attack {
        name: "web-page",
        coalition: "a web page in a browser on the operator's machine",
        tries: "read the operator's metrics under a name that its owner points there",
        safeguard: "metrics_host",
        play: |ground| Box::pin(web::metrics(ground)),
        is_short: true,
    },
    Attack {
        name: "crowded-out",
        coalition: "4 enrolled meters, each on a feeder of its own",
        tries: "take all the room for open windows with windows that are never released",
        safeguard: "small_sums",
        play: |ground| Box::pin(crowd::windows(ground)),
        is_short: false,
    },
    Attack {
        name: "changed-request",
        coalition: "a gateway that asks to join",
        tries: "change its request once a person has looked at it",
        safeguard: "approval_digest",
        play: |ground| Box::pin(joining::changed(ground)),
        is_short: true,
    },
    Attack {
        name: "full-desk",
        coalition: "strangers",
        tries: "fill the list of requests, so that nobody else can ask",
        safeguard: "desk",
        play: |ground| Box::pin(joining::desk(ground)),
        is_short: false,
    },
    Attack {
        name: "nobodys-feeder",
        coalition: "a gateway without meters",
        tries: "found a feeder, and so fix its scale",
        safeguard: "first_meter",
        play: |ground| Box::pin(joining::nobodys_feeder(ground)),
        is_short: false,
    },
    Attack {
        name: "invented-meters",
        coalition: "a gateway",
        tries: "have a group of meters enrolled that do not exist",
        safeguard: "registry",
        play: |ground| Box::pin(joining::invented(ground)),
        is_short: false,
    },
    Attack {
        name: "taken-feeder",
        coalition: "an analytics service",
        tries: "take a feeder that the service for all feeders would have",
        safeguard: "catch_all",
        play: |ground| Box::pin(joining::others_feeder(ground)),
        is_short: false,
    },
    Attack {
        name: "stolen-key",
        coalition: "a thief of a meter's key",
        tries: "join again once the meter is removed",
        safeguard: "departures",
        play: |ground| Box::pin(joining::removed(ground)),
        is_short: false,
    },
    Attack {
        name: "operator-and-holders",
        coalition: "the operator, analytics, the broker and one holder fewer than the threshold",
        tries: "open one household's report with the keys of all of them, for 2-of-3, 2-of-4 and 3-of-5",
        safeguard: "holders",
        play: |ground| Box::pin(streams::operator_and_holders(ground)),
        is_short: true,
    },
    Attack {
        name: "one-of-a-group",
        coalition: "the operator and analytics",
        tries: "have holders answer for 16 homes and for 15 of them: at once, as a part, with a meter that joined later, and in another key epoch",
        safeguard: "consents_once",
        play: |ground| Box::pin(holders::one_of_a_group(ground)),
        is_short: false,
    },
    Attack {
        name: "small-group",
        coalition: "the operator, analytics and one enrolled meter",
        tries: "lower the minimum group to two, and have holders answer for a household and their own meter",
        safeguard: "min_meters_floor",
        play: |ground| Box::pin(holders::small_group(ground)),
        is_short: false,
    },
    Attack {
        name: "other-holders",
        coalition: "the operator",
        tries: "put holders that it made itself into the plan",
        safeguard: "holder_pins",
        play: |ground| Box::pin(streams::other_holders(ground)),
        is_short: false,
    },
    Attack {
        name: "invented-fourteen",
        coalition: "the operator and analytics",
        tries: "enrol 14 meters of its own beside a household, and have holders answer for the 15",
        safeguard: "countersigned",
        play: |ground| Box::pin(holders::invented_fourteen(ground)),
        is_short: false,
    },
    Attack {
        name: "closed-window",
        coalition: "the operator, analytics and holders of its own that follow",
        tries: "have a window sealed again under holders that follow, which the holders before answered for, for 2-of-3, 2-of-4 and 3-of-5",
        safeguard: "closings",
        play: |ground| Box::pin(closings::closed_window(ground)),
        is_short: false,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attack_has_a_name_of_its_own_and_a_safeguard_that_there_is() {
        for (index, attack) in ATTACKS.iter().enumerate() {
            let others = &ATTACKS[..index];
            assert!(others.iter().all(|other| other.name != attack.name));
            let mut known = service::failpoint::safeguards();
            assert!(known.any(|known| known == attack.safeguard));
        }
        assert!(ATTACKS.len() >= 15);
    }

    #[test]
    fn the_document_on_trust_names_every_attack_and_its_safeguard() {
        let document = include_str!("../../../docs/trust.md");
        for attack in &ATTACKS {
            let mut rows = document.lines().filter(|line| line.starts_with('|'));
            let named = [attack.name, attack.safeguard].map(|name| format!("`{name}`"));
            let is_there = rows.any(|row| named.iter().all(|name| row.contains(name)));
            assert!(is_there, "{}", attack.name);
        }
    }
}
