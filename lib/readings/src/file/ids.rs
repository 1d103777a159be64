//! Meter ids of customers' names.

use std::collections::HashMap;

use wire::MeterId;

use super::error::FileError;

/// Meter ids of customers' names, without collisions.
#[derive(Default)]
pub(super) struct Ids {
    names: HashMap<MeterId, String>,
}

impl Ids {
    /// The id of a name that was not given before: its letters in lower case and its digits; a hyphen for every other
    /// character.
    pub(super) fn insert(&mut self, line: u64, name: &str) -> Result<MeterId, FileError> {
        let id: String = name
            .chars()
            .map(|c| match c {
                'a'..='z' | '0'..='9' => c,
                'A'..='Z' => c.to_ascii_lowercase(),
                _ => '-',
            })
            .collect();
        let id = MeterId::try_from(id.as_str())
            .ok()
            .filter(|id| id.as_ref().bytes().any(|b| b != b'-'))
            .ok_or_else(|| {
                let problem = format!(
                    "{name:?} makes no meter id: rename it, to 1 to 64 characters and a letter or digit among them"
                );
                FileError::line(line, problem)
            })?;
        match self.names.get(&id) {
            Some(other) => {
                let problem =
                    format!("{name:?} and {other:?} would both be meter {id}: rename one of them");
                Err(FileError::line(line, problem))
            }
            None => {
                self.names.insert(id.clone(), name.to_owned());
                Ok(id)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_ids_and_collisions_are_refused() {
        let mut ids = Ids::default();
        let id = |ids: &mut Ids, name| ids.insert(1, name).map(|id| id.to_string());
        assert_eq!(id(&mut ids, "meter_001").unwrap(), "meter-001");
        assert_eq!(id(&mut ids, "MAC000002").unwrap(), "mac000002");
        assert_eq!(id(&mut ids, "Müller 2").unwrap(), "m-ller-2");
        let same = ids.insert(9, "METER-001").unwrap_err().to_string();
        for part in ["line 9", "\"METER-001\"", "\"meter_001\""] {
            assert!(same.contains(part), "{same}");
        }
        let long = "x".repeat(65);
        for name in ["", "__", "é", long.as_str()] {
            let error = ids.insert(1, name).unwrap_err().to_string();
            assert!(error.contains("makes no meter id"), "{name:?}");
        }
    }
}
