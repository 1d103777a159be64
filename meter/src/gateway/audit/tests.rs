use super::*;

fn demand(holder: &str, issued_at: u64, meters: usize) -> AuditDemand {
    AuditDemand {
        holder: holder.parse().unwrap(),
        terms: wire::Digest([1; 32]),
        issued_at: UnixMillis(issued_at),
        feeder: "feeder-1".parse().unwrap(),
        window: WindowStart(0),
        meters: vec!["meter-1".parse().unwrap(); meters],
    }
}

#[tokio::test(start_paused = true)]
async fn each_holder_has_a_share_of_every_minute_and_no_demand_counts_twice() {
    let mut audits = Audits::default();
    let mut hear = |holder: &str, issued_at, meters| {
        audits.hear(&demand(holder, issued_at, meters), 10, Instant::now())
    };
    assert_eq!(hear("a", 5, 6), Ok(()));
    assert_eq!(hear("a", 5, 1), Err(Reason::LowerVersion));
    assert_eq!(hear("a", 4, 1), Err(Reason::LowerVersion));
    assert_eq!(hear("a", 6, 6), Ok(()));
    assert_eq!(hear("a", 7, 1), Err(Reason::Overloaded));
    assert_eq!(hear("b", 1, 1), Ok(()), "another has its own");
    tokio::time::advance(SPAN).await;
    assert_eq!(hear("a", 7, 1), Ok(()));
}

/// As long as the disk takes no commit.
#[tokio::test(start_paused = true)]
async fn while_nothing_can_be_read_demands_do_not_pile_up_and_none_is_queued_twice() {
    let mut audits = Audits::default();
    let mut issued_at = 0;
    let mut take = |audits: &mut Audits, first: usize, holder: &str| {
        issued_at += 1;
        let mut demand = demand(holder, issued_at, 0);
        let meters = first..first + 256;
        demand.meters = meters
            .map(|n| format!("meter-{n}").parse().unwrap())
            .collect();
        audits.hear(&demand, 1 << 20, Instant::now())?;
        Ok(audits.queue(demand))
    };
    let first = take(&mut audits, 0, "a").unwrap();
    assert_eq!(first.len(), 256);
    assert_eq!(take(&mut audits, 0, "a"), Ok(vec![]), "they wait already");
    assert_eq!(take(&mut audits, 0, "b").unwrap().len(), 256);
    assert_eq!(take(&mut audits, 256, "a").unwrap().len(), 256);
    assert_eq!(take(&mut audits, 256, "b").unwrap().len(), 256);
    assert_eq!(take(&mut audits, 512, "a"), Err(Reason::Overloaded));
    // The disk takes a commit: what is there waits on, what is not is forgotten.
    for (at, (holder, place)) in first.into_iter().enumerate() {
        audits.has_read(place.clone(), holder.clone());
        if at < 10 {
            let payload = Bytes::new();
            audits.show(Shown {
                holder,
                place,
                payload,
            });
        }
    }
    assert_eq!(take(&mut audits, 512, "a"), Err(Reason::Overloaded));
    while audits.pop().is_some() {}
    assert_eq!(take(&mut audits, 512, "a").unwrap().len(), 256);
}

fn key(place: u8) -> wire::SigningKey {
    wire::SigningKey::from_bytes(&[place; 32])
}

/// From the second window on.
fn terms() -> Terms {
    let holder = |place: u8| wire::HolderEntry {
        id: format!("holder-{place}").parse().unwrap(),
        key: key(place).verifying_key(),
    };
    Terms {
        deployment: "dev".parse().unwrap(),
        generation: 1,
        from: WindowStart(3_600),
        previous: None,
        threshold: 2,
        consents: 2,
        holders: vec![holder(1), holder(2)],
        streams: Vec::new(),
        noise: None,
    }
}

#[test]
fn a_demand_of_nobody_who_may_make_it_is_refused_by_its_reason() {
    const TOPIC: &str = "gateway/gateway-1/audit";
    let terms = terms();
    let terms_for = |window| (window >= terms.from).then_some(&terms);
    let good = AuditDemand {
        terms: terms.digest(),
        window: terms.from,
        ..demand("holder-1", 2 * FRESH_MS, 1)
    };
    let open = |demand: &AuditDemand, signer: u8, on: &str| {
        let (bytes, _) = wire::seal(demand, None, &terms.deployment, on, &key(signer));
        let now = UnixMillis(2 * FRESH_MS);
        opened(&bytes.into(), (&terms.deployment, TOPIC), terms_for, now)
    };
    assert_eq!(open(&good, 1, TOPIC), Ok(good.clone()));
    assert_eq!(open(&good, 2, TOPIC), Err(Reason::BadSignature));
    let elsewhere = open(&good, 1, "gateway/gateway-2/audit");
    assert_eq!(elsewhere, Err(Reason::BadSignature));
    type Change = fn(&mut AuditDemand);
    let changes: [(Reason, Change); 5] = [
        (Reason::UnknownHolder, |demand| {
            demand.holder = "holder-3".parse().unwrap();
        }),
        (Reason::UnknownTerms, |demand| {
            demand.window = WindowStart(0)
        }),
        (Reason::UnknownTerms, |demand| demand.terms.0[0] ^= 1),
        (Reason::ReportTooLate, |demand| {
            demand.issued_at.0 = FRESH_MS - 1;
        }),
        (Reason::ReportTooEarly, |demand| {
            demand.issued_at.0 = 3 * FRESH_MS + 1;
        }),
    ];
    for (expected, change) in changes {
        let mut demand = good.clone();
        change(&mut demand);
        assert_eq!(open(&demand, 1, TOPIC), Err(expected), "{demand:?}");
    }
    let place = (&terms.deployment, TOPIC);
    let none = opened(&Bytes::from_static(b"x"), place, terms_for, UnixMillis(0));
    assert_eq!(none, Err(Reason::InvalidMessage));
}
