use super::*;

#[test]
fn labels_and_codes_lead_back_and_match_serde() {
    for reason in Reason::ALL.iter().copied() {
        assert_eq!(Reason::from_code(reason.code()), Some(reason));
        assert_eq!(reason.as_str().parse(), Ok(reason));
        let json = serde_json::to_string(&reason).unwrap();
        assert_eq!(json, format!("\"{reason}\""));
    }
    assert_eq!(Reason::from_code(0), None);
    assert!("Conflict".parse::<Reason>().is_err());
}

#[test]
fn a_sum_is_refused_for_good_unless_the_operator_may_come_to_think_otherwise() {
    let passing = Reason::ALL.iter().filter(|reason| !reason.is_final());
    let labels: Vec<_> = passing.map(|reason| reason.as_str()).collect();
    let expected = [
        "unknown_plan",
        "report_too_early",
        "unknown_analytics",
        "not_ready",
        "overloaded",
        "key_spent",
        "unknown_terms",
        "not_consented",
        "not_countersigned",
        "unknown_holder",
    ];
    assert_eq!(labels, expected);
}

#[test]
fn what_passes_is_sent_again_and_what_the_plan_is_to_blame_for_is_sealed_again() {
    let with = |retry| {
        Reason::ALL
            .iter()
            .filter(move |reason| reason.retry() == retry)
    };
    let labels = |retry| {
        with(retry)
            .map(|reason| reason.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        labels(Retry::AsItIs),
        [
            "unknown_feeder",
            "unknown_plan",
            "report_too_early",
            "too_many_open",
            "not_ready",
            "overloaded",
            "key_spent"
        ]
    );
    assert_eq!(
        labels(Retry::UnderNewerPlan),
        [
            "unknown_epoch",
            "wrong_epoch",
            "outdated_config",
            "profile_mismatch"
        ]
    );
    assert_eq!(labels(Retry::SealedAgain), ["salt_taken"]);
}
