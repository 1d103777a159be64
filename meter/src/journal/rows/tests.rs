use super::*;
use proptest::prelude::*;

fn taken() -> impl Strategy<Value = Taken> {
    let energy = (any::<i64>(), any::<bool>());
    prop_oneof![
        Just(Taken::Missing),
        energy.prop_map(|(energy, clamped)| Taken::Energy(MicroWattHours(energy), clamped)),
    ]
}

fn readings() -> impl Strategy<Value = Vec<Option<Entered>>> {
    let entered = |(wh, clamped)| Entered { wh, clamped };
    let reading = (any::<i64>(), any::<bool>()).prop_map(entered);
    proptest::collection::vec(proptest::option::of(reading), 0..20)
}

proptest! {
    #[test]
    fn intervals_come_back(taken in proptest::collection::vec(taken(), 0..20)) {
        let interval = Interval(taken);
        let row = write_interval(&interval);
        prop_assert_eq!(read_interval(&row, interval.0.len()), Ok(interval.clone()));
        prop_assert_eq!(read_interval(&row, interval.0.len() + 1), Err(Malformed));
        if let Some(fewer) = interval.0.len().checked_sub(1) {
            prop_assert_eq!(read_interval(&row, fewer), Err(Malformed));
        }
    }

    #[test]
    fn sealed_reports_come_back_and_no_shorter_row_is_one(
        readings in readings(), digest: [u8; 32], payload in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let meter = 3;
        let window = WindowStart(900);
        let batch = Batch { meter, window, readings };
        let sealed = Sealed { meter, window, digest: Digest(digest), payload: payload.into() };
        let row = write_batch(&batch);
        prop_assert_eq!(read_batch(&row, meter, window), Ok(batch.clone()));
        prop_assert_eq!(read_batch(&row[..row.len() - 1], meter, window), Err(Malformed));
        let row = write_sealed(&batch, &sealed);
        prop_assert_eq!(read_sealed(&row, meter, window), Ok((batch.clone(), sealed.clone())));
        let short = row.len() - sealed.payload.len() - 1;
        prop_assert_eq!(read_sealed(&row[..short], meter, window), Err(Malformed));
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(row in proptest::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(interval) = read_interval(&row, 5) {
            prop_assert_eq!(write_interval(&interval), row.clone());
        }
        if let Ok(batch) = read_batch(&row, 0, WindowStart(0)) {
            prop_assert_eq!(write_batch(&batch), row.clone());
        }
        if let Ok(kept) = read_kept(&row, 9) {
            prop_assert_eq!(write_kept(&kept), row.clone());
        }
        if let Ok(record) = read_record(&row) {
            prop_assert_eq!(write_record(&record), row.clone());
        }
        // It may be damaged, too.
        let _ = read_batch_3(&row, WindowStart(0));
    }
}

#[test]
fn records_come_back() {
    let mut record = MeterRecord {
        remainder: MicroWattHours(-500_000),
        ..MeterRecord::default()
    };
    record.reported.insert(1_400, 2_800);
    record.reported.insert(1_700_000_000, u64::MAX);
    assert_eq!(read_record(&write_record(&record)), Ok(record));
}

#[test]
fn what_a_batch_of_format_3_counted_is_told_by_the_readings() {
    let row = |clamped: u64, missing: u64, energies: &[i64]| {
        let mut row = Vec::new();
        put(&mut row, clamped);
        put(&mut row, missing);
        put(&mut row, energies.len() as u64);
        energies.iter().for_each(|wh| put(&mut row, zigzag(*wh)));
        row
    };
    let of = |clamped, missing, energies: &[i64]| {
        let batch = read_batch_3(&row(clamped, missing, energies), WindowStart(0))?;
        Ok(batch.readings)
    };
    let entered = |wh| Some(Entered { wh, clamped: false });
    let cut = |wh| Some(Entered { wh, clamped: true });
    let expected = vec![entered(0), entered(3), cut(-8), None, entered(5), None];
    assert_eq!(of(1, 2, &[0, 3, -8, 0, 5, 0]), Ok(expected));
    assert_eq!(of(0, 2, &[0, 3]), Err(Malformed));
    assert_eq!(of(2, 1, &[0, 3]), Err(Malformed));
}
