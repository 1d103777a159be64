//! Who may connect to the embedded broker, and what each may do there.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// By what the broker knows its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentityKind {
    /// By nothing: everybody who reaches it may do everything.
    None,
    /// By a user name and a password.
    Password,
    /// By a certificate that a configured authority signed.
    Certificate,
}

/// `[broker.roles.NAME]`: what the clients of a role may do. Nothing else is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Role {
    /// MQTT client ids under which they may connect: `*` is any text, `{deployment}` and `{id}` are theirs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub client_ids: Vec<String>,
    /// Topics they may publish to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub publish: Vec<TopicPattern>,
    /// Those of them that the broker keeps for later subscribers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retain: Vec<TopicPattern>,
    /// Topics they may subscribe to: a filter is allowed if one pattern has all that it matches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subscribe: Vec<TopicPattern>,
    /// Subscriptions that must miss nothing: whoever publishes to them waits for the slowest of these clients.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<TopicPattern>,
}

impl Role {
    /// The names of the lists, as in a file.
    pub(super) const KEYS: [&'static str; 5] =
        ["client_ids", "publish", "retain", "subscribe", "required"];
}

/// Topics under `deployment.root`, such as `gateway/{id}/roster/+`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicPattern(Vec<PatternLevel>);

/// What one level of a topic may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternLevel {
    /// This text.
    Literal(String),
    /// `+`: any text.
    Any,
    /// `#`, at the end: any levels, and none.
    Rest,
    /// `{id}`: the client's id.
    Id,
    /// `{meter}`: a meter that the operator enrolled behind the client.
    Meter,
    /// `{feeder}`: the feeder of that meter.
    Feeder,
}

impl TopicPattern {
    /// Its levels, in order.
    pub fn levels(&self) -> &[PatternLevel] {
        &self.0
    }

    /// Whether a topic of it can be one of `filter`, in which `+` is any text.
    pub(super) fn meets(&self, filter: &str) -> bool {
        let mut wanted = filter.split('/');
        for level in &self.0 {
            let meets = match (level, wanted.next()) {
                (PatternLevel::Rest, _) => return true,
                (_, None) => false,
                (PatternLevel::Literal(text), Some(wanted)) => wanted == "+" || wanted == text,
                _ => true,
            };
            if !meets {
                return false;
            }
        }
        wanted.next().is_none()
    }
}

impl FromStr for TopicPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |problem: &str| Err(format!("`{text}` is not a pattern of topics: {problem}"));
        let levels: Vec<_> = text.split('/').map(level).collect();
        let Some(levels) = levels.into_iter().collect::<Option<Vec<_>>>() else {
            return wrong(
                "a level is text without + # { }, or one of + # {id} {feeder} {meter}, and none is empty",
            );
        };
        let count = |wanted| levels.iter().filter(|level| **level == wanted).count();
        let rest = levels.iter().position(|level| *level == PatternLevel::Rest);
        if rest.is_some_and(|at| at + 1 < levels.len()) {
            return wrong("`#` stands at the end");
        }
        let (meters, feeders) = (count(PatternLevel::Meter), count(PatternLevel::Feeder));
        if meters > 1 || feeders > meters {
            return wrong("{meter} stands in it once at most, and {feeder} once beside it");
        }
        Ok(Self(levels))
    }
}

fn level(text: &str) -> Option<PatternLevel> {
    Some(match text {
        "+" => PatternLevel::Any,
        "#" => PatternLevel::Rest,
        "{id}" => PatternLevel::Id,
        "{meter}" => PatternLevel::Meter,
        "{feeder}" => PatternLevel::Feeder,
        _ if text.is_empty() || text.contains(['+', '#', '{', '}', '\0']) => return None,
        _ => PatternLevel::Literal(text.to_owned()),
    })
}

impl TryFrom<String> for TopicPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<TopicPattern> for String {
    fn from(pattern: TopicPattern) -> Self {
        pattern.to_string()
    }
}

impl Display for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, level) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("/")?;
            }
            f.write_str(match level {
                PatternLevel::Literal(text) => text,
                PatternLevel::Any => "+",
                PatternLevel::Rest => "#",
                PatternLevel::Id => "{id}",
                PatternLevel::Meter => "{meter}",
                PatternLevel::Feeder => "{feeder}",
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_written_as_it_was_read() {
        for text in [
            "plan",
            "#",
            "gateway/{id}/roster/+",
            "shard/+/feeder/{feeder}/meter/{meter}/report",
            "meter/{meter}/#",
        ] {
            assert_eq!(text.parse::<TopicPattern>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_no_topic_could_match_or_nobody_could_mean_is_refused() {
        for text in [
            "",
            "/plan",
            "plan/",
            "a//b",
            "#/a",
            "a+",
            "{gateway}/x",
            "a{id}",
            "feeder/{feeder}/sum",
            "{meter}/{meter}",
        ] {
            let error = text.parse::<TopicPattern>().unwrap_err();
            assert!(error.contains("is not a pattern of topics"), "{error}");
        }
    }
}
