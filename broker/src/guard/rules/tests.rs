use proptest::prelude::*;
use service::Settings;
use service::config::TopicPattern;

use super::*;

fn scope(id: Option<&str>) -> Scope {
    Scope {
        root: "r".to_owned(),
        deployment: "r:dev".to_owned(),
        id: id.map(str::to_owned),
        members: Members::default(),
    }
}

fn patterns(texts: &[&str]) -> Vec<TopicPattern> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn allows(pattern: &str, filter: &str) -> bool {
    scope(Some("g-1")).allows(&patterns(&[pattern]), filter)
}

#[test]
fn a_subscription_may_have_less_than_its_rule_and_nothing_more() {
    for (pattern, filter) in [
        ("plan", "r/plan"),
        ("roster/+", "r/roster/+"),
        ("roster/+", "r/roster/7"),
        ("a/#", "r/a/#"),
        ("a/#", "r/a/+/b"),
        ("a/#", "r/a"),
        ("+/b", "r/+/b"),
        ("gateway/{id}/receipt", "r/gateway/g-1/receipt"),
    ] {
        assert!(allows(pattern, filter), "{pattern} {filter}");
    }
    for (pattern, filter) in [
        ("plan", "plan"),
        ("plan", "r"),
        ("plan", "r/plan/renewal"),
        ("plan", "r/+"),
        ("plan", "#"),
        ("plan", "+/plan"),
        ("roster/+", "r/roster/#"),
        ("roster/+", "r/roster"),
        ("roster/+", "r/roster/1/2"),
        ("a/#", "r/#"),
        ("gateway/{id}/receipt", "r/gateway/g-2/receipt"),
        ("gateway/{id}/receipt", "r/gateway/+/receipt"),
        ("gateway/{id}/roster/+", "r/gateway/g-2/roster/+"),
        ("gateway/{id}/roster/+", "r/gateway/g-1/roster/#"),
    ] {
        assert!(!allows(pattern, filter), "{pattern} {filter}");
    }
}

#[test]
fn without_an_id_or_a_roster_what_names_them_allows_nothing() {
    let report = patterns(&["feeder/{feeder}/meter/{meter}/report"]);
    let topic = "r/feeder/f-1/meter/m-1/report";
    assert!(!scope(Some("g-1")).allows(&report, topic));
    assert!(!scope(None).allows(&report, topic));
    let own = patterns(&["gateway/{id}/receipt"]);
    assert!(!scope(None).allows(&own, "r/gateway/g-1/receipt"));
}

#[test]
fn a_client_id_is_that_of_the_identity_and_of_no_other() {
    let roles = Settings::defaults().broker.roles;
    let gateway = |id: &str| scope(Some("g-1")).allows_client_id(&roles["gateway"].client_ids, id);
    assert!(gateway("gateway:r:dev:g-1") && gateway("meter:r:dev:g-1:m-7"));
    for foreign in [
        "gateway:r:dev:g-2",
        "gateway:r:dev:g-1x",
        "meter:r:dev:g-10:m-7",
        "operator:r:dev",
        "bulk:analytics:r:dev:g-1",
        "",
    ] {
        assert!(!gateway(foreign), "{foreign}");
    }
}

#[test]
fn a_star_is_any_text() {
    for (pattern, text, fits) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a*", "a", true),
        ("a*", "abc", true),
        ("*c", "abc", true),
        ("a*c", "ac", true),
        ("a*c", "abd", false),
        ("a*b*c", "aXbYc", true),
        ("a*b*c", "acb", false),
        ("ab*ba", "aba", false),
        ("*", "", true),
    ] {
        assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
    }
}

/// Whether MQTT gives a message on `topic` to a subscriber of `filter`; written apart from the rules.
fn delivered(filter: &[&str], topic: &[&str]) -> bool {
    match (filter, topic) {
        (["#"], _) => true,
        ([first, filter @ ..], [level, topic @ ..]) => {
            (*first == "+" || first == level) && delivered(filter, topic)
        }
        ([], []) => true,
        _ => false,
    }
}

fn levels(text: &str) -> Vec<&str> {
    text.split('/').collect()
}

fn filter() -> impl Strategy<Value = String> {
    let level = prop_oneof![3 => "[ab]", 2 => Just("+".to_owned())];
    (prop::collection::vec(level, 1..5), any::<bool>()).prop_map(|(mut levels, rest)| {
        if rest {
            levels.push("#".to_owned());
        }
        levels.join("/")
    })
}

fn topic() -> impl Strategy<Value = String> {
    prop::collection::vec("[abc]", 1..6).prop_map(|levels| levels.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whoever_may_subscribe_may_read_each_topic_that_comes(
        pattern in filter(),
        filter in filter(),
        topic in topic(),
    ) {
        let allowed = allows(&pattern, &format!("r/{filter}"));
        if allowed && delivered(&levels(&filter), &levels(&topic)) {
            prop_assert!(delivered(&levels(&pattern), &levels(&topic)));
            let allowed = allows(&pattern, &format!("r/{topic}"));
            prop_assert!(allowed);
        }
    }

    #[test]
    fn a_subscription_is_refused_only_if_something_would_come_that_the_rule_has_not(
        pattern in filter(),
        filter in filter(),
    ) {
        if !allows(&pattern, &format!("r/{filter}")) {
            // A level that no pattern names stands for all of them; `#` is nothing, or more levels than any pattern has.
            let any = filter.replace('+', "z");
            let none = any.strip_suffix("/#").unwrap_or(&any);
            let many = any.replace('#', "z/z/z/z/z/z");
            let comes = [none, &many];
            let beyond = |topic: &&&str| {
                delivered(&levels(&filter), &levels(topic)) && !delivered(&levels(&pattern), &levels(topic))
            };
            let found = comes.iter().find(beyond);
            prop_assert!(found.is_some());
        }
    }

    #[test]
    fn a_topic_is_allowed_where_its_rule_matches_it(pattern in filter(), topic in topic()) {
        let expected = delivered(&levels(&pattern), &levels(&topic));
        let allowed = allows(&pattern, &format!("r/{topic}"));
        prop_assert_eq!(allowed, expected);
    }
}
