//! The steps on the command line.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use service::Settings;
use service::cli;
use service::config::PinnedHolder;
use wire::{DeploymentId, Digest, Message as _, UnixSeconds, WindowStart};

use super::deal::{self, Dealt};
use super::error::SetupError;
use super::files::{self, Sent};
use super::noise::Noise;
use super::proposal::{self, Numbers, Proposed, Wanted};
use super::{agree, show};
use crate::keys::Folder;

/// A step of the set-up.
#[derive(Debug, Subcommand)]
pub enum SetupCommand {
    /// Make this holder's keys, once, and its card, which says them to the others
    #[command(after_help = "Examples:\n  holder init --set holder.id=association")]
    Init {
        /// Where the card goes; `ID.card` in the working directory unless given
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Propose an agreement of the holders whose cards these are; any of them can, and so can the operator
    #[command(
        after_help = "Examples:\n  holder propose --threshold 2 --consents 3 a.card b.card c.card d.card --output first.proposal\n  \
                      holder propose *.card --noise-epsilon 0.5 --noise-clip 5000 --output noisy.proposal\n  \
                      holder propose --after 1.agreement --from 2026-07-01T00:00:00Z *.card --output 2.proposal"
    )]
    Propose(Propose),
    /// Draw the mask keys of a proposal that are this holder's to draw, and encrypt them to the others
    #[command(after_help = "Examples:\n  holder deal first.proposal --set holder.id=association")]
    Deal {
        /// The proposal
        proposal: PathBuf,
        /// Where they go; `ID.deal` in the working directory unless given
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Check everybody's deal, keep this holder's part of the mask keys, and sign the terms
    #[command(
        after_help = "Examples:\n  holder accept first.proposal a.deal b.deal c.deal d.deal --set holder.id=association"
    )]
    Accept {
        /// The proposal
        proposal: PathBuf,
        /// The deals of all holders
        #[arg(required = true, value_name = "DEAL")]
        deals: Vec<PathBuf>,
        /// Accept numbers with which fewer holders than the threshold can tell a single reading
        #[arg(long)]
        weak: bool,
        /// Where the signed acceptance goes; `ID.acceptance` in the working directory unless given
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// As a holder of the agreement before: answer nothing more from the proposal's first window on, and sign that
    ///
    /// Stop the holder first. It can run again at once, for what is before.
    #[command(
        after_help = "Examples:\n  holder close second.proposal *.deal *.acceptance --set holder.id=association"
    )]
    Close {
        /// The proposal
        proposal: PathBuf,
        /// The deals and acceptances of all its holders
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Close for terms with just this digest, which the command says without it; nothing is closed then
        #[arg(long, value_name = "DIGEST")]
        approve: Option<Digest>,
        /// Close for numbers with which fewer holders than the threshold can tell a single reading
        #[arg(long)]
        weak: bool,
        /// Where the signed closing goes; `ID.closing` in the working directory unless given
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Make the agreement of what all have signed, for the operator; needs no keys
    #[command(
        after_help = "Examples:\n  holder assemble first.proposal *.deal *.acceptance --output first.agreement"
    )]
    Assemble {
        /// The proposal
        proposal: PathBuf,
        /// The deals and acceptances of all its holders, and the closings of those before them
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Where the agreement goes
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Say who the holders of an agreement are, its numbers and its first window, and check its signatures
    #[command(after_help = "Examples:\n  holder show first.agreement second.agreement")]
    Show {
        /// Agreements, in their order
        #[arg(required = true, value_name = "FILE")]
        agreements: Vec<PathBuf>,
    },
}

/// What is proposed.
#[derive(Debug, Args)]
pub struct Propose {
    /// How many holders together are to have every mask key; `holders.threshold` unless given
    #[arg(long)]
    threshold: Option<u8>,
    /// How many are to consent before one answers; `holders.consents` unless given
    #[arg(long)]
    consents: Option<u8>,
    /// The first window it is to hold for; the first agreement of a deployment that has not begun holds for every window
    #[arg(long, value_name = "TIME", value_parser = cli::parse_time)]
    from: Option<UnixSeconds>,
    /// The agreement that it is to follow
    #[arg(long, value_name = "FILE")]
    after: Option<PathBuf>,
    #[command(flatten)]
    noise: Noise,
    /// Propose numbers with which fewer holders than the threshold can tell a single reading
    #[arg(long)]
    weak: bool,
    /// The card of each holder
    #[arg(required = true, value_name = "CARD")]
    cards: Vec<PathBuf>,
    /// Where the proposal goes
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

impl SetupCommand {
    /// Does the step; returns what to tell who did it.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn run(self, settings: &Settings) -> Result<String, SetupError> {
        let deployment = &settings.deployment.id;
        match self {
            Self::Init { output } => init(settings, output),
            Self::Propose(propose) => propose.run(settings),
            Self::Deal { proposal, output } => {
                let proposed = Proposed::read(&files::read(&proposal)?, deployment)?;
                let dealt = deal::deal(&proposed, &Folder::open(settings)?)?;
                let told = proposed.told();
                hand_over(settings, (output, "deal"), &dealt, &told)
            }
            Self::Accept {
                proposal,
                deals,
                weak,
                output,
            } => {
                let (proposed, dealt, _) = read(&proposal, &deals, deployment)?;
                proposed.check_strength(weak)?;
                proposed.check_pinned(&settings.holders.pinned, numbers(settings))?;
                let signed = agree::accept(&proposed, &dealt, &Folder::open(settings)?)?;
                let told = proposed.told();
                hand_over(settings, (output, "acceptance"), &signed, &told)
            }
            Self::Close {
                proposal,
                files,
                approve,
                weak,
                output,
            } => {
                let (proposed, dealt, sent) = read(&proposal, &files, deployment)?;
                proposed.check_strength(weak)?;
                let (told, digest) = (proposed.told(), dealt.terms.digest());
                if approve != Some(digest) {
                    return Ok(format!(
                        "{told}nothing is closed yet: compare these holders by another way, then add --approve {digest}\n"
                    ));
                }
                let signed = agree::close(&dealt, &sent.acceptances, &Folder::open(settings)?)?;
                hand_over(settings, (output, "closing"), &signed, &told)
            }
            Self::Assemble {
                proposal,
                files,
                output,
            } => {
                let (proposed, dealt, sent) = read(&proposal, &files, deployment)?;
                let (acceptances, closings) = (&sent.acceptances, &sent.closings);
                let agreement = agree::assemble(&proposed, &dealt, acceptances, closings)?;
                files::write(&output, &agreement.to_bytes())?;
                let shown = output.display();
                Ok(format!(
                    "{shown} is for the operator's holders.agreements\n"
                ))
            }
            Self::Show { agreements } => show::agreements(&agreements, deployment),
        }
    }
}

impl Propose {
    fn run(self, settings: &Settings) -> Result<String, SetupError> {
        let default = numbers(settings);
        let numbers = Numbers {
            threshold: self.threshold.unwrap_or(default.threshold),
            consents: self.consents.unwrap_or(default.consents),
        };
        let from = self.from.map(|time| WindowStart(time.0));
        let after = self
            .after
            .as_deref()
            .map(files::read_agreement)
            .transpose()?;
        let after = after.map(|agreement| agreement.terms);
        let cards = files::read_all(&self.cards)?;
        let wanted = Wanted {
            numbers,
            from,
            noise: self.noise.terms(settings)?,
        };
        let proposed = proposal::propose(&settings.deployment.id, wanted, after, cards)?;
        proposed.check_strength(self.weak)?;
        files::write(&self.output, &proposed.proposal.to_cbor(None))?;
        Ok(format!(
            "{}{} is for all of them\n",
            proposed.told(),
            self.output.display()
        ))
    }
}

impl Proposed {
    fn told(&self) -> String {
        show::proposed(&self.terms(Vec::new()))
    }
}

fn init(settings: &Settings, output: Option<PathBuf>) -> Result<String, SetupError> {
    let folder = Folder::make(settings)?;
    let pinned = PinnedHolder {
        id: folder.id.clone(),
        key: folder.signing.verifying_key(),
    };
    let told = format!("for holders.pinned, and to compare: {pinned}\n");
    hand_over(settings, (output, "card"), &proposal::card(&folder), &told)
}

/// The numbers of the settings.
fn numbers(settings: &Settings) -> Numbers {
    Numbers {
        threshold: settings.holders.threshold,
        consents: settings.holders.consents,
    }
}

/// The proposal, what was dealt for it, and what else is there.
fn read(
    proposal: &Path,
    others: &[PathBuf],
    deployment: &DeploymentId,
) -> Result<(Proposed, Dealt, Sent), SetupError> {
    let proposed = Proposed::read(&files::read(proposal)?, deployment)?;
    let sent = Sent::read(others)?;
    let dealt = proposed.collect(&sent.deals)?;
    Ok((proposed, dealt, sent))
}

/// Writes what this holder made, to `output` or `ID.{extension}`, and says so.
fn hand_over(
    settings: &Settings,
    (output, extension): (Option<PathBuf>, &str),
    signed: &[u8],
    told: &str,
) -> Result<String, SetupError> {
    let name = || PathBuf::from(format!("{}.{extension}", settings.holder.id));
    let path = output.unwrap_or_else(name);
    files::write(&path, signed)?;
    Ok(format!("{told}{} is for the others\n", path.display()))
}
