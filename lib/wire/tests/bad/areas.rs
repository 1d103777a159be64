//! What is wrong with the areas of a plan, and with the rest of an area.

use ciborium::{Value, cbor};
use wire::{Plan, Sum, WireError as E};

use crate::common::rest_of_an_area;
use crate::vector::*;

pub(crate) fn bad_areas() -> Vec<Bad> {
    let area = |what, value: Result<Value, ciborium::value::Error>, expected| {
        inner::<Plan>(what, &[9, 0, 1], value.unwrap(), expected)
    };
    let rest = |what, expected, change: fn(&mut Sum)| {
        message::<Sum>(what, expected, |sum| {
            *sum = rest_of_an_area();
            change(sum);
        })
    };
    vec![
        area(
            "an area of three levels",
            cbor!(["transformer-1", "substation-1", "region-1"]),
            wrong_length("plan.area", 2, 3),
        ),
        area(
            "an area that is a number",
            cbor!(1),
            wrong_type("plan.area", "a text string", "an unsigned integer"),
        ),
        area(
            "a transformer in itself",
            cbor!(["north", "north"]),
            E::AreaInItself {
                area: "north".parse().unwrap(),
            },
        ),
        rest(
            "the rest of one feeder",
            E::Empty {
                field: "sum.others",
            },
            |sum| sum.rest.as_mut().unwrap().others.clear(),
        ),
        rest(
            "a feeder twice",
            E::ShareOrder {
                feeder: "feeder-2".parse().unwrap(),
            },
            |sum| {
                let others = &mut sum.rest.as_mut().unwrap().others;
                others[1].feeder = others[0].feeder.clone();
            },
        ),
        rest(
            "the first feeder again",
            E::ShareOrder {
                feeder: "feeder-1".parse().unwrap(),
            },
            |sum| sum.rest.as_mut().unwrap().others[0].feeder = sum.feeder.clone(),
        ),
    ]
}
