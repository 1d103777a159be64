//! Whether a topic or a filter is within the patterns of a role: pure, but for a look at the operator's roster.

use service::config::{PatternLevel, TopicPattern};

use super::members::Members;

/// What the rules of one client are filled in with.
#[derive(Debug)]
pub(super) struct Scope {
    /// The root of topics.
    pub(super) root: String,
    /// `{deployment}` in client ids.
    pub(super) deployment: String,
    /// `{id}`.
    pub(super) id: Option<String>,
    /// `{meter}` and `{feeder}`.
    pub(super) members: Members,
}

impl Scope {
    /// Whether one of the patterns has everything that `filter` matches. A topic is a filter that matches itself.
    pub(super) fn allows(&self, patterns: &[TopicPattern], filter: &str) -> bool {
        let below = filter.strip_prefix(self.root.as_str());
        let Some(below) = below.and_then(|rest| rest.strip_prefix('/')) else {
            return false;
        };
        let mut patterns = patterns.iter();
        patterns.any(|pattern| self.covers(pattern.levels(), below))
    }

    fn covers(&self, pattern: &[PatternLevel], filter: &str) -> bool {
        let (mut meter, mut feeder) = (None, None);
        let mut levels = filter.split('/');
        for wanted in pattern {
            // `a/#` has `a` itself too, and all that a filter can say below it.
            if *wanted == PatternLevel::Rest {
                return self.is_own(meter, feeder);
            }
            let Some(level) = levels.next() else {
                return false;
            };
            let wild = level == "+" || level == "#";
            let fits = match wanted {
                PatternLevel::Literal(text) => level == text,
                PatternLevel::Any => level != "#",
                PatternLevel::Id => self.id.as_deref() == Some(level),
                PatternLevel::Meter => meter.replace(level).is_none() && !wild,
                PatternLevel::Feeder => feeder.replace(level).is_none() && !wild,
                PatternLevel::Rest => true,
            };
            if !fits {
                return false;
            }
        }
        levels.next().is_none() && self.is_own(meter, feeder)
    }

    /// Whether the meter, if a topic names one, is behind this gateway and on that feeder.
    fn is_own(&self, meter: Option<&str>, feeder: Option<&str>) -> bool {
        match (meter, &self.id) {
            (None, _) => true,
            (Some(meter), Some(gateway)) => self.members.has(gateway, meter, feeder),
            (Some(_), None) => false,
        }
    }

    /// Whether one of the patterns is the client id: `*` is any text.
    pub(super) fn allows_client_id(&self, patterns: &[String], client_id: &str) -> bool {
        patterns.iter().any(|pattern| {
            let pattern = pattern.replace("{deployment}", &self.deployment);
            match &self.id {
                Some(id) => glob(&pattern.replace("{id}", id), client_id),
                None => !pattern.contains("{id}") && glob(&pattern, client_id),
            }
        })
    }
}

/// Whether `text` is of the form `pattern`, in which `*` is any text.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests;
