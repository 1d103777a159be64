//! The mappings that the settings name.

use readings::{MappingKind, MappingRule, Mappings, READY, SourceError};
use service::config::{FeedMapping, Settings};

/// The mappings of `meter.feed.mappings`, checked.
pub(super) fn mappings(settings: &Settings) -> Result<Mappings, SourceError> {
    let meter = &settings.meter;
    let wrong = |(number, problem)| SourceError::Mapping { number, problem };
    let mut rules = Vec::new();
    for (mapping, number) in meter.feed.mappings.iter().zip(1..) {
        rules.push(rule(mapping).map_err(|problem| wrong((number, problem)))?);
    }
    Mappings::new(rules, &meter.time_zone).map_err(wrong)
}

fn rule(mapping: &FeedMapping) -> Result<MappingRule, String> {
    let mut rule = match &mapping.ready {
        None => MappingRule {
            topic: String::new(),
            meter: None,
            time: String::new(),
            value: Vec::new(),
            export: Vec::new(),
            kind: MappingKind::Register,
            unit: "kWh".to_owned(),
            factor: 1.0,
        },
        Some(name) => {
            let ready = READY.iter().find(|(ready, _)| ready == name);
            let names = || READY.map(|(name, _)| format!("{name:?}")).join(", ");
            let (_, rule) = ready
                .ok_or_else(|| format!("no mapping is named {name:?}: there are {}", names()))?;
            rule()
        }
    };
    if let Some(meter) = &mapping.meter {
        let id = meter.parse();
        rule.meter = Some(id.map_err(|error| format!("meter is {meter:?}: {error}"))?);
    }
    if let Some(kind) = &mapping.kind {
        rule.kind = match kind.as_str() {
            "register" => MappingKind::Register,
            "energy" => MappingKind::Energy,
            "power" => MappingKind::Power,
            _ => {
                return Err(format!(
                    "kind is {kind:?}: it must be \"register\", \"energy\" or \"power\""
                ));
            }
        };
    }
    let given = |text: &Option<String>, rule: &mut String| {
        if let Some(text) = text {
            rule.clone_from(text);
        }
    };
    given(&mapping.topic, &mut rule.topic);
    given(&mapping.time, &mut rule.time);
    given(&mapping.unit, &mut rule.unit);
    rule.value = mapping.value.clone().unwrap_or(rule.value);
    rule.export = mapping.export.clone().unwrap_or(rule.export);
    rule.factor = mapping.factor.unwrap_or(rule.factor);
    Ok(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_a_ready_one_with_what_is_changed_of_it() {
        let mapping = FeedMapping {
            ready: Some("dsmr-reader".to_owned()),
            meter: Some("home-1".to_owned()),
            topic: Some("p1/json".to_owned()),
            ..FeedMapping::default()
        };
        let rule = rule(&mapping).unwrap();
        assert_eq!(rule.topic, "p1/json");
        assert_eq!(rule.meter.unwrap().as_str(), "home-1");
        assert_eq!(rule.value.len(), 2);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let named = |ready: &str| FeedMapping {
            ready: Some(ready.to_owned()),
            ..FeedMapping::default()
        };
        let error = rule(&named("tasmota")).unwrap_err();
        assert!(
            error.contains("there are \"dsmr-reader\", \"tasmota-sml\""),
            "{error}"
        );
        let kind = FeedMapping {
            kind: Some("counter".to_owned()),
            ..named("vzlogger")
        };
        assert!(rule(&kind).unwrap_err().contains("\"register\""));
        let meter = FeedMapping {
            meter: Some("A".to_owned()),
            ..named("vzlogger")
        };
        assert!(rule(&meter).unwrap_err().contains("meter is \"A\""));
    }
}
