//! What opens and what does not, with real keys. [`attacks`] are those that the checks are there for.

mod attacks;

use packed::RING;
use packed::layout::{Encoding, Layout, Totals};
use wire::{Opened, Reason, Sum};

use super::*;
use crate::release::ledger::Spent;
use crate::testing::fleet::{Fleet, Readings, Scene, readings, truth};

/// The values of a sum rounded to whole quanta, whatever they are: what is released where nothing is checked.
pub(super) fn rounded(encoding: &Encoding, residues: &[u64]) -> Totals {
    let unit_bits =
        encoding.profile.scale_bits + encoding.quantum_wh.ilog2() - encoding.reference_wh.ilog2();
    let unit = (1_u64 << unit_bits) as f64;
    let values = residues[encoding.shape.values()].iter();
    let quanta = values.map(|&value| (RING.centre(value) as f64 / unit).round() as i64);
    Totals {
        energy_wh: quanta
            .map(|count| count * encoding.quantum_wh as i64)
            .collect(),
        present: vec![0; encoding.shape.batch()],
        clamped: 0,
        squares_wh2: None,
        bins: None,
        maxima_wh: None,
    }
}

/// An opener that leaves these checks out.
fn opener(fleet: &Fleet, left_out: &[Check]) -> Opener {
    let mut opener = Opener::new(fleet.keyring.clone(), fleet.plan.deployment.clone());
    opener.left_out = left_out.to_vec();
    opener
}

/// The totals of a sum, for an operator that leaves these checks out.
fn totals_without(
    fleet: &Fleet,
    left_out: &[Check],
    opened: &Opened<Sum>,
) -> Result<Totals, NotOpened> {
    let mut opener = opener(fleet, left_out);
    let unmasked = opener.unmask(opened, &fleet.plan, (&fleet.members, &[]), None);
    unmasked.unwrap().totals(&Spent::untracked())
}

fn totals(fleet: &Fleet, opened: &Opened<Sum>) -> Result<Totals, NotOpened> {
    totals_without(fleet, &[], opened)
}

#[test]
fn an_honest_sum_opens_to_exactly_what_was_entered() {
    for (layout, batch) in [
        (Layout::Profile, 96),
        (Layout::Maxima, 96),
        (Layout::Moments, 24),
        (Layout::Histogram, 24),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let scene = Scene {
            layout,
            batch,
            meters: 40,
            ..Scene::default()
        };
        let fleet = Fleet::new(dir.path(), &scene);
        let mut readings = readings(40, batch);
        readings[3][7] = None;
        readings[4] = vec![None; usize::from(batch)];
        let window = fleet.window(5);
        let reports = fleet.reports(window, true, &readings);
        let limbs = fleet.limbs(reports.iter().map(|report| (1, report)));
        let opened = fleet.opened(fleet.sum(window, 0, &reports), limbs);
        let totals = totals(&fleet, &opened).unwrap();
        assert_eq!(totals.energy_wh, truth(&readings));
        let mut present = vec![39; usize::from(batch)];
        present[7] = 38;
        assert_eq!((totals.present, totals.clamped), (present, 0));
        assert_eq!(totals.squares_wh2.is_some(), layout == Layout::Moments);
        let greatest = readings
            .iter()
            .filter_map(|of_meter| of_meter.iter().flatten().max());
        let maxima = (layout == Layout::Maxima).then(|| greatest.sum::<i64>());
        assert_eq!(totals.maxima_wh, maxima);
        let counts = |k: usize| {
            let present = readings.iter().filter_map(|of_meter| of_meter[k]);
            present.fold(vec![0; 6], |mut counts, wh| {
                let edges = fleet.plan.histogram_edges_wh.iter();
                let above = edges.filter(|edge| wh > **edge as i64).count();
                counts[usize::from(wh >= 0) + usize::from(wh > 0) + above] += 1;
                counts
            })
        };
        let bins = (0..usize::from(batch)).map(counts).collect();
        assert_eq!(totals.bins, (layout == Layout::Histogram).then_some(bins));
    }
}

#[test]
fn limbs_that_are_not_a_sum_are_refused_before_anything_is_decrypted() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = Fleet::new(dir.path(), &Scene::default());
    let reports = fleet.reports(0, true, &readings(15, 96));
    let limbs = fleet.limbs(reports.iter().map(|report| (1, report)));
    let mut opener = opener(&fleet, &[]);
    let mut refused = |limbs: Vec<u8>| {
        let opened = fleet.opened(fleet.sum(0, 0, &reports), limbs);
        opener
            .unmask(&opened, &fleet.plan, (&fleet.members, &[]), None)
            .err()
    };
    assert_eq!(refused(limbs[1..].to_vec()), Some(Reason::WrongLength));
    let beyond = vec![0xff; limbs.len()];
    assert_eq!(refused(beyond), Some(Reason::LimbOutOfRange));
    let opened = fleet.opened(fleet.sum(0, 0, &reports), limbs);
    let mut other_epoch = opened.clone();
    other_epoch.message.epoch = KeyEpoch(9);
    let unmasked = opener.unmask(&other_epoch, &fleet.plan, (&fleet.members, &[]), None);
    assert_eq!(unmasked.err(), Some(Reason::UnknownEpoch));
    let nobody = Members::default();
    let unmasked = opener.unmask(&opened, &fleet.plan, (&nobody, &[]), None);
    assert_eq!(unmasked.err(), Some(Reason::UnknownMeter));
}

/// What is refused for good is in no total, though the key may be brought back.
#[test]
fn a_sum_whose_key_is_not_there_can_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = Fleet::new(dir.path(), &Scene::default());
    let reports = fleet.reports(0, true, &readings(15, 96));
    let limbs = fleet.limbs(reports.iter().map(|report| (1, report)));
    let opened = fleet.opened(fleet.sum(0, 0, &reports), limbs);
    let without = Arc::new(Keyring::open(dir.path(), None).unwrap());
    let mut opener = Opener::new(without, fleet.plan.deployment.clone());
    let unmasked = opener.unmask(&opened, &fleet.plan, (&fleet.members, &[]), None);
    assert_eq!(unmasked.err(), Some(Reason::NotReady));
}
