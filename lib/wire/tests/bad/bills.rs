//! What is wrong with a tariff, with a bill, and with who is to be billed.

use ciborium::{Value, cbor};
use wire::{
    Bill, BillReceipt, EnrolRequest, Plan, RosterPage, SumStatus, Tariff, WindowStart,
    WireError as E,
};

use crate::common::{id, with_tariff};
use crate::vector::*;

fn order(field: &'static str, index: usize) -> E {
    E::OutOfOrder { field, index }
}

/// Adds a value to the first item of a list.
fn add_flag(bytes: &mut Vec<u8>, list: usize, flag: Value) {
    let mut fields: Vec<Value> = ciborium::from_reader(&bytes[..]).unwrap();
    let items = fields[list].as_array_mut().unwrap();
    items[0].as_array_mut().unwrap().push(flag);
    *bytes = bytes_of(&Value::Array(fields));
}

fn tariff(what: &'static str, expected: E, change: impl FnOnce(&mut Tariff)) -> Bad {
    message::<Plan>(what, expected, |plan| {
        plan.tariff = with_tariff().tariff;
        change(plan.tariff.as_mut().unwrap());
    })
}

pub(crate) fn bad_bills() -> Vec<Bad> {
    let empty = |field| E::Empty { field };
    vec![
        tariff("a tariff without bands", empty("plan.tariff_bands"), |t| {
            t.bands.clear();
        }),
        tariff("a tariff of no time", empty("plan.tariff_versions"), |t| {
            t.versions.clear();
        }),
        tariff(
            "two versions from one window",
            order("plan.tariff_versions", 1),
            |t| t.versions[1].from = WindowStart(0),
        ),
        tariff("a holiday twice", order("plan.tariff_holidays", 1), |t| {
            t.versions[1].holidays = vec![7, 7];
        }),
        tariff(
            "the fourth of three bands",
            range("plan.tariff_band", 3, 0, 2),
            |t| {
                t.versions[0].otherwise = 3;
            },
        ),
        tariff(
            "two bands at once",
            E::BandsOverlap {
                first: id("summer"),
                second: id("winter"),
            },
            |t| t.versions[1].rules[1].season = None,
        ),
        tariff(
            "a band from within an interval",
            E::BandEdge {
                minute: 425,
                interval_s: 900,
            },
            |t| t.versions[1].rules[0].minutes.0 = 425,
        ),
        tariff(
            "a band that ends before it begins",
            range("plan.tariff_to", 420, 1_201, 1_440),
            |t| t.versions[1].rules[0].minutes = (1_200, 420),
        ),
        tariff(
            "a band on no day",
            range("plan.tariff_days", 0, 1, 15),
            |t| {
                t.versions[1].rules[0].days = 0;
            },
        ),
        field::<Plan>(
            "an interval and two tariffs",
            4,
            cbor!([900, 0, 0]).unwrap(),
            wrong_length("plan.interval_s", 2, 3),
        ),
        payload::<RosterPage>(
            "a meter that is to be billed twice",
            range("roster.billing", 2, 1, 1),
            |b| add_flag(b, 4, int(2)),
        ),
        payload::<EnrolRequest>(
            "a meter that is to be billed not at all",
            range("enrol.billing", 0, 1, 1),
            |b| add_flag(b, 7, int(0)),
        ),
        message::<Bill>("a bill of nothing", empty("bill.groups"), |m| {
            m.groups.clear()
        }),
        message::<Bill>("a bill without bands", empty("bill.bands"), |m| {
            m.bands.clear()
        }),
        message::<Bill>("a group of nothing", empty("bill.windows"), |m| {
            m.groups[0].windows.clear();
            m.groups[0].salts.clear();
        }),
        message::<Bill>("windows that descend", order("bill.windows", 1), |m| {
            m.groups[0].windows.reverse();
        }),
        message::<Bill>(
            "a window in two groups",
            E::WindowTwice {
                window: WindowStart(1_749_945_600),
            },
            |m| m.groups[1].windows[0] = WindowStart(1_749_945_600),
        ),
        inner::<Bill>(
            "a salt of 7 bytes",
            &[6, 1, 3],
            Value::Bytes(vec![0; 7]),
            wrong_length("bill.salts", 8, 7),
        ),
        message::<BillReceipt>(
            "a bill that is to be divided",
            E::UnknownCode {
                field: "bill_receipt.status",
                value: 2,
            },
            |m| m.status = SumStatus::Divide,
        ),
    ]
}
