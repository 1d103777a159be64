//! Collects the pages of a roster until they are complete.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use wire::{
    DeploymentId, Digest, Opened, Reason, RosterPage, Topics, Unverified, VerifyingKey, WireError,
};

use super::Roster;
use super::cache::{Cached, Caching};
use super::page::Page;
use super::scope::RosterScope;
use crate::config::Settings;
use crate::files;
use crate::trust::{KeepError, Offer, Refused, cache};

/// Keeps the newest complete roster: in memory, on disk, and for those who watch.
#[derive(Debug)]
pub struct RosterKeeper {
    deployment: DeploymentId,
    topics: Topics,
    scope: RosterScope,
    limit: usize,
    file: PathBuf,
    /// Pages of a version newer than the current one.
    collecting: Option<Collecting>,
    current: watch::Sender<Option<Arc<Roster>>>,
}

/// A roster some of whose pages are there: packed in memory, as they came on disk.
#[derive(Debug)]
struct Collecting {
    version: u64,
    pages: Vec<Option<Collected>>,
    caching: Caching,
}

#[derive(Debug)]
struct Collected {
    page: Arc<Page>,
    /// Of the message it came in.
    digest: Digest,
}

impl RosterKeeper {
    /// Opens the keeper in the state folder of a process and reads what is cached there of the roster, as far as `scope` says.
    /// `operator` is the plan keeper's [`crate::trust::PlanKeeper::operator_key`]; without it the
    /// cache is not used.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn open(
        settings: &Settings,
        folder: &Path,
        scope: RosterScope,
        operator: Option<VerifyingKey>,
    ) -> Result<Self, KeepError> {
        scope.remove_other(folder)?;
        let mut keeper = Self {
            deployment: settings.deployment.id.clone(),
            topics: Topics::new(&settings.deployment.root)?,
            limit: settings.mqtt.max_packet_bytes,
            file: folder.join(scope.file()),
            scope,
            collecting: None,
            current: watch::Sender::new(None),
        };
        files::remove_unfinished(&keeper.file);
        let Some(operator) = operator else {
            return Ok(keeper);
        };
        if let Some(cached) = Cached::open(&keeper.file, keeper.limit)?
            && let Err(refused) = keeper.restore(operator, cached)
        {
            cache::set_aside(&keeper.file, &refused);
        }
        Ok(keeper)
    }

    /// Takes a message from one of the roster's topics; `operator` is the plan keeper's
    /// [`crate::trust::PlanKeeper::operator_key`]. [`Offer::New`] once a newer roster is complete. An empty message says that
    /// there is no such page any more, which the others say, too.
    ///
    /// # Errors
    /// [`Refused`] with the reason; nothing has changed then. [`Reason::WrongKey`] if the operator
    /// did not sign it, [`Reason::LowerVersion`] if a newer roster is known, [`Reason::NotReady`]
    /// without a key: the operator publishes again.
    pub fn offer(
        &mut self,
        operator: Option<VerifyingKey>,
        topic: &str,
        payload: &[u8],
    ) -> Result<Offer, Refused> {
        let Some(operator) = operator else {
            let detail = "a roster came before the operator's key is known";
            return Err(Refused::new(Reason::NotReady, detail));
        };
        if payload.is_empty() {
            return Ok(Offer::Same);
        }
        let unverified = self.decode(payload)?;
        let opened = self.verify(operator, topic, unverified)?;
        let offer = self.take(&opened, payload)?;
        if let Some(roster) = self.complete()? {
            self.current.send_replace(Some(Arc::new(roster)));
            return Ok(Offer::New);
        }
        Ok(offer)
    }

    /// The newest complete roster.
    pub fn current(&self) -> Option<Arc<Roster>> {
        self.current.borrow().clone()
    }

    /// Follows the newest complete roster.
    pub fn watch(&self) -> watch::Receiver<Option<Arc<Roster>>> {
        self.current.subscribe()
    }

    fn decode(&self, payload: &[u8]) -> Result<Unverified<RosterPage>, Refused> {
        wire::decode(payload, self.limit).map_err(refused)
    }

    fn verify(
        &self,
        operator: VerifyingKey,
        topic: &str,
        unverified: Unverified<RosterPage>,
    ) -> Result<Opened<RosterPage>, Refused> {
        let opened = unverified
            .verify(&self.deployment, topic, &operator)
            .map_err(refused)?;
        let page = opened.message.page;
        if topic != self.scope.topic(&self.topics, page) {
            let detail = format!("page {page} of the roster came on {topic}");
            return Err(Refused::new(Reason::WrongTopic, detail));
        }
        if let Some(other) = self.scope.foreign(&opened.message) {
            let detail = format!("meter {} is behind gateway {}", other.meter, other.gateway);
            return Err(Refused::new(Reason::WrongGateway, detail));
        }
        Ok(opened)
    }

    /// Puts a verified page where it belongs.
    fn take(&mut self, opened: &Opened<RosterPage>, payload: &[u8]) -> Result<Offer, Refused> {
        let (page, digest) = (&opened.message, opened.digest);
        let current = self.current();
        let current_version = current.as_ref().map(|roster| roster.version());
        let collecting = self.collecting.as_ref().map(|pages| pages.version);
        let newest = current_version.max(collecting);
        if newest.is_some_and(|newest| page.version < newest) {
            let newest = newest.unwrap_or_default();
            let detail = format!("roster {} is older than roster {newest}", page.version);
            return Err(Refused::new(Reason::LowerVersion, detail));
        }
        if current_version == Some(page.version) {
            return Ok(Offer::Same);
        }
        let (version, pages) = (page.version, usize::from(page.pages));
        let collecting = self
            .collecting
            .take_if(|known| known.version == version)
            .unwrap_or_else(|| Collecting {
                version,
                pages: std::iter::repeat_with(|| None).take(pages).collect(),
                caching: Caching::begin(&self.file),
            });
        let collecting = self.collecting.insert(collecting);
        if collecting.pages.len() != pages {
            let detail = format!(
                "roster {version} has {pages} pages here and {} elsewhere",
                collecting.pages.len()
            );
            return Err(Refused::new(Reason::Conflict, detail));
        }
        let number = usize::from(page.page);
        // Decoding has checked that the page is one of them.
        match collecting.pages.get_mut(number) {
            Some(Some(known)) if known.digest == digest => Ok(Offer::Same),
            Some(Some(_)) => {
                let detail = format!("there are two pages {number} of roster {version}");
                Err(Refused::new(Reason::Conflict, detail))
            }
            Some(free) => {
                // Most pages are as they were in the version before: a million meters are not there twice.
                let known = current.and_then(|roster| roster.page_like(number, page));
                *free = Some(Collected {
                    page: known.unwrap_or_else(|| Arc::new(Page::pack(page))),
                    digest,
                });
                collecting.caching.append(payload);
                Ok(Offer::Partial)
            }
            None => Err(Refused::new(
                Reason::InvalidMessage,
                "a page past the last one",
            )),
        }
    }

    /// The roster, once all its pages are there. It is on disk then.
    fn complete(&mut self) -> Result<Option<Roster>, Refused> {
        let complete = |known: &mut Collecting| known.pages.iter().all(Option::is_some);
        let Some(known) = self.collecting.take_if(complete) else {
            return Ok(None);
        };
        let pages = known.pages.into_iter().flatten();
        let roster = Roster::of(known.version, pages.map(|known| known.page).collect())
            .map_err(|twice| Refused::new(Reason::InvalidMessage, twice.to_string()))?;
        known.caching.finish();
        Ok(Some(roster))
    }

    /// Reads the cached pages, which are in the order in which they came.
    fn restore(&mut self, operator: VerifyingKey, cached: Cached) -> Result<(), Refused> {
        let damaged = || Refused::new(Reason::InvalidMessage, "the cache is damaged");
        let mut pages: Vec<Option<Arc<Page>>> = Vec::new();
        let mut version = None;
        for payload in cached {
            let unverified = self.decode(&payload.map_err(|_| damaged())?)?;
            let topic = self.scope.topic(&self.topics, unverified.claimed().page);
            let page = self.verify(operator, &topic, unverified)?.message;
            let expected = (page.version, usize::from(page.pages));
            if *version.get_or_insert(expected) != expected {
                return Err(damaged());
            }
            pages.resize(expected.1, None);
            match pages.get_mut(usize::from(page.page)) {
                Some(free) if free.is_none() => *free = Some(Arc::new(Page::pack(&page))),
                _ => return Err(damaged()),
            }
        }
        let pages: Option<Vec<_>> = pages.into_iter().collect();
        let (Some(pages), Some((version, _))) = (pages, version) else {
            return Err(damaged());
        };
        let roster = Roster::of(version, pages).map_err(|_| damaged())?;
        self.current.send_replace(Some(Arc::new(roster)));
        Ok(())
    }
}

fn refused(error: WireError) -> Refused {
    Refused::of(&error, "the roster page", "")
}
