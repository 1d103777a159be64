//! What the commands `pending`, `approve`, `remove`, `rekey`, `readmit` and `rotate` do, beside a running operator or without one.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use service::config::Settings;
use wire::{DeploymentId, GatewayId, MeterId, Plan, Topics, UnixMillis, UnixSeconds, WindowStart};

use crate::enrolment::analytics::{AnalyticsRefused, check_analytics};
use crate::enrolment::approvals::{Approvals, Held};
use crate::enrolment::gateways::Gateways;
use crate::enrolment::leaving::{
    self, Change, Departures, LeaveError, LeaveInbox, LeaveRequest, Party,
};
use crate::enrolment::message::EnrolmentRequest;
use crate::keys::rotate::{self, Facts, Inbox};
use crate::plan::roster::RosterBook;
use crate::plan::stored::{stored_key, stored_plan};
use crate::setup::folder;

/// Prints the requests that wait for approval, and says which of them the plan cannot grant yet.
///
/// # Errors
/// The requests or the plan cannot be read.
pub fn list_pending(settings: &Settings) -> anyhow::Result<()> {
    let approvals = Approvals::new(&existing_folder(settings)?);
    let mut waiting = approvals.waiting()?;
    waiting.dedup_by_key(|held| held.subject());
    for held in &waiting {
        println!("{}", held.subject());
    }
    for (held, refused) in refused(settings, &approvals)? {
        eprintln!("{} cannot be granted yet: {refused}", held.subject());
    }
    if waiting.is_empty() {
        eprintln!("no requests are waiting for approval");
    }
    Ok(())
}

/// The operator's folder of state, which a command run elsewhere or with other settings would look for in vain.
fn existing_folder(settings: &Settings) -> anyhow::Result<PathBuf> {
    let dir = folder(settings);
    std::fs::read_dir(&dir).with_context(|| {
        format!(
            "there is no operator's state in {} that can be read: pass its --config, or run this in its working directory",
            dir.display()
        )
    })?;
    Ok(dir)
}

/// The analytics services that ask for what the plan cannot give them, whether they are approved or not.
fn refused(
    settings: &Settings,
    approvals: &Approvals,
) -> anyhow::Result<Vec<(Held, AnalyticsRefused)>> {
    let topics = Topics::new(&settings.deployment.root)?;
    let deployment = &settings.deployment.id;
    let Some(plan) = stored_plan(&folder(settings), deployment, &topics.plan())? else {
        return Ok(Vec::new());
    };
    let messages = approvals.messages()?.into_iter();
    let refused = messages.filter_map(|(held, bytes)| {
        let topic = EnrolmentRequest::topic(&topics, &held.kind, &held.id)?;
        match EnrolmentRequest::open(&topics, deployment, &topic, &bytes) {
            Ok(EnrolmentRequest::Analytics(request)) => {
                let refused = check_analytics(&plan, &request).err()?;
                Some((held, refused))
            }
            _ => None,
        }
    });
    Ok(refused.collect())
}

/// Approves a request: a name, `KIND/NAME` or `KIND/NAME/KEY`.
///
/// # Errors
/// Nobody or several ask under this name, or a file cannot be moved.
pub fn approve(settings: &Settings, id: &str) -> anyhow::Result<()> {
    let approved = Approvals::new(&existing_folder(settings)?).approve(id)?;
    if let Some(first) = approved.first() {
        println!("approved {} ({} messages)", first.subject(), approved.len());
    }
    Ok(())
}

/// Asks the running operator for a new key epoch, from `first_window` on or as soon as the rules allow.
///
/// # Errors
/// There is no plan yet, or a rule of [`rotate`] forbids it.
pub fn request_rotation(
    settings: &Settings,
    now: UnixSeconds,
    first_window: Option<UnixSeconds>,
    force: bool,
) -> anyhow::Result<()> {
    let dir = existing_folder(settings)?;
    let topic = Topics::new(&settings.deployment.root)?.plan();
    let plan = stored_plan(&dir, &settings.deployment.id, &topic)?;
    let plan = plan.with_context(|| {
        format!(
            "there is no plan in {} yet: start the operator once",
            dir.display()
        )
    })?;
    let facts = Facts {
        plan: &plan,
        released: &rotate::newest_released(&dir, &settings.deployment.id)?,
        now,
        retention_s: settings.analytics.retention.as_secs(),
    };
    let request = rotate::next(&facts, first_window, force)?;
    Inbox::new(&dir).leave(&request)?;
    let epoch = request.epoch;
    let first = rotate::time(request.first_window);
    println!("asked for key epoch {epoch}, from the window of {first} on");
    if first_window.is_some_and(|asked| asked.0 != request.first_window.0) {
        eprintln!("{first} is the first window that begins at or after the time given");
    }
    if request.first_window.0 <= now.0 {
        eprintln!(
            "windows of the new epoch may be under way: one that analytics has begun to add under the old key is \
             released in two parts, each only with plan.min_meters meters"
        );
    }
    Ok(())
}

/// Asks the running operator to let a party leave, to change its keys, or to take it back.
///
/// # Errors
/// There is no plan yet, there is no such party, or its first window without it would be one that has passed.
pub fn request_change(
    settings: &Settings,
    now: UnixMillis,
    change: Change,
    (party, id): (Party, &str),
    (asked, at_once): (Option<UnixSeconds>, bool),
) -> anyhow::Result<()> {
    let dir = existing_folder(settings)?;
    let topics = Topics::new(&settings.deployment.root)?;
    let deployment = &settings.deployment.id;
    let plan = stored_plan(&dir, deployment, &topics.plan())?;
    let plan = plan.with_context(|| {
        format!(
            "there is no plan in {} yet: start the operator once",
            dir.display()
        )
    })?;
    let tolerance = settings.analytics.future_tolerance;
    let first_window = match change {
        Change::Readmit => WindowStart(0),
        _ => leaving::first_window(plan.grid()?, asked, at_once, now, tolerance)?,
    };
    let request = LeaveRequest {
        change,
        party,
        id: id.to_owned(),
        first_window,
        at_once,
    };
    let known = Known::open(&dir, deployment, topics)?;
    known.check(&request, &plan)?;
    LeaveInbox::new(&dir).leave(&request)?;
    let name = format!("{} {id}", party.as_str());
    let first = rotate::time(first_window);
    match change {
        Change::Remove => println!("asked to remove {name}, from the window of {first} on"),
        Change::Rekey => println!(
            "asked to refuse the keys of {name} from the window of {first} on; it can ask to join with other ones"
        ),
        Change::Readmit => println!("asked to take {name} back"),
    }
    if party == Party::Analytics && change != Change::Readmit {
        eprintln!(
            "what it has not released until then is in no total: hand its feeders over first, or stop it once \
             cipherwatt_analytics_open_sums and cipherwatt_analytics_unsettled_releases are 0"
        );
    }
    Ok(())
}

/// What is known of parties beside the plan, as it is on disk.
struct Known {
    roster: RosterBook,
    gateways: Gateways,
    departures: Departures,
}

impl Known {
    fn open(dir: &Path, deployment: &DeploymentId, topics: Topics) -> anyhow::Result<Self> {
        let key = stored_key(dir)?;
        Ok(Self {
            roster: RosterBook::open(dir, deployment.clone(), topics, &key)?,
            gateways: Gateways::open(dir)?,
            departures: Departures::open(dir)?,
        })
    }

    fn check(&self, request: &LeaveRequest, plan: &Plan) -> Result<(), LeaveError> {
        let (party, id) = (request.party, request.id.clone());
        let name = request.id.as_str();
        if request.change == Change::Readmit {
            let is_out = self.departures.is_out(party, name);
            return is_out.then_some(()).ok_or(LeaveError::NotOut { party, id });
        }
        let is_known = match party {
            Party::Meter => MeterId::try_from(name).is_ok_and(|id| self.roster.get(&id).is_some()),
            Party::Gateway => {
                GatewayId::try_from(name).is_ok_and(|id| self.gateways.get(&id).is_some())
            }
            Party::Analytics => plan.analytics.iter().any(|entry| entry.id.as_str() == name),
        };
        is_known
            .then_some(())
            .ok_or(LeaveError::Unknown { party, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_away_from_the_operators_folder_says_so() {
        let place = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults();
        settings.deployment.state_dir = place.path().join("elsewhere");
        let now = UnixSeconds(0);
        for outcome in [
            list_pending(&settings),
            approve(&settings, "gateway-1"),
            request_rotation(&settings, now, None, false),
        ] {
            let said = outcome.unwrap_err().to_string();
            assert!(
                said.contains("elsewhere/operator") && said.contains("--config"),
                "{said}"
            );
        }
        std::fs::create_dir_all(folder(&settings)).unwrap();
        list_pending(&settings).unwrap();
    }
}
