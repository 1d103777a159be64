//! Which meters are behind which gateway, as the operator has signed it: there is no second list.
//!
//! The roster is read as it passes through the guard, before it reaches a gateway: so the guard knows what a gateway may
//! publish before the gateway does. It is kept on disk, for the time between a start and the operator's next message.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use service::Settings;
use service::trust::{KeepError, Offer, PlanKeeper, Refused, Roster, RosterKeeper, RosterScope};
use tokio::sync::watch;
use wire::{MeterId, Topic, Topics};

/// The members of a deployment. Without identities nobody asks, and nothing is kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members(Option<Arc<Kept>>);

#[derive(Debug)]
struct Kept {
    topics: Topics,
    keepers: Mutex<Keepers>,
    roster: watch::Receiver<Option<Arc<Roster>>>,
}

#[derive(Debug)]
struct Keepers {
    /// For the operator's key.
    plan: PlanKeeper,
    roster: RosterKeeper,
    /// The page that was taken last from each topic, as a hash under a key that nobody outside knows: the operator publishes
    /// all of them again and again, and they are verified once.
    taken: HashMap<String, u64>,
    hasher: RandomState,
}

impl Members {
    /// The members in the roster that was kept in `folder`, and in those to come.
    ///
    /// # Errors
    /// If the folder cannot be used, or the operator's key is needed and not configured.
    pub(crate) fn open(settings: &Settings, folder: &Path) -> Result<Self, KeepError> {
        let plan = PlanKeeper::open(settings, folder)?;
        let key = plan.operator_key();
        let roster = RosterKeeper::open(settings, folder, RosterScope::Whole, key)?;
        Ok(Self(Some(Arc::new(Kept {
            topics: Topics::new(&settings.deployment.root)?,
            roster: roster.watch(),
            keepers: Mutex::new(Keepers {
                plan,
                roster,
                taken: HashMap::new(),
                hasher: RandomState::new(),
            }),
        }))))
    }

    /// Takes a message that is about to be published, if it is a page of the roster.
    pub(crate) fn learn(&self, topic: &str, payload: &[u8]) {
        let Some(kept) = &self.0 else {
            return;
        };
        // Most messages are reports: they are told apart before anything is parsed.
        let below = topic.strip_prefix(kept.topics.root());
        if below.is_none_or(|below| !below.starts_with("/roster/")) || payload.is_empty() {
            return;
        }
        if let Some(Topic::Roster { .. }) = kept.topics.parse(topic) {
            match kept.offer(topic, payload) {
                Ok(Offer::New) => {
                    let meters = self.roster().map_or(0, |roster| roster.len());
                    tracing::info!(meters, "it is known which meters are behind which gateway");
                }
                Ok(_) => {}
                Err(refused) => {
                    tracing::warn!(topic, "a page of the roster was not taken: {refused}");
                }
            }
        }
    }

    /// Whether the operator enrolled the meter behind this gateway, and on this feeder if one is named.
    pub(super) fn has(&self, gateway: &str, meter: &str, feeder: Option<&str>) -> bool {
        let (Some(roster), Ok(meter)) = (self.roster(), MeterId::try_from(meter)) else {
            return false;
        };
        roster.meter(&meter).is_some_and(|enrolled| {
            let on = |feeder: &str| enrolled.feeder.as_str() == feeder;
            enrolled.gateway.as_str() == gateway && feeder.is_none_or(on)
        })
    }

    fn roster(&self) -> Option<Arc<Roster>> {
        self.0.as_ref()?.roster.borrow().clone()
    }
}

impl Kept {
    fn offer(&self, topic: &str, payload: &[u8]) -> Result<Offer, Refused> {
        // A page that was taken by half is not there: see the keeper.
        let mut keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = keepers.hasher.hash_one(payload);
        if keepers.taken.get(topic) == Some(&hash) {
            return Ok(Offer::Same);
        }
        let operator = keepers.plan.operator_key();
        let offer = keepers.roster.offer(operator, topic, payload)?;
        keepers.taken.insert(topic.to_owned(), hash);
        Ok(offer)
    }
}

#[cfg(test)]
mod tests {
    use service::files::{SIGNING_KEY, load_or_create_signing_key, state_folder};
    use wire::{RosterPage, SigningKey};

    use super::*;

    /// A page without meters, on its topic.
    fn page(settings: &Settings, operator: &SigningKey, place: [u16; 3]) -> (String, Vec<u8>) {
        let [version, page, pages] = place;
        let page = RosterPage {
            version: version.into(),
            page,
            pages,
            entries: Vec::new(),
            countersignatures: Vec::new(),
        };
        let deployment = &settings.deployment;
        let topic = Topics::new(&deployment.root).unwrap().roster(page.page);
        let sealed = wire::seal(&page, None, &deployment.id, &topic, operator);
        (topic, sealed.0)
    }

    #[test]
    fn a_page_that_comes_again_byte_by_byte_is_not_verified_again() {
        let root = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults();
        settings.deployment.state_dir = root.path().to_owned();
        let folder = state_folder(root.path(), "operator").unwrap();
        let operator = load_or_create_signing_key(&folder.join(SIGNING_KEY)).unwrap();
        let own = state_folder(root.path(), "broker").unwrap();
        let members = Members::open(&settings, &own).unwrap();
        let kept = members.0.as_ref().unwrap();
        let offer = |(topic, payload): &(String, Vec<u8>)| kept.offer(topic, payload);
        let first = page(&settings, &operator, [1, 0, 1]);
        assert_eq!(offer(&first).unwrap(), Offer::New);
        let second = page(&settings, &operator, [2, 1, 2]);
        assert_eq!(offer(&second).unwrap(), Offer::Partial);
        // Whoever verified it would find that it is older than what is collected now.
        assert_eq!(offer(&first).unwrap(), Offer::Same);
        let other = page(&settings, &operator, [1, 0, 2]);
        assert!(offer(&other).is_err(), "one that differs is looked at");
        let rest = page(&settings, &operator, [2, 0, 2]);
        assert_eq!(offer(&rest).unwrap(), Offer::New);
    }
}
