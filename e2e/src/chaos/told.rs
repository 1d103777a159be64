//! What an operator in a process of its own tells whoever has started it, over its standard output.

use operator::{Event, FeederReport};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// Of [`Event`], what a load needs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// [`Event::PlanPublished`].
    PlanPublished(u64),
    /// [`Event::Enrolled`].
    Enrolled(usize),
    /// Something that no honest run has.
    Wrong(String),
    /// [`Event::Released`].
    Released(Box<FeederReport>),
}

/// An observer that prints.
pub(super) fn observer() -> mpsc::UnboundedSender<Event> {
    let (sender, mut events) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            let told = match event {
                Event::PlanPublished { version } => Told::PlanPublished(version.0),
                Event::Enrolled { meters } => Told::Enrolled(meters),
                Event::Released(report) => Told::Released(report),
                wrong @ (Event::Rejected { .. }
                | Event::Divided { .. }
                | Event::EnrolmentRefused { .. }) => Told::Wrong(format!("{wrong:?}")),
                _ => continue,
            };
            if let Ok(line) = serde_json::to_string(&told) {
                println!("{line}");
            }
        }
    });
    sender
}
