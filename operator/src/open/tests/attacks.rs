//! Attacks on one household and on the key. Each succeeds where its check is left out, and is refused where it is not.
//!
//! The adversary is analytics, or meters, or both: it signs what it likes for any contributors, and knows its own meters' readings
//! and masks. What needs the ledger is in `release/take_sums/tests/attacks.rs`.

use packed::layout::DecodeError;
use packed::{ADDITIVE_FINE, RING};
use wire::{FeederId, KeyEpoch};

use super::*;
use crate::testing::fleet::{Sealed, add, inverse, multiply};

const VICTIM: u32 = 0;

fn scene() -> (tempfile::TempDir, Fleet) {
    let dir = tempfile::tempdir().unwrap();
    let fleet = Fleet::new(dir.path(), &Scene::default());
    (dir, fleet)
}

fn nothing() -> Readings {
    vec![Some(0); 96]
}

/// A sum of reports with weights, that names its contributors.
fn weighted(fleet: &Fleet, named: &[Sealed], added: &[(u64, &Sealed)]) -> Opened<Sum> {
    let limbs = fleet.limbs(added.iter().copied());
    fleet.opened(fleet.sum(0, 0, named), limbs)
}

/// The attack is made with masks and without them, as the check is in force or left out.
fn only_masks_stop(fleet: &Fleet, attack: impl Fn(bool) -> (Opened<Sum>, Vec<i64>)) {
    // Multiples have more noise than a sum may have, now and then too much: it tries again in the next window.
    let released = (0..20).find_map(|_| {
        let (opened, gained) = attack(false);
        let released = totals_without(fleet, &[Check::Masks], &opened).ok()?;
        Some((released.energy_wh, gained))
    });
    let (released, gained) = released.expect("it opens without masks");
    assert_eq!(released, gained);
    let (opened, gained) = attack(true);
    assert_eq!(totals(fleet, &opened), Err(NotOpened));
    // Nor by what the other checks would let through: what is left is noise.
    let left_out = [Check::Zeros, Check::Grid, Check::Range];
    let noise = totals_without(fleet, &left_out, &opened).unwrap();
    let near = noise.energy_wh.iter().zip(&gained);
    let near = near.filter(|(noise, gained)| (*noise - *gained).abs() < 1_000);
    assert!(near.count() < 2, "a uniform value is rarely near");
}

#[test]
fn one_report_with_fourteen_encryptions_of_zero_is_not_one_households_readings() {
    let (_dir, fleet) = scene();
    let readings = readings(15, 96);
    only_masks_stop(&fleet, |masked| {
        let named = fleet.reports(0, masked, &readings);
        let zero = fleet.plaintext(&vec![None; 96]);
        let zeros: Vec<Sealed> = (1..15)
            .map(|number| fleet.encrypt(number, named[number as usize].salt, &zero))
            .collect();
        let victim = &named[VICTIM as usize];
        let mut added: Vec<_> = zeros.iter().map(|report| (1, report)).collect();
        added.push((1, victim));
        let gained = readings[VICTIM as usize]
            .iter()
            .flatten()
            .copied()
            .collect();
        (weighted(&fleet, &named, &added), gained)
    });
}

/// Their owners add the victim's ciphertext to their own; analytics is honest.
#[test]
fn eight_meters_that_copy_a_report_do_not_multiply_its_readings() {
    let (_dir, fleet) = scene();
    let readings = readings(15, 96);
    only_masks_stop(&fleet, |masked| {
        let victim = fleet.seal(VICTIM, &fleet.under(0, masked), &readings[0]);
        let [t0, t1] = fleet.encoding().profile.dropped;
        let copied = |number: u32| {
            let empty = vec![None; 96];
            let mut report = fleet.seal(number, &fleet.under(0, masked), &empty);
            if number > 8 {
                return report;
            }
            let pairs = [
                (&mut report.c0, &victim.c0, t0),
                (&mut report.c1, &victim.c1, t1),
            ];
            for (own, copied, dropped) in pairs {
                for (own, copied) in own.iter_mut().zip(copied) {
                    let half = (1_u64 << dropped) / 2;
                    let sum = add((*own << dropped) + half, (*copied << dropped) + half);
                    *own = sum >> dropped;
                }
            }
            report
        };
        let mut named: Vec<Sealed> = vec![victim.clone()];
        named.extend((1..15).map(copied));
        let added: Vec<_> = named.iter().map(|report| (1, report)).collect();
        let gained = readings[0].iter().flatten().map(|wh| 9 * wh).collect();
        (weighted(&fleet, &named, &added), gained)
    });
}

/// With six encryptions of zero, so that there is no more noise than 15 reports may have.
#[test]
fn nine_times_a_report_is_not_a_sum_of_fifteen() {
    let (_dir, fleet) = scene();
    let readings = readings(15, 96);
    only_masks_stop(&fleet, |masked| {
        let named = fleet.reports(0, masked, &readings);
        let zero = fleet.plaintext(&vec![None; 96]);
        let zeros: Vec<Sealed> = (1..7)
            .map(|number| fleet.encrypt(number, named[0].salt, &zero))
            .collect();
        let mut added: Vec<_> = zeros.iter().map(|report| (1, report)).collect();
        added.push((9, &named[VICTIM as usize]));
        let gained = readings[0].iter().flatten().map(|wh| 9 * wh).collect();
        (weighted(&fleet, &named, &added), gained)
    });
}

#[test]
fn a_report_twice_and_another_left_out_is_not_the_sum_it_is_said_to_be() {
    let (_dir, fleet) = scene();
    let readings = readings(15, 96);
    only_masks_stop(&fleet, |masked| {
        let named = fleet.reports(0, masked, &readings);
        let weight = |report: &Sealed| match report.number {
            0 => 2,
            1 => 0,
            _ => 1,
        };
        let added: Vec<_> = named
            .iter()
            .map(|report| (weight(report), report))
            .collect();
        let mut wrong = readings.clone();
        wrong[1] = readings[0].clone();
        (weighted(&fleet, &named, &added), truth(&wrong))
    });
}

/// A weight of 1/15 modulo q: 15 times what is released is near the readings.
#[test]
fn a_fraction_of_a_report_gives_nothing_away() {
    let (_dir, fleet) = scene();
    let readings = readings(15, 96);
    let unit_bits = fleet.encoding().profile.scale_bits - fleet.encoding().reference_wh.ilog2();
    let near = |masked: bool, left_out: &[Check]| {
        let named = fleet.reports(0, masked, &readings);
        let limbs = fleet.limbs([(inverse(15), &named[VICTIM as usize])]);
        let opened = fleet.opened(fleet.sum(0, 0, &named), limbs);
        let released = totals_without(&fleet, left_out, &opened).ok()?;
        let times_15 = released.energy_wh.iter().map(|quanta| {
            let product = multiply(15, RING.residue(quanta << unit_bits));
            RING.centre(product) >> unit_bits
        });
        let pairs = times_15.zip(readings[0].iter().flatten());
        Some(pairs.filter(|(guess, wh)| (guess - *wh).abs() <= 8).count())
    };
    let others = [Check::Zeros, Check::Grid, Check::Range];
    assert_eq!(
        near(
            false,
            &[Check::Masks, Check::Zeros, Check::Grid, Check::Range]
        ),
        Some(96)
    );
    assert!(near(true, &others).unwrap() < 3);
    assert_eq!(near(true, &[]), None);
}

/// The epoch's key pair may be the same, as after a restored backup; the masks are of another.
#[test]
fn reports_of_another_window_epoch_setting_or_feeder_do_not_open() {
    let (_dir, fleet) = scene();
    let readings = readings(15, 96);
    fleet.keyring.epoch(KeyEpoch(2)).unwrap();
    let mut later = (*fleet.plan).clone();
    for setting in &mut later.feeders {
        setting.since.0 += 1;
    }
    let later = Arc::new(later);
    let other_feeder = FeederId::try_from("feeder-2").unwrap();
    for what in ["window", "epoch", "setting", "feeder"] {
        only_masks_stop(&fleet, |masked| {
            let sealed = (0..).zip(&readings).map(|(number, readings)| {
                let mut under = fleet.under(0, masked);
                match what {
                    "window" => under.window = fleet.window(1),
                    "epoch" => under.epoch = KeyEpoch(2),
                    "setting" => under.plan = later.clone(),
                    _ => under.feeder = other_feeder.clone(),
                }
                fleet.seal(number, &under, readings)
            });
            let named: Vec<Sealed> = sealed.collect();
            let added: Vec<_> = named.iter().map(|report| (1, report)).collect();
            (weighted(&fleet, &named, &added), truth(&readings))
        });
    }
}

/// Its gateway is restored from a backup and seals other readings for a window that it has sealed before. Who has both reports
/// adds three times their difference to an honest sum.
#[test]
fn a_restored_backup_that_seals_again_gives_no_difference_away() {
    let (_dir, fleet) = scene();
    let readings = readings(15, 96);
    let again: Readings = (0..96).map(|k| Some(1_000 + k)).collect();
    let gained: Vec<i64> = truth(&readings)
        .iter()
        .zip(readings[0].iter().flatten().zip(again.iter().flatten()))
        .map(|(total, (before, after))| total + 3 * (after - before))
        .collect();
    let attack = |fresh_salt: bool| {
        let named = fleet.reports(0, true, &readings);
        let mut under = fleet.under(0, true);
        if !fresh_salt {
            under.salt = named[0].salt;
        }
        let second = fleet.seal(0, &under, &again);
        let mut added: Vec<_> = named.iter().map(|report| (1, report)).collect();
        added.extend([(3, &second), (RING.modulus - 3, &named[0])]);
        totals(&fleet, &weighted(&fleet, &named, &added))
    };
    assert_eq!(attack(false).unwrap().energy_wh, gained, "under one salt");
    assert_eq!(attack(true), Err(NotOpened));
}

/// Analytics adds K to c1, which adds K times a coefficient of the key to every total. K is a whole number of every
/// class's units, and whole units are added where a total would be negative or above the contributors.
#[test]
fn a_multiple_of_the_key_is_found_in_the_zero_checks() {
    let (_dir, fleet) = scene();
    let encoding = fleet.encoding();
    let shape = encoding.shape;
    let one = 1_i64 << encoding.profile.scale_bits;
    let readings = readings(15, 96);
    let named = fleet.reports(0, true, &readings);
    let honest = fleet.limbs(named.iter().map(|report| (1, report)));
    let mut moved: Vec<_> = shape.presence().map(|at| (at, -one)).collect();
    moved.extend(shape.clamped().map(|at| (at, one)));
    let limbs = fleet.tamper(&honest, &moved, &[(0, one)]);
    let opened = fleet.opened(fleet.sum(0, 0, &named), limbs);

    let released = totals_without(&fleet, &[Check::Zeros], &opened).unwrap();
    let predicted = truth(&readings);
    let leaked = released.energy_wh.iter().zip(&predicted);
    let reference = encoding.reference_wh as i64;
    let leaked: Vec<i64> = leaked
        .map(|(total, truth)| (total - truth) / reference)
        .collect();
    assert_eq!(leaked, fleet.key_coefficients(96));
    assert_eq!(totals(&fleet, &opened), Err(NotOpened));
}

/// K so small that the zero checks see nothing, and half a quantum on every value: which way a total is rounded is a
/// coefficient of the key, over some windows whose totals can be predicted.
#[test]
fn half_a_quantum_that_lets_the_key_decide_on_rounding_is_off_the_grid() {
    const WINDOWS: u64 = 16;
    let (_dir, fleet) = scene();
    let encoding = fleet.encoding();
    let norms = fleet.keyring.get(KeyEpoch(1)).unwrap().norms();
    let sigma = packed::noise::sigma(encoding.profile, &norms) * 15_f64.sqrt();
    let half = 1_i64 << (encoding.profile.scale_bits - encoding.reference_wh.ilog2() - 1);
    let halves: Vec<_> = encoding.shape.values().map(|at| (at, half)).collect();
    let readings = readings(15, 96);
    let mut above = vec![0; 96];
    for index in 0..WINDOWS {
        let window = fleet.window(index);
        let named = fleet.reports(window, true, &readings);
        let honest = fleet.limbs(named.iter().map(|report| (1, report)));
        let limbs = fleet.tamper(&honest, &halves, &[(0, (2.0 * sigma) as i64)]);
        let opened = fleet.opened(fleet.sum(window, 0, &named), limbs);
        let released = totals_without(&fleet, &[Check::Grid], &opened).unwrap();
        for ((above, total), truth) in above
            .iter_mut()
            .zip(&released.energy_wh)
            .zip(truth(&readings))
        {
            *above += u64::from(*total > truth);
        }
        assert_eq!(totals(&fleet, &opened), Err(NotOpened));
    }
    let guess = |above: &u64| match 4 * above {
        more if more > 3 * WINDOWS => 1,
        fewer if fewer < WINDOWS => -1,
        _ => 0,
    };
    let key = fleet.key_coefficients(96);
    let right = above
        .iter()
        .zip(&key)
        .filter(|(above, key)| guess(above) == **key);
    assert!(right.count() > 80, "{above:?}");
}

/// One meter enters q/2 less a threshold. Whether the total of the others is above it decides whether the total wraps, and so
/// whether it is a whole number of quanta: q is not. It fails either way, and says no more.
#[test]
fn a_wrap_at_half_the_modulus_tells_no_comparison() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene {
        profile: Some(&ADDITIVE_FINE),
        ..Scene::default()
    };
    let fleet = Fleet::new(dir.path(), &scene);
    let encoding = fleet.encoding();
    let unit_bits = encoding.profile.scale_bits - encoding.reference_wh.ilog2();
    let threshold = 10_000;
    let mut told = Vec::new();
    for total in [9_000, 11_000] {
        let mut readings = vec![nothing(); 15];
        readings[0][0] = Some(total);
        let mut named = fleet.reports(0, true, &readings);
        let under = fleet.under(0, true);
        let mut plaintext = fleet.plaintext(&readings[14]);
        plaintext[0] = (((RING.modulus / 2) >> unit_bits) - threshold) << unit_bits;
        fleet.mask(14, &under, &mut plaintext);
        named[14] = fleet.encrypt(14, under.salt, &plaintext);
        let added: Vec<_> = named.iter().map(|report| (1, report)).collect();
        let opened = weighted(&fleet, &named, &added);
        let mut opener = opener(&fleet, &[]);
        let unmasked = opener
            .unmask(&opened, &fleet.plan, (&fleet.members, &[]), None)
            .unwrap();
        let decoded = encoding.decode(&unmasked.residues, 15, unmasked.sigma);
        told.push(decoded.unwrap_err());
        assert_eq!(unmasked.totals(&Spent::untracked()), Err(NotOpened));
    }
    // What an operator that names the check would tell.
    assert_eq!(told, [DecodeError::OutOfRange, DecodeError::OffGrid]);
}

/// Known, and not prevented: the masks prove who is in a sum, not what they say. Analytics adds fourteen readings to the count of an
/// interval, or a meter to its own, and nothing to the energy; the interval of one household's reading looks like that of
/// fifteen. Proofs of values would stop it.
#[test]
fn readings_that_nobody_had_can_be_added_to_an_intervals_count() {
    let (_dir, fleet) = scene();
    let mut readings = readings(15, 96);
    for (number, meter) in readings.iter_mut().enumerate() {
        if number != VICTIM as usize {
            meter[5] = None;
        }
    }
    let reports = fleet.reports(0, true, &readings);
    let shape = fleet.encoding().shape;
    let at = shape.presence().start + 5;
    let unit = fleet.plaintext(&vec![Some(0); 96])[at] as i64;
    let honest = fleet.limbs(reports.iter().map(|report| (1, report)));
    let forged = fleet.tamper(&honest, &[(at, 14 * unit)], &[]);
    let present = |limbs| {
        let opened = fleet.opened(fleet.sum(0, 0, &reports), limbs);
        let totals = totals(&fleet, &opened).unwrap();
        (totals.present[5], totals.energy_wh[5])
    };
    let alone = readings[VICTIM as usize][5].unwrap();
    assert_eq!(present(honest), (1, alone));
    assert_eq!(present(forged), (15, alone));
}
