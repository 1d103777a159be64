//! What is wrong as far as a gateway knows, in its folder, so that `doctor`, which is another process, says it too.
//!
//! A process begins without any, and takes back what is over.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use service::files::{PRIVATE, write_atomic};

const FILE: &str = "notices.json";

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Notice {
    /// The operator does not enrol meters, or has not yet.
    Enrolment,
    /// Meters whose capacity their feeder does not allow.
    Capacity,
    /// Somebody else has this gateway's id.
    Identity,
    /// The readings are ahead of the clock.
    Clock,
    /// The replayed file is another one than in the last run.
    File,
    /// Nothing is sealed.
    Sealing,
    /// What has been waited for, for a minute.
    Waits,
}

impl Notice {
    /// What `doctor` calls the check.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Enrolment => "enrolment",
            Self::Capacity => "capacity",
            Self::Identity => "identity",
            Self::Clock => "clock of file",
            Self::File => "file",
            Self::Sealing => "sealing waits",
            Self::Waits => "waits",
        }
    }
}

/// The notices of a running gateway.
#[derive(Debug)]
pub(crate) struct Notices {
    file: PathBuf,
    all: BTreeMap<Notice, String>,
}

impl Notices {
    /// Begins without any.
    pub(crate) fn begin(folder: &Path) -> Self {
        let notices = Self {
            file: folder.join(FILE),
            all: BTreeMap::new(),
        };
        notices.save();
        notices
    }

    /// Says it, in place of what was said of it before; `None` takes it back. Returns whether that is new.
    pub(crate) fn say(&mut self, notice: Notice, text: Option<String>) -> bool {
        let is_new = self.all.get(&notice) != text.as_ref();
        if is_new {
            match text {
                Some(text) => self.all.insert(notice, text),
                None => self.all.remove(&notice),
            };
            self.save();
        }
        is_new
    }

    pub(crate) fn get(&self, notice: Notice) -> Option<&str> {
        self.all.get(&notice).map(String::as_str)
    }

    /// Nothing depends on it, so a disk that does not take it is no reason to end.
    fn save(&self) {
        let saved = serde_json::to_vec_pretty(&self.all)
            .map_err(io::Error::other)
            .and_then(|text| write_atomic(&self.file, &text, PRIVATE));
        if let Err(error) = saved {
            tracing::debug!(file = %self.file.display(), %error, "notices are not written down");
        }
    }
}

/// What the gateway whose folder this is has said last; nothing if there is none.
pub(crate) fn read(folder: &Path) -> io::Result<BTreeMap<Notice, String>> {
    match std::fs::read(folder.join(FILE)) {
        Ok(text) => serde_json::from_slice(&text).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_taken_back_and_a_new_process_begins_without_any() {
        let folder = tempfile::tempdir().unwrap();
        let seen = || read(folder.path()).unwrap().into_iter().collect::<Vec<_>>();
        assert_eq!(seen(), []);
        let mut notices = Notices::begin(folder.path());
        let text = || Some("no receipt comes".to_owned());
        assert!(notices.say(Notice::Waits, text()));
        assert!(!notices.say(Notice::Waits, text()));
        notices.say(Notice::Clock, Some("ahead".to_owned()));
        assert_eq!(
            seen(),
            [
                (Notice::Clock, "ahead".to_owned()),
                (Notice::Waits, "no receipt comes".to_owned())
            ]
        );
        assert!(notices.say(Notice::Clock, None));
        assert_eq!(seen().len(), 1);
        Notices::begin(folder.path());
        assert_eq!(seen(), []);
    }
}
