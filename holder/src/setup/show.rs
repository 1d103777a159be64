//! What a person is told of a proposal and of agreements.

use std::fmt::Write as _;
use std::path::PathBuf;

use service::cli;
use service::config::PinnedHolder;
use wire::{DeploymentId, Terms};

use super::error::SetupError;
use super::{files, noise};

/// Numbers, first window and holders, and what to do with them.
pub(super) fn proposed(terms: &Terms) -> String {
    format!(
        "{}compare these names and keys with what each holder's `holder init` said, by another way than the files came\n",
        summary(terms)
    )
}

/// Agreements in their order. All signatures are checked; for the closings of one, the one before it has to be there too.
pub(super) fn agreements(
    paths: &[PathBuf],
    deployment: &DeploymentId,
) -> Result<String, SetupError> {
    let mut text = String::new();
    let mut before: Option<Terms> = None;
    for path in paths {
        let agreement = files::read_agreement(path)?;
        let is_known = before.is_some() || agreement.terms.previous.is_none();
        match is_known {
            true => agreement.verify(deployment, before.as_ref())?,
            false => agreement.verify_accepted(deployment)?,
        }
        text.push_str(&summary(&agreement.terms));
        text.push_str(match (is_known, agreement.closings.len()) {
            (true, 0) => "signed by all its holders\n",
            (true, _) => "signed by all its holders; enough of those before have closed their windows\n",
            (false, _) => {
                "signed by all its holders; name the agreement before it as well to have it checked that its holders closed their \
                 windows\n"
            }
        });
        before = Some(agreement.terms);
    }
    Ok(text)
}

fn summary(terms: &Terms) -> String {
    let from = match terms.from.0 {
        0 => "for every window".to_owned(),
        _ => format!("from {} on", cli::time(terms.from)),
    };
    let mut text = format!(
        "agreement {} of deployment {}, {from}: {}, {} consents\n",
        terms.generation,
        terms.deployment,
        terms.name(),
        terms.consents
    );
    if let Some(noise) = &terms.noise {
        text.push_str(&noise::told(noise));
    }
    for holder in &terms.holders {
        let pinned = PinnedHolder {
            id: holder.id.clone(),
            key: holder.key,
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {pinned}");
    }
    text
}
