//! Messages of an earlier version, and of one that does not exist yet.

use ciborium::Value;
use wire::{
    Acceptance, AnalyticsEnrol, Ask, Bill, BillReceipt, Bits, Card, Closing, Comparison, Consent,
    Countersignature, Deal, EnrolAnswer, EnrolRequest, EvaluationKeys, HolderAnswer, NoisyTotal,
    Part, Plan, PlanRenewal, Proposal, Question, Receipt, Report, RosterPage, Sum, SumReceipt,
    Terms, Total, WireError as E,
};

use crate::common::{Sample, rest_of_an_area};
use crate::vector::*;

/// Every message is refused by the version alone, whatever its fields.
pub(crate) fn earlier_versions() -> Vec<Bad> {
    fn of<M: Sample>() -> Bad {
        field::<M>(M::CONTENT_TYPE, 0, int(1), E::EarlierVersion { found: 1 })
    }
    vec![
        of::<Plan>(),
        of::<PlanRenewal>(),
        of::<RosterPage>(),
        of::<EnrolRequest>(),
        of::<EnrolAnswer>(),
        of::<AnalyticsEnrol>(),
        of::<Report>(),
        of::<Receipt>(),
        of::<Sum>(),
        of::<SumReceipt>(),
        of::<Bill>(),
        of::<BillReceipt>(),
        of::<Total>(),
        of::<NoisyTotal>(),
        of::<Question>(),
        of::<Comparison>(),
        of::<Bits>(),
        of::<EvaluationKeys>(),
        of::<Terms>(),
        of::<Proposal>(),
        of::<Card>(),
        of::<Deal>(),
        of::<Acceptance>(),
        of::<Closing>(),
        of::<Ask>(),
        of::<HolderAnswer>(),
        of::<Consent>(),
        of::<Countersignature>(),
        of::<wire::AuditDemand>(),
        // As in format 1: two fields more, and another type where the salt is.
        payload::<Report>(
            "a report of format 1",
            E::EarlierVersion { found: 1 },
            |b| {
                let mut fields: Vec<Value> = ciborium::from_reader(&b[..]).unwrap();
                (fields[0], fields[7]) = (int(1), int(70_000));
                fields.splice(9..9, [int(0), int(0)]);
                *b = bytes_of(&Value::Array(fields));
            },
        ),
    ]
}

/// Every field that a later version fills, filled.
pub(crate) fn filled_fields() -> Vec<Bad> {
    let filled = |field| E::Reserved { field };
    vec![
        message::<Sum>(
            "the rest of an area that replaces a part",
            filled("sum.replaces"),
            |sum| {
                *sum = rest_of_an_area();
                sum.replaces = Some(Part(0));
            },
        ),
        field::<Sum>("a bill", 7, int(1), filled("sum.kind")),
    ]
}
