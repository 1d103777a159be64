//! Who holds mask keys, and whether their agreements hold.

use service::doctor::Findings;
use service::{Chain, Settings};

use crate::holders::agreements;

/// Says who the newest agreement is of.
pub(super) fn examine(settings: &Settings, findings: &mut Findings) {
    const CHECK: &str = "holders";
    let agreements = match agreements::read(&settings.holders.agreements, &settings.deployment.id) {
        Ok(agreements) => agreements,
        Err(error) => {
            let remedy =
                "copy the agreement again from a holder, and name agreements in their order";
            findings.fail(CHECK, Chain(&error).to_string(), remedy);
            return;
        }
    };
    let Some(newest) = agreements.last() else {
        findings.ok(CHECK, "none: this operator alone opens sums");
        return;
    };
    let terms = &newest.terms;
    let holders: Vec<_> = terms
        .holders
        .iter()
        .map(|holder| holder.id.as_str())
        .collect();
    let found = format!(
        "agreement {} of {} ({}, {} consents)",
        terms.generation,
        holders.join(", "),
        terms.name(),
        terms.consents
    );
    match terms.is_strong() {
        true => findings.ok(CHECK, found),
        false => findings.warn(
            CHECK,
            format!("{found}: fewer holders than the threshold can tell a single reading, and every total says so"),
            "have the holders agree on more consents, or more holders",
        ),
    }
}
