//! What the commands `pending`, `approve`, `registry import`, `remove`, `rekey`, `readmit` and `rotate` do, beside a running operator or without one.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use service::config::Settings;
use wire::{
    AnalyticsId, DeploymentId, GatewayId, MeterId, Plan, Topics, UnixMillis, UnixSeconds,
    WindowStart,
};

use crate::enrolment::analytics::{AnalyticsRefused, check_analytics};
use crate::enrolment::approvals::{Approvals, Held};
use crate::enrolment::gateways::Gateways;
use crate::enrolment::leaving::{
    self, Change, Departures, LeaveError, LeaveInbox, LeaveRequest, Party,
};
use crate::enrolment::message::EnrolmentRequest;
use crate::enrolment::physical::{self, PhysicalMeters};
use crate::enrolment::shown::Beside;
use crate::keys::rotate::{self, Facts, Inbox};
use crate::plan::roster::RosterBook;
use crate::plan::stored::{stored_key, stored_plan};
use crate::setup::{enrols_automatically, folder};

/// Prints what waits for a person: each request with what it asks for, what would change, and the command that approves it; then
/// who is out of service or about to leave. That command ends in `flags`, each behind a space: those with which this one was told
/// of the deployment.
///
/// # Errors
/// The operator's state cannot be read.
pub fn list_pending(settings: &Settings, flags: &str) -> anyhow::Result<()> {
    let dir = existing_folder(settings)?;
    let topics = Topics::new(&settings.deployment.root)?;
    let plan = stored_plan(&dir, &settings.deployment.id, &topics.plan())?;
    let Some(plan) = plan else {
        eprintln!(
            "there is no plan in {} yet: start the operator once",
            dir.display()
        );
        return Ok(());
    };
    let known = Known::open(&dir, &settings.deployment.id, topics)?;
    let prefixed = settings.operator.meter_prefix && !enrols_automatically(settings);
    let beside = Beside {
        plan: Some(&plan),
        roster: &known.roster,
        departures: &known.departures,
        physical: &known.physical,
        prefixes: prefixed.then_some(&known.gateways),
        flags,
    };
    let approvals = Approvals::new(&dir);
    let waiting = approvals.requests()?;
    for request in &waiting {
        print!("{}", beside.show(request));
    }
    for (held, refused) in blocked(&plan, &approvals)? {
        eprintln!(
            "{} is approved, and cannot be granted yet: {refused}",
            held.subject()
        );
    }
    print!("{}", known.departures.show());
    if waiting.is_empty() {
        eprintln!("no requests are waiting for approval");
    }
    Ok(())
}

/// The requests that wait for a person, each with who asks (`KIND/ID/KEY`) and the digest that an approval names.
///
/// # Errors
/// They cannot be read.
pub fn pending(settings: &Settings) -> anyhow::Result<Vec<(String, String)>> {
    let requests = Approvals::new(&existing_folder(settings)?).requests()?;
    let requests = requests
        .iter()
        .map(|request| (request.subject(), request.digest()));
    Ok(requests.collect())
}

/// The operator's folder of state, which a command run elsewhere or with other settings would look for in vain.
pub(crate) fn existing_folder(settings: &Settings) -> anyhow::Result<PathBuf> {
    let dir = folder(settings);
    std::fs::read_dir(&dir).with_context(|| {
        format!(
            "there is no operator's state in {} that can be read: pass its --config, or run this in its working directory",
            dir.display()
        )
    })?;
    Ok(dir)
}

/// The approved analytics services that ask for what the plan cannot give them.
fn blocked(plan: &Plan, approvals: &Approvals) -> anyhow::Result<Vec<(Held, AnalyticsRefused)>> {
    let approved = approvals.approved()?.into_iter();
    let blocked =
        approved.filter_map(
            |(held, bytes)| match EnrolmentRequest::claimed(&held.kind, &bytes) {
                Some(EnrolmentRequest::Analytics(request)) => {
                    let refused = check_analytics(plan, &request).err()?;
                    Some((held, refused))
                }
                _ => None,
            },
        );
    Ok(blocked.collect())
}

/// Approves a request, a name, `KIND/NAME` or `KIND/NAME/KEY`, if it is the one with this digest, which [`list_pending`] prints.
///
/// # Errors
/// Nobody asks under this name, or for just this; or a file cannot be moved.
pub fn approve(settings: &Settings, id: &str, digest: &str) -> anyhow::Result<()> {
    let approved = Approvals::new(&existing_folder(settings)?).approve(id, digest)?;
    if let Some(first) = approved.first() {
        println!("approved {} ({} messages)", first.subject(), approved.len());
    }
    Ok(())
}

/// Takes the list of physical meters in `file`, in the place of the one before. A running operator uses it within a second.
///
/// # Errors
/// It cannot be read or stored, or lines of it are wrong.
pub fn import_registry(settings: &Settings, file: &Path) -> anyhow::Result<()> {
    let dir = existing_folder(settings)?;
    let (meters, feeders) = physical::import(file, &dir)?;
    println!("imported {meters} meters on {feeders} feeders: nobody else is enrolled from now on");
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
    physical: PhysicalMeters,
}

impl Known {
    fn open(dir: &Path, deployment: &DeploymentId, topics: Topics) -> anyhow::Result<Self> {
        let key = stored_key(dir)?;
        Ok(Self {
            roster: RosterBook::open(dir, deployment.clone(), topics, &key)?,
            gateways: Gateways::open(dir)?,
            departures: Departures::open(dir)?,
            physical: PhysicalMeters::open(dir)?,
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
            Party::Meter => {
                let is_in = MeterId::try_from(name).is_ok_and(|id| self.roster.get(&id).is_some());
                is_in || self.departures.is_out(party, name)
            }
            Party::Gateway => {
                GatewayId::try_from(name).is_ok_and(|id| self.gateways.get(&id).is_some())
            }
            Party::Analytics => {
                AnalyticsId::try_from(name).is_ok_and(|id| plan.service_key(&id).is_some())
            }
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
            list_pending(&settings, ""),
            approve(&settings, "gateway-1", "digest"),
            import_registry(&settings, Path::new("list.csv")),
            request_rotation(&settings, now, None, false),
        ] {
            let said = outcome.unwrap_err().to_string();
            assert!(
                said.contains("elsewhere/operator") && said.contains("--config"),
                "{said}"
            );
        }
        std::fs::create_dir_all(folder(&settings)).unwrap();
        list_pending(&settings, "").unwrap();
    }
}
