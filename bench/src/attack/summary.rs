//! What came of the attacks.

use std::path::{Path, PathBuf};
use std::time::Duration;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use super::catalogue::Attack;
use super::gain::Gain;

/// Columns of the table, in characters.
const WIDTH: u16 = 170;

/// An attack that was carried out, without its safeguard and with it.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    name: &'static str,
    coalition: &'static str,
    tries: &'static str,
    /// The safeguard that was left out.
    safeguard: &'static str,
    /// What it got without the safeguard; null: nothing.
    got_without: Option<String>,
    /// What it got with every safeguard; null: nothing.
    got_with: Option<String>,
    /// What it met with then.
    met: String,
    /// Why it did not come to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    wall_s: f64,
}

/// All that were carried out.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    attacks: Vec<Row>,
    /// Whether each got something without its safeguard and nothing with it.
    pub(crate) correct: bool,
    wall_s: f64,
    results: PathBuf,
}

impl Row {
    pub(super) fn new(attack: &Attack, without: Gain, with: Gain, wall: Duration) -> Self {
        Self {
            name: attack.name,
            coalition: attack.coalition,
            tries: attack.tries,
            safeguard: attack.safeguard,
            got_without: without.got,
            got_with: with.got,
            met: with.met,
            error: None,
            wall_s: wall.as_secs_f64(),
        }
    }

    /// An attack that did not come to its end: it shows nothing.
    pub(super) fn failed(attack: &Attack, error: &anyhow::Error) -> Self {
        let nothing = || Gain::of(false, "", "");
        let mut row = Self::new(attack, nothing(), nothing(), Duration::ZERO);
        row.error = Some(format!("{error:#}"));
        row
    }

    fn is_right(&self) -> bool {
        self.got_without.is_some() && self.got_with.is_none()
    }
}

impl Summary {
    pub(super) fn new(attacks: Vec<Row>, wall_s: f64, results: &Path) -> Self {
        Self {
            correct: attacks.iter().all(Row::is_right),
            attacks,
            wall_s,
            results: results.to_owned(),
        }
    }

    /// A table, for people.
    pub(crate) fn text(&self) -> String {
        let mut table = Table::new();
        table
            .load_style(UTF8_HORIZONTAL_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(WIDTH)
            .set_header([
                "attack",
                "coalition",
                "tries to",
                "safeguard",
                "got without it",
                "got with it",
            ]);
        for row in &self.attacks {
            let nothing = || "NOTHING".to_owned();
            table.add_row([
                row.name,
                row.coalition,
                row.tries,
                row.safeguard,
                &row.got_without.clone().unwrap_or_else(nothing),
                &match (&row.error, &row.got_with) {
                    (Some(error), _) => format!("FAILED: {error}"),
                    (None, Some(got)) => format!("SOMETHING: {got}"),
                    (None, None) => format!("nothing ({})", row.met),
                },
            ]);
        }
        let right = self.attacks.iter().filter(|row| row.is_right()).count();
        format!(
            "{table}\n{right} of {} attacks succeed without their safeguard and get nothing with it, in {:.0} s; logs in {}\n",
            self.attacks.len(),
            self.wall_s,
            self.results.join("logs").display()
        )
    }
}
