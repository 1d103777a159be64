//! How a mapping is configured, and which topics and meters it is about.

use wire::MeterId;

use super::error::MappingError;

/// What a mapping's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MappingKind {
    /// What a counter shows at that time.
    Register,
    /// The energy of the interval that starts then.
    Energy,
    /// The mean power over it.
    Power,
}

/// How the messages of some topics become readings, as it is configured.
#[derive(Debug, Clone, PartialEq)]
pub struct MappingRule {
    /// Topic pattern; one level of it may be `+`, or more.
    pub topic: String,
    /// The meter, if the topic does not name it.
    pub meter: Option<MeterId>,
    /// Pointer to the time; empty: the moment at which the message came.
    pub time: String,
    /// Pointers to the values that are added up; none: the payload itself.
    pub value: Vec<String>,
    /// Pointers to the registers of what was exported, which need not be in every message.
    pub export: Vec<String>,
    /// What the values are.
    pub kind: MappingKind,
    /// `Wh`, `kWh` or `MWh`; of a power `W` or `kW`.
    pub unit: String,
    /// What the values are multiplied by, besides.
    pub factor: f64,
}

/// Checks a rule; returns what makes watt-hours, or watts, of its values.
pub(super) fn check(rule: &MappingRule) -> Result<f64, MappingError> {
    let topic = || rule.topic.clone();
    let mut levels = rule.topic.split('/');
    let is_level = |level: &str| level == "+" || !level.contains(['+', '#', '\0']);
    if rule.topic.is_empty() || !levels.all(is_level) {
        return Err(MappingError::Topic { topic: topic() });
    }
    if rule.meter.is_none() && !rule.topic.split('/').any(|level| level == "+") {
        return Err(MappingError::NoMeter { topic: topic() });
    }
    let time = Some(&rule.time).filter(|time| !time.is_empty());
    let pointers = time.into_iter().map(|pointer| ("time", pointer));
    let pointers = pointers.chain(rule.value.iter().map(|pointer| ("value", pointer)));
    let mut pointers = pointers.chain(rule.export.iter().map(|pointer| ("export", pointer)));
    if let Some((key, pointer)) = pointers.find(|(_, pointer)| !pointer.starts_with('/')) {
        let pointer = pointer.clone();
        return Err(MappingError::Pointer { key, pointer });
    }
    if !rule.export.is_empty() && rule.kind != MappingKind::Register {
        return Err(MappingError::Export);
    }
    if !(rule.factor > 0.0 && rule.factor.is_finite()) {
        let factor = rule.factor;
        return Err(MappingError::Factor { factor });
    }
    let unit = match (rule.kind, rule.unit.as_str()) {
        (MappingKind::Power, "W") | (MappingKind::Register | MappingKind::Energy, "Wh") => 1.0,
        (MappingKind::Power, "kW") | (MappingKind::Register | MappingKind::Energy, "kWh") => 1e3,
        (MappingKind::Register | MappingKind::Energy, "MWh") => 1e6,
        (kind, unit) => {
            let rule = match kind {
                MappingKind::Power => "\"W\" or \"kW\"",
                _ => "\"Wh\", \"kWh\" or \"MWh\"",
            };
            let unit = unit.to_owned();
            return Err(MappingError::Unit { unit, rule });
        }
    };
    Ok(unit * rule.factor)
}

/// What the first `+` of a pattern stands for in a topic that it matches; empty if it has none.
pub(super) fn matched<'a>(pattern: &str, topic: &'a str) -> Option<&'a str> {
    let mut name = None;
    let mut levels = topic.split('/');
    for expected in pattern.split('/') {
        let level = levels.next()?;
        if expected == "+" {
            name.get_or_insert(level);
        } else if expected != level {
            return None;
        }
    }
    levels.next().is_none().then(|| name.unwrap_or_default())
}

/// The id of a meter of this name: letters in lower case, and a hyphen for all but letters and digits.
pub(super) fn meter_of(name: &str) -> Option<MeterId> {
    let id: String = name
        .chars()
        .map(|c| match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => c,
            _ => '-',
        })
        .collect();
    let id = MeterId::try_from(id.as_str()).ok()?;
    id.as_ref().bytes().any(|byte| byte != b'-').then_some(id)
}
