//! The analytics services that have said, of a report under the newest plan here, that there is a newer key.
//!
//! Nothing is sealed for them until there is a newer plan, after a restart neither: who ends a gateway and withholds the plan
//! would else get reports under the old key with every start. `wrong-epoch.txt` has a line for each: the plan's version and the
//! service's id.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use service::{failpoint, files};
use wire::{AnalyticsId, PlanVersion};

use super::Gateway;

pub(super) struct Stopped {
    file: PathBuf,
    services: BTreeSet<(u64, AnalyticsId)>,
}

impl Stopped {
    /// What an earlier process left in its folder.
    ///
    /// # Errors
    /// The file cannot be read, or is not what such a process writes.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let file = folder.join("wrong-epoch.txt");
        let text = match std::fs::read_to_string(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text?,
        };
        let services = text.lines().map(parse).collect::<Option<_>>();
        let services = services.ok_or_else(|| {
            let file = file.display();
            let mend = "is damaged: remove it once this gateway has the operator's newest plan";
            io::Error::other(format!("{file} {mend}"))
        })?;
        Ok(Self { file, services })
    }

    /// Under a plan of this version a service has said so.
    fn insert(&mut self, version: PlanVersion, service: AnalyticsId) {
        if self.services.insert((version.0, service)) {
            self.save();
        }
    }

    /// Those that have said so under this plan or a newer one. What was said under an older one is over.
    fn under(&mut self, version: PlanVersion) -> BTreeSet<AnalyticsId> {
        let before = self.services.len();
        self.services.retain(|(said, _)| *said >= version.0);
        if self.services.len() < before {
            self.save();
        }
        self.services.iter().map(|(_, id)| id.clone()).collect()
    }

    /// A disk that does not take it must not have reports sealed: this process has stopped all the same.
    fn save(&self) {
        let lines = self.services.iter();
        let text: String = lines
            .map(|(version, id)| format!("{version} {id}\n"))
            .collect();
        if let Err(error) = files::write_atomic(&self.file, text.as_bytes(), files::PRIVATE) {
            let file = self.file.display();
            tracing::error!(%file, %error, "cannot remember beyond this run for whom nothing is sealed");
        }
    }
}

fn parse(line: &str) -> Option<(u64, AnalyticsId)> {
    let (version, id) = line.split_once(' ')?;
    Some((version.parse().ok()?, id.parse().ok()?))
}

impl Gateway {
    /// A report of this meter, which is as the newest plan here asks, is of the wrong key epoch, says its analytics service.
    /// Returns whether that is new.
    pub(super) fn stop_sealing(&mut self, meter: usize) -> bool {
        if failpoint::sabotaged("wrong_epoch") || !self.outbox.stop_sealing(meter) {
            return false;
        }
        let owner = self.session.owners.owner(&self.fleet.members[meter].feeder);
        if let (Some(owner), Some(sealer)) = (owner, &self.sealing.sealer) {
            self.stopped.insert(sealer.plan().version, owner.clone());
        }
        true
    }

    /// Seals for all services under a plan that was taken, but for those that have said so under it.
    pub(super) fn seal_again(&mut self, version: PlanVersion) {
        self.outbox.seal_again();
        let stopped = self.stopped.under(version);
        if stopped.is_empty() || failpoint::sabotaged("wrong_epoch") {
            return;
        }
        for (meter, member) in self.fleet.members.iter().enumerate() {
            let owner = self.session.owners.owner(&member.feeder);
            if owner.is_some_and(|owner| stopped.contains(owner)) && self.outbox.stop_sealing(meter)
            {
                tracing::error!(
                    feeder = %member.feeder, %version,
                    "nothing is sealed for this feeder's analytics service: it said in an earlier run that there is a newer key \
                     than this gateway's plan has. See that the operator's newest plan reaches this gateway"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_under_a_plan_is_kept_until_there_is_a_newer_one() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Stopped::open(folder.path()).unwrap();
        let [one, other]: [AnalyticsId; 2] = ["one", "other"].map(|id| id.parse().unwrap());
        let mut stopped = open();
        stopped.insert(PlanVersion(7), one.clone());
        stopped.insert(PlanVersion(7), other.clone());
        let both: BTreeSet<_> = [one, other].into();
        assert_eq!(open().under(PlanVersion(7)), both);
        assert_eq!(
            open().under(PlanVersion(6)),
            both,
            "an older copy of the plan"
        );
        assert!(open().under(PlanVersion(8)).is_empty());
        assert!(open().under(PlanVersion(7)).is_empty(), "that is over");

        std::fs::write(folder.path().join("wrong-epoch.txt"), "seven one\n").unwrap();
        let error = Stopped::open(folder.path()).err().unwrap().to_string();
        assert!(error.contains("wrong-epoch.txt is damaged"), "{error}");
    }
}
