//! A comparison as tables and words, for people.

use std::collections::BTreeMap;

use comfy_table::Table;

use super::catalogue::CAVEATS;
use super::comparison::{Comparison, Peer};
use crate::output::{or_dash, table};
use crate::ratio::{Spread, figure};

impl Comparison {
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n\n{}\n", self.table(), self.stages());
        text += CAVEATS;
        text += &format!(
            "\nreports: {}, {} readings each; {} rounds of {}\n",
            self.input, self.readings_per_report, self.rounds, self.reports_per_round
        );
        text += "\nwhat each gives that we do not, and what it lacks:\n";
        for peer in &self.peers {
            text += &format!(
                " {}\n   gives: {}\n   lacks: {}\n",
                peer.system.title, peer.system.gives, peer.system.lacks
            );
        }
        text += &format!("\n{}", self.brokers.text());
        for wrong in &self.wrong {
            text += &format!("WRONG: {wrong}\n");
        }
        text + &format!("results: {}\n", self.results.display())
    }

    fn table(&self) -> Table {
        let heads = "a report of 96 readings|client µs|÷ seal|÷ encrypt|bytes|÷ ours|server µs|÷ ours|÷ fold|error Wh";
        let mut table = table(1, heads);
        let ours = &self.ours;
        let us = |step: &str| or_dash(ours.us.get(step), Spread::to_string);
        let error = figure(ours.max_error_wh);
        let quantum = ours.quantum_wh;
        let exact = if ours.exact { "exact" } else { "NOT EXACT" };
        let bytes = figure(ours.bytes);
        let ciphertext = figure(ours.ciphertext_bytes);
        let over = ours.fold_over_copy;
        let seal = us("seal_us");
        let server = us("server_us");
        let encrypt = us("encrypt_us");
        let fold = us("fold_alone_us");
        let copy = us("copy_us");
        for row in [
            format!(
                "ours: seal; verify + fold|{seal}|1|-|{bytes}|1|{server}|1|-|{exact} in {quantum} Wh ({error} carried)"
            ),
            format!("ours: encrypt + pack; fold|{encrypt}|-|1|{ciphertext}|-|{fold}|-|1|the same"),
            format!("memcpy of the ciphertext|-|-|-|{ciphertext}|-|{copy}|-|1/{over}|-"),
        ] {
            table.add_row(row.split('|'));
        }
        for peer in &self.peers {
            table.add_row(peer.row());
        }
        table
    }

    fn stages(&self) -> String {
        let mut text = String::new();
        for peer in &self.peers {
            let (Some(version), Some(figures)) = (&peer.version, &peer.figures) else {
                continue;
            };
            let list = |stages: &BTreeMap<String, Spread>| {
                let stages = stages.iter();
                let each = stages.map(|(stage, us)| format!("{stage} {}", figure(us.median)));
                each.collect::<Vec<_>>().join(", ")
            };
            text += &format!(
                "{version}: {}; {} µs; {} reports measured\n",
                list(&figures.client_stages_us),
                list(&figures.server_stages_us),
                figure(figures.reports),
            );
        }
        text
    }
}

impl Peer {
    fn row(&self) -> Vec<String> {
        let Some(figures) = &self.figures else {
            let reason = self.not_measured.as_deref().unwrap_or("no figures");
            return vec![format!("{}\nnot measured: {reason}", self.system.title)];
        };
        let ratios = &figures.ratios;
        vec![
            self.system.title.to_owned(),
            figures.client_us.to_string(),
            ratios.client_over_seal.to_string(),
            ratios.client_over_encrypt.to_string(),
            figure(figures.bytes),
            figure(ratios.bytes),
            figures.server_us.to_string(),
            ratios.server_over_ours.to_string(),
            ratios.server_over_fold.to_string(),
            figure(figures.max_error_wh),
        ]
    }
}
