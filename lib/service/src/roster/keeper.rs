//! Collects the pages of a roster until they are complete.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use wire::{DeploymentId, Reason, RosterPage, Topic, Topics, VerifyingKey, WireError};

use super::Roster;
use crate::config::Settings;
use crate::plan::{KeepError, Offer, Refused, read_cache, set_aside, write_cache};

/// Keeps the newest complete roster: in memory, on disk, and for whoever watches.
#[derive(Debug)]
pub struct RosterKeeper {
    deployment: DeploymentId,
    topics: Topics,
    limit: usize,
    file: PathBuf,
    /// Pages of a version newer than the current one.
    collecting: Option<Collecting>,
    current: watch::Sender<Option<Arc<Roster>>>,
}

#[derive(Debug)]
struct Collecting {
    version: u64,
    pages: Vec<Option<(RosterPage, Vec<u8>)>>,
}

impl RosterKeeper {
    /// Opens the keeper in the state folder of a process and takes up the roster cached there.
    /// `operator` is the plan keeper's [`crate::plan::PlanKeeper::operator_key`]; without it the
    /// cache is not used.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn open(
        settings: &Settings,
        folder: &Path,
        operator: Option<VerifyingKey>,
    ) -> Result<Self, KeepError> {
        let mut keeper = Self {
            deployment: settings.deployment.id.clone(),
            topics: Topics::new(&settings.deployment.root)?,
            limit: settings.mqtt.max_packet_bytes,
            file: folder.join("roster.pages"),
            collecting: None,
            current: watch::Sender::new(None),
        };
        let Some(operator) = operator else {
            return Ok(keeper);
        };
        if let Some(bytes) = read_cache(&keeper.file)?
            && let Err(refused) = keeper.restore(operator, &bytes)
        {
            set_aside(&keeper.file, &refused);
        }
        Ok(keeper)
    }

    /// Takes a message from one of the roster's topics; `operator` is the plan keeper's
    /// [`crate::plan::PlanKeeper::operator_key`]. [`Offer::New`] once a newer roster is complete.
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
        let page = self.verify(operator, topic, payload)?;
        let offer = self.take(page, payload)?;
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

    fn verify(
        &self,
        operator: VerifyingKey,
        topic: &str,
        payload: &[u8],
    ) -> Result<RosterPage, Refused> {
        let refused = |error: WireError| Refused::of(&error, "the roster page", "");
        let unverified = wire::decode::<RosterPage>(payload, self.limit).map_err(refused)?;
        let page = unverified
            .verify(&self.deployment, topic, &operator)
            .map_err(refused)?
            .message;
        if self.topics.parse(topic) != Some(Topic::Roster { page: page.page }) {
            let detail = format!("page {} of the roster came on {topic}", page.page);
            return Err(Refused::new(Reason::WrongTopic, detail));
        }
        Ok(page)
    }

    /// Puts a verified page where it belongs.
    fn take(&mut self, page: RosterPage, payload: &[u8]) -> Result<Offer, Refused> {
        let current = self
            .current
            .borrow()
            .as_ref()
            .map(|roster| roster.version());
        let collecting = self.collecting.as_ref().map(|pages| pages.version);
        let newest = current.max(collecting);
        if newest.is_some_and(|newest| page.version < newest) {
            let newest = newest.unwrap_or_default();
            let detail = format!("roster {} is older than roster {newest}", page.version);
            return Err(Refused::new(Reason::LowerVersion, detail));
        }
        if current == Some(page.version) {
            return Ok(Offer::Same);
        }
        let (version, pages) = (page.version, usize::from(page.pages));
        let collecting = self
            .collecting
            .take_if(|known| known.version == version)
            .unwrap_or_else(|| Collecting {
                version,
                pages: vec![None; pages],
            });
        let collecting = self.collecting.insert(collecting);
        if collecting.pages.len() != pages {
            let detail = format!(
                "roster {version} has {pages} pages here and {} elsewhere",
                collecting.pages.len()
            );
            return Err(Refused::new(Reason::Conflict, detail));
        }
        // Decoding has checked that the page is one of them.
        match collecting.pages.get_mut(usize::from(page.page)) {
            Some(Some((known, _))) if *known == page => Ok(Offer::Same),
            Some(Some(_)) => {
                let detail = format!("there are two pages {} of roster {version}", page.page);
                Err(Refused::new(Reason::Conflict, detail))
            }
            Some(free) => {
                *free = Some((page, payload.to_vec()));
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
        let (pages, payloads): (Vec<_>, Vec<_>) = known.pages.into_iter().flatten().unzip();
        let roster = Roster::from_pages(pages)
            .map_err(|twice| Refused::new(Reason::InvalidMessage, twice.to_string()))?;
        write_cache(&self.file, &join(&payloads));
        Ok(Some(roster))
    }

    fn restore(&mut self, operator: VerifyingKey, bytes: &[u8]) -> Result<(), Refused> {
        let damaged = || Refused::new(Reason::InvalidMessage, "the cache is damaged");
        let payloads = split(bytes).ok_or_else(damaged)?;
        let mut pages = Vec::new();
        for (number, payload) in (0_u16..).zip(&payloads) {
            pages.push(self.verify(operator, &self.topics.roster(number), payload)?);
        }
        let expected = pages
            .first()
            .map(|page| (page.version, page.pages, pages.len()));
        let whole = expected.is_some_and(|(version, count, found)| {
            usize::from(count) == found && pages.iter().all(|page| page.version == version)
        });
        if !whole {
            return Err(damaged());
        }
        let roster = Roster::from_pages(pages).map_err(|_| damaged())?;
        self.current.send_replace(Some(Arc::new(roster)));
        Ok(())
    }
}

/// Pages one after the other, each behind its length in four bytes, little-endian.
fn join(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payloads.iter().map(|payload| payload.len() + 4).sum());
    for payload in payloads {
        // An MQTT payload is below 256 MB.
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(payload);
    }
    bytes
}

fn split(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut payloads = Vec::new();
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        let (payload, rest) = rest.split_at_checked(len)?;
        payloads.push(payload);
        bytes = rest;
    }
    Some(payloads)
}
