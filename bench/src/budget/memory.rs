//! Analytics' memory at a million meters: what its own bench says, in a process that has nothing else in it.

use anyhow::{Context as _, Result};

use crate::command::{cargo, run};

/// What stands before the figure in a line of the bench.
const PEAK: &str = "at the peak";

/// Greatest resident memory in megabytes, over folding and over starting again on what was folded.
pub(super) async fn peak() -> Result<f64> {
    let mut command = cargo("")?;
    command
        .args(["bench", "--quiet", "--locked", "-p", "analytics"])
        .args(["--bench", "memory"]);
    let text = run(&mut command).await.context("cargo bench")?;
    greatest(&text).context("the bench printed no peak")
}

fn greatest(text: &str) -> Option<f64> {
    text.lines()
        .filter_map(|line| {
            let (_, rest) = line.split_once(PEAK)?;
            rest.split_whitespace().next()?.parse::<f64>().ok()
        })
        .reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_peak_counts_whichever_process_had_it() {
        let text = "with the roster  resident  120.0 MB, at the peak  130.5 MB, after 1.0 s\n\
                    window 1 folded  resident  180.1 MB, at the peak  231.7 MB, after 9.9 s\n\
                    store: 812 MB\n\
                    started again    resident  140.0 MB, at the peak  150.0 MB, after 2.0 s\n";
        assert_eq!(greatest(text), Some(231.7));
        assert_eq!(greatest("store: 812 MB\n"), None);
    }
}
