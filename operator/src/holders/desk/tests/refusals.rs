//! Holders that say no, what is not taken of them, and sums that they are not asked about for that.

use wire::PrivacyUnit;

use super::*;

#[test]
fn one_that_refuses_is_asked_no_more_and_the_others_are_enough() {
    let mut scene = Scene::new(3, 4);
    scene.desk.ask(scene.needed(None), scene.now);
    let ask = scene.question();
    scene.answer(&ask, None, Some(3));
    scene.says(3, &ask, AnswerBody::Refused(Reason::UnknownMeter));
    scene.now += Duration::from_secs(60);
    scene.desk.tick(scene.now);
    let ask = scene.question();
    assert!(ask.groups.iter().all(|group| group.holder != 3));
}

/// What t − 1 holders say is believed of nobody, and what else holders refuse for they may come to think otherwise of.
#[test]
fn a_sum_is_refused_for_good_only_if_so_many_say_that_its_noise_never_lets_it_pass_that_they_cannot_all_lie()
 {
    let (spent, few) = (Reason::BudgetSpent, Reason::MinMeters);
    let [interval, day] = [PrivacyUnit::Interval, PrivacyUnit::HouseholdDay].map(Some);
    for (consents, n, unit, reasons, expected) in [
        (3, 4, interval, vec![spent, spent], Some(spent)),
        (
            3,
            4,
            interval,
            vec![spent, Reason::ConsentedOtherwise],
            None,
        ),
        (3, 4, None, vec![spent, spent], None),
        (3, 3, interval, vec![spent, spent], Some(spent)),
        // The sum has too few meters for household-days; the least group of other sums may be changed.
        (3, 4, day, vec![few, few], Some(few)),
        (3, 4, interval, vec![few, few], None),
    ] {
        let mut scene = Scene::new(consents, n);
        if let Some(unit) = unit {
            Arc::make_mut(&mut scene.terms).noise = Some(wire::NoiseTerms {
                unit,
                epsilon_millionths: 1_000_000,
                delta_quadrillionths: 0,
                rho_trillionths: 0,
                clip_w: 0,
                budget_millionths: 1,
                period_s: 86_400,
                feeders: Vec::new(),
            });
        }
        scene.desk.ask(scene.needed(None), scene.now);
        let ask = scene.question();
        scene.answer(&ask, None, None);
        let masks = scene.desk.next_ready().unwrap().masks;
        scene.desk.ask(scene.needed(masks), scene.now);
        let ask = scene.question();
        for (place, reason) in reasons.into_iter().enumerate() {
            assert!(!scene.desk.has_ready());
            scene.says(place + 1, &ask, AnswerBody::Refused(reason));
        }
        let ready = scene.desk.next_ready();
        let refused = ready.map(|job| job.masks.unwrap().refused);
        assert_eq!(refused, expected.map(Some), "{consents} of {n}");
    }
}

/// A sum of these meters in a window.
fn sum_of(window: u64, numbers: std::ops::Range<u32>) -> Bytes {
    let set = wire::ContributorSet::from_numbers(numbers.clone()).unwrap();
    let sum = wire::Sum {
        analytics: "analytics-1".parse().unwrap(),
        plan_version: wire::PlanVersion(1),
        epoch: wire::KeyEpoch(1),
        feeder: "feeder-1".parse().unwrap(),
        window: wire::WindowStart(window),
        part: wire::Part(0),
        rest: None,
        replaces: None,
        salts: numbers
            .map(|number| wire::Salt(u64::from(number).to_be_bytes()))
            .collect(),
        set,
        oldest_sealed_at: wire::UnixMillis(1),
        newest_sealed_at: wire::UnixMillis(1),
        contributors_digest: Digest([3; 32]),
    };
    let limbs = Some(Digest([5; 32]));
    let (signed, _) = wire::sign(&sum, limbs, &deployment(), "a topic", &signing(9));
    signed.into()
}

/// Else each could get two consents of four where three are needed, and the window would have no total ever.
#[test]
fn of_two_sums_with_a_meter_in_common_holders_are_asked_for_consents_to_one_at_a_time() {
    let mut scene = Scene::new(3, 4);
    let ask = |scene: &mut Scene, window, numbers, masks| {
        let needed = Needed {
            sum: sum_of(window, numbers),
            ..scene.needed(masks)
        };
        scene.desk.ask(needed, scene.now);
        scene.desk.take_questions().len()
    };
    assert_eq!(ask(&mut scene, 0, 0..4, masks()), 1);
    assert_eq!(ask(&mut scene, 0, 3..6, masks()), 0, "a meter in common");
    assert_eq!(ask(&mut scene, 0, 3..6, None), 1, "its checks");
    assert_eq!(ask(&mut scene, 0, 4..6, masks()), 1, "none in common");
    assert_eq!(ask(&mut scene, 3_600, 0..4, masks()), 1, "another window");
    // The first one is refused for good: now the other has its turn.
    let refused = sum_of(0, 0..4);
    let refused = Ask {
        step: Step::Consent,
        feeder: "feeder-1".parse().unwrap(),
        sum: refused,
        groups: Vec::new(),
        consents: Vec::new(),
    };
    for place in 0..2 {
        let no = AnswerBody::Refused(Reason::ConsentedOtherwise);
        scene.says(place, &refused, no);
    }
    assert_eq!(ask(&mut scene, 0, 2..4, masks()), 1);
}

#[test]
fn what_was_not_asked_for_or_signed_by_another_counts_for_nothing() {
    let mut scene = Scene::new(3, 4);
    scene.desk.ask(scene.needed(None), scene.now);
    let ask = scene.question();
    let masks = |streams, len| AnswerBody::Masks {
        streams,
        words: vec![0; len],
    };
    let group = ask.groups[0];
    let place = usize::from(group.holder);
    scene.says(place, &ask, masks(group.streams, LENGTHS.payload));
    scene.says(place, &ask, masks(0x3ff, LENGTHS.checks));
    let too_large = AnswerBody::Masks {
        streams: group.streams,
        words: vec![RING.modulus; LENGTHS.checks],
    };
    scene.says(place, &ask, too_large);
    let holder = scene.id(place);
    let forged = HolderAnswer {
        holder: holder.clone(),
        subject: ask.subject(),
        step: ask.step,
        body: masks(group.streams, LENGTHS.checks),
    };
    let topic = Topic::HolderAnswer { holder };
    let place_of = topics().of(&topic);
    let other = signing((place + 1) % 4);
    let (bytes, _) = wire::seal(&forged, None, &deployment(), &place_of, &other);
    scene.desk.receive(&topic, &bytes.into(), scene.now);
    let rest = Ask {
        groups: ask.groups[1..].to_vec(),
        ..ask
    };
    scene.answer(&rest, None, None);
    assert!(!scene.desk.has_ready());
}
