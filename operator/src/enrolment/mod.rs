//! Who may join, and who leaves: requests of gateways and analytics services, the rules they are held against, the approval
//! of a person, and departures.

pub(crate) mod analytics;
pub(crate) mod approvals;
pub(crate) mod gateways;
pub(crate) mod handler;
pub(crate) mod leaving;
pub(crate) mod message;
pub(crate) mod physical;
pub(crate) mod registry;
pub(crate) mod shown;

#[cfg(test)]
mod tests {
    use service::failpoint;

    #[test]
    fn each_rule_of_enrolment_has_a_test_that_fails_without_it() {
        for (safeguard, test) in [
            (
                "approval_digest",
                "approvals::tests::a_request_that_changed_since_it_was_shown_is_not_approved",
            ),
            (
                "desk",
                "approvals::tests::a_flood_of_names_does_not_keep_out_who_goes_on_asking",
            ),
            (
                "first_meter",
                "handler::tests::a_gateway_without_meters_creates_no_feeder",
            ),
            (
                "registry",
                "physical::tests::a_meter_is_enrolled_as_the_list_says_and_not_otherwise",
            ),
            (
                "gateway_prefix",
                "registry::tests::a_new_meters_id_begins_with_its_gateways_unless_there_is_a_list",
            ),
            (
                "catch_all",
                "handler::tests::a_service_that_names_a_feeder_of_the_one_for_all_needs_a_person_also_where_enrolment_is_automatic",
            ),
            (
                "departures",
                "registry::leaving::tests::who_was_removed_comes_back_only_if_a_person_says_so_and_with_its_number",
            ),
            ("names", "gateways::tests::the_first_key_stays"),
            (
                "issued_at",
                "handler::tests::a_request_older_than_the_newest_of_its_sender_changes_nothing",
            ),
        ] {
            let test = format!("enrolment::{test}");
            failpoint::fails_without(safeguard, &test).unwrap();
        }
    }
}
