//! What the commands `pending`, `approve` and `rotate` do, beside a running operator or without one.

use std::path::PathBuf;

use anyhow::Context as _;
use service::config::Settings;
use wire::{Topics, UnixSeconds};

use crate::enrolment::analytics::{AnalyticsRefused, check_analytics};
use crate::enrolment::approvals::{Approvals, Held};
use crate::enrolment::message::EnrolmentRequest;
use crate::keys::rotate::{self, Facts, Inbox};
use crate::plan::stored::stored_plan;
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
