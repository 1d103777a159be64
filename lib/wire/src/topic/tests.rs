use super::*;

#[test]
fn the_texts_are_those_of_the_design() {
    let topics = Topics::new("cipherwatt/v2").unwrap();
    let (feeder, meter) = ("f-1".parse().unwrap(), "m-1".parse().unwrap());
    let shard = Shard(0);
    let (gateway, analytics) = ("g-1".parse().unwrap(), "a-1".parse().unwrap());
    let expected = [
        (topics.plan(), "plan"),
        (topics.renewal(), "plan/renewal"),
        (topics.roster(63), "roster/63"),
        (topics.roster_filter(), "roster/+"),
        (topics.own_roster(&gateway, 2), "gateway/g-1/roster/2"),
        (topics.own_roster_filter(&gateway), "gateway/g-1/roster/+"),
        (
            topics.report(shard, &feeder, &meter),
            "shard/0/feeder/f-1/meter/m-1/report",
        ),
        (topics.report_filter(), "shard/+/feeder/+/meter/+/report"),
        (
            topics.reports_of(&feeder),
            "shard/+/feeder/f-1/meter/+/report",
        ),
        (
            topics.reports_in(Shard(255)),
            "shard/255/feeder/+/meter/+/report",
        ),
        (topics.receipt(&gateway), "gateway/g-1/receipt"),
        (topics.enrol(&gateway), "gateway/g-1/enrol"),
        (topics.enrol_filter(), "gateway/+/enrol"),
        (topics.enrol_answer(&gateway), "gateway/g-1/enrol/answer"),
        (topics.analytics_enrol(&analytics), "analytics/a-1/enrol"),
        (topics.analytics_enrol_filter(), "analytics/+/enrol"),
        (topics.sum(shard, &feeder), "shard/0/feeder/f-1/sum"),
        (topics.sum_filter(), "shard/+/feeder/+/sum"),
        (
            topics.sum_receipt(shard, &feeder),
            "shard/0/feeder/f-1/sum/receipt",
        ),
        (topics.sum_receipt_filter(), "shard/+/feeder/+/sum/receipt"),
        (
            topics.closed_sum(shard, &feeder),
            "shard/0/feeder/f-1/sum/closed",
        ),
        (topics.closed_sum_filter(), "shard/+/feeder/+/sum/closed"),
        (topics.of(&Topic::Question), "evaluator/question"),
        (topics.of(&Topic::Comparison), "evaluator/comparison"),
        (topics.of(&Topic::Bits), "evaluator/bits"),
        (topics.audit_demand(&gateway), "gateway/g-1/audit"),
        (
            topics.of(&Topic::AuditedReport {
                holder: "h-1".parse().unwrap(),
                gateway: gateway.clone(),
            }),
            "holder/h-1/audit/g-1",
        ),
        (
            topics.audited_reports_filter(&"h-1".parse().unwrap()),
            "holder/h-1/audit/+",
        ),
        (topics.bill(shard, &feeder), "shard/0/feeder/f-1/bill"),
        (topics.bill_filter(), "shard/+/feeder/+/bill"),
        (
            topics.bill_receipt(shard, &feeder),
            "shard/0/feeder/f-1/bill/receipt",
        ),
        (
            topics.bill_receipt_filter(),
            "shard/+/feeder/+/bill/receipt",
        ),
        (topics.total(shard, &feeder), "shard/0/feeder/f-1/total"),
        (
            topics.noisy_total(&"press".parse().unwrap(), &feeder),
            "recipient/press/feeder/f-1/total",
        ),
        (
            topics.area_total(Shard(12), &"a-2".parse().unwrap()),
            "shard/12/area/a-2/total",
        ),
    ];
    for (topic, rest) in expected {
        assert_eq!(topic, format!("cipherwatt/v2/{rest}"));
    }
}

#[test]
fn only_the_written_form_is_read() {
    let topics = Topics::new("r").unwrap();
    for bad in [
        "",
        "r",
        "r/",
        "plan",
        "r/plans",
        "r/plan/renewals",
        "r/plan/renewal/x",
        "rr/plan",
        "r//plan",
        "r/Plan",
        "r/roster/",
        "r/roster/64",
        "r/roster/01",
        "r/roster/+1",
        "r/roster/+",
        "r/gateway/g/roster",
        "r/gateway/g/roster/64",
        "r/gateway/g/roster/+",
        "r/gateway/+/roster/0",
        "r/gateway/g/enrol/answers",
        "r/shard/0/feeder/f/meter/m",
        "r/shard/0/feeder//meter/m/report",
        "r/shard/0/feeder/F/meter/m/report",
        "r/shard/+/feeder/+/sum",
        "r/shard/0/feeder/+/sum",
        "r/shard/0/feeder/f/meter/m/report/x",
        "r/shard/0/feeder/f/sum/receipt/x",
        "r/recipient/+/feeder/f/total",
        "r/recipient/p/feeder/f",
        "r/a/b/c/d/e/f",
        "r/a/b/c/d/e/f/g/h",
        // Format 1, and shards that no deployment has.
        "r/feeder/f/meter/m/report",
        "r/feeder/f/sum",
        "r/shard/256/feeder/f/sum",
        "r/shard/00/feeder/f/sum",
        "r/shard/+/feeder/f/sum",
        "r/shard/feeder/f/sum",
    ] {
        assert_eq!(topics.parse(bad), None, "{bad:?}");
    }
    assert_eq!(topics.parse("r/roster/0"), Some(Topic::Roster { page: 0 }));
}

#[test]
fn a_root_has_no_wildcards_and_no_empty_levels() {
    for good in ["r", "cipherwatt/v2", "Site_A/x.y-z", &"r".repeat(128)] {
        assert_eq!(Topics::new(good).unwrap().root(), good);
    }
    for bad in [
        "",
        "/",
        "/r",
        "r/",
        "a//b",
        "a/+",
        "#",
        "a b",
        "é",
        "$sys",
        &"r".repeat(129),
    ] {
        assert!(Topics::new(bad).is_err(), "{bad:?}");
    }
}
