//! What to do about a meter that is not enrolled.

use wire::Reason;

/// What to do about a refused meter.
#[must_use]
pub fn advice(reason: Reason) -> &'static str {
    match reason {
        Reason::CapacityAboveReference => {
            "meters declare more than their feeder's reference_wh, which is fixed when the feeder is created: put them \
             on another feeder, or start the deployment with a higher operator.reference_headroom; or more than the imported \
             list allows"
        }
        Reason::BatchFull => {
            "the feeder has as many meters as its setting in the plan allows (max_meters). If a new setting with more room \
             was announced above, they are enrolled when they ask again once its first window has begun; else put them on \
             another feeder, leave plan.profile = \"auto\", or raise operator.feeder_meters_max"
        }
        Reason::WrongKey => {
            "meters are enrolled with another signing key or mask key, or these keys were changed by `operator rekey`: bring \
             their old state folder, choose other ids, or run `operator rekey` for those who have new keys. With an imported list, \
             keys must be those of the list"
        }
        Reason::UnknownMeter => {
            "meters were removed, or are out of service because they spoil sums, and `operator readmit meter ID` takes one back; \
             or they are not in the list that `operator registry import` took"
        }
        Reason::UnknownAnalytics => {
            "the analytics service was removed: `operator readmit analytics ID` takes it back"
        }
        Reason::WrongFeeder => {
            "meters are enrolled on another feeder, and a meter cannot move; or the imported list has them on another one"
        }
        Reason::WrongGateway => {
            "meters are enrolled behind another gateway, and a meter cannot move; or the gateway was removed, and `operator \
             readmit gateway ID` takes it back; or the ids of new meters do not begin with the gateway's id and a dash, which \
             operator.meter_prefix asks for unless `operator registry import` took a list"
        }
        Reason::InvalidMessage => "it names no meter",
        Reason::Overloaded => "the roster or the plan is full",
        _ => "meters were refused",
    }
}
