//! Our own steps give exact sums, and only of the reports they name.

use super::*;
use crate::peers::work::BATCH;

#[test]
fn a_round_adds_its_reports_and_the_sum_is_exact() {
    let work = Work::real(4).unwrap();
    let mut ours = Ours::new(&Settings::defaults(), &work, None).unwrap();
    let steps = ours.round(&[0, 1]).unwrap();
    ours.round(&[2, 3, 0]).unwrap();
    assert!(
        ["encrypt", "admit", "fold_alone"]
            .iter()
            .all(|step| steps[step] > 0.0)
    );
    assert!((11_000.0..13_900.0).contains(&steps["bytes"]));
    let (totals, included) = ours.opened().unwrap();
    assert_eq!(included, [0, 1, 2, 3, 0]);
    // Each meter carries at most half a quantum from interval to interval.
    let most = 5 * ours.quantum_wh() as i64;
    for (total, truth) in totals.iter().zip(work.totals_wh(&included, BATCH)) {
        assert!((total - truth).abs() <= most);
    }
}

/// A report that is in the sum once more than it is said to be leaves a pad that does not come off.
#[test]
fn a_sum_of_other_reports_than_named_does_not_open() {
    let mut ours = Ours::new(&Settings::defaults(), &Work::real(3).unwrap(), None).unwrap();
    ours.round(&[0, 1, 2]).unwrap();
    ours.included[2] = ours.included[1];
    let error = ours.opened().unwrap_err().to_string();
    assert!(error.contains("check coefficients"), "{error}");
}
