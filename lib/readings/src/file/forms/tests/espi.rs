use super::super::super::Unit;
use super::super::espi;
use super::{Of, read, says};

const ESPI: Of = (espi::is, espi::read);
const START: u64 = 1_330_578_000;

fn feed(entries: &[String]) -> String {
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\">\n";
    format!("{head}{}</feed>\n", entries.concat())
}

/// An entry with links by relation and address.
fn entry(links: &[(&str, &str)], content: &str) -> String {
    let links: String = links
        .iter()
        .map(|(rel, href)| format!("<link rel=\"{rel}\" href=\"{href}\"/>"))
        .collect();
    format!("<entry>{links}<content>{content}</content></entry>\n")
}

fn kind(id: &str, inside: &str) -> String {
    let address = format!("https://example.org/espi/ReadingType/{id}");
    entry(
        &[("self", &address)],
        &format!(
            "<espi:ReadingType xmlns:espi=\"http://naesb.org/espi\">{inside}</espi:ReadingType>"
        ),
    )
}

fn block(address: &str, values: &[&str]) -> String {
    let reading = |(k, value): (usize, &&str)| {
        let start = START + k as u64 * 3_600;
        format!(
            "\n<IntervalReading><timePeriod><duration>3600</duration><start>{start}</start></timePeriod><value>{value}</value></IntervalReading>"
        )
    };
    let readings: String = values.iter().enumerate().map(reading).collect();
    let inside = "<interval><duration>86400</duration><start>1330578000</start></interval>";
    entry(
        &[("self", address)],
        &format!(
            "<IntervalBlock xmlns=\"http://naesb.org/espi\">{inside}{readings}</IntervalBlock>"
        ),
    )
}

fn meter_reading(address: &str, kind: &str) -> String {
    entry(
        &[
            ("self", address),
            (
                "related",
                &format!("https://other.example/espi/ReadingType/{kind}"),
            ),
        ],
        "<MeterReading/>",
    )
}

const WH: &str = "<powerOfTenMultiplier>0</powerOfTenMultiplier><uom>72</uom>";

#[test]
fn links_say_whose_readings_they_are_and_of_what_unit() {
    let file = feed(&[
        kind("1", &format!("<flowDirection>1</flowDirection>{WH}")),
        kind(
            "2",
            "<flowDirection>19</flowDirection><powerOfTenMultiplier>-3</powerOfTenMultiplier><uom>72</uom>",
        ),
        kind(
            "3",
            "<powerOfTenMultiplier>3</powerOfTenMultiplier><uom>38</uom>",
        ),
        meter_reading("/espi/UsagePoint/A/MeterReading/1", "1"),
        meter_reading("/espi/UsagePoint/A/MeterReading/2", "2"),
        meter_reading("/espi/UsagePoint/A/MeterReading/3", "3"),
        meter_reading("/espi/UsagePoint/B/MeterReading/1", "3"),
        block(
            "/espi/UsagePoint/A/MeterReading/1/IntervalBlock/1",
            &["450", "386", ""],
        ),
        block(
            "/espi/UsagePoint/A/MeterReading/2/IntervalBlock/1",
            &["50000", "386500", "1"],
        ),
        // Power beside energy is passed over; alone it is energy over its hour.
        block(
            "/espi/UsagePoint/A/MeterReading/3/IntervalBlock/1",
            &["1", "1"],
        ),
        block("/espi/UsagePoint/B/MeterReading/1/IntervalBlock/1", &["2"]),
    ]);
    let rows = read(ESPI, &file, None).unwrap();
    let row = |customer: &str, hour: u64, energy| {
        (customer.to_owned(), START + hour * 3_600, 3_600, energy)
    };
    assert_eq!(
        rows,
        [
            row("A", 0, Some(400_000_000)),
            row("A", 1, Some(-500_000)),
            row("A", 2, None),
            row("B", 0, Some(2_000_000_000)),
        ]
    );
}

#[test]
fn without_links_readings_are_of_the_usage_point_above_and_the_only_type() {
    let point = entry(&[], "<UsagePoint/>");
    let kind = entry(&[], &format!("<ReadingType>{WH}</ReadingType>"));
    let file = feed(&[
        kind,
        point.clone(),
        block("x", &["1"]),
        point,
        block("y", &["2"]),
    ]);
    let rows = read(ESPI, &file, None).unwrap();
    let customers: Vec<&str> = rows.iter().map(|row| row.0.as_str()).collect();
    assert_eq!(customers, ["1", "2"]);
}

#[test]
fn usage_points_of_two_customers_may_have_the_same_id() {
    let of = |customer: &str| {
        format!("/RetailCustomer/{customer}/UsagePoint/01/MeterReading/1/IntervalBlock/1")
    };
    let file = feed(&[
        kind("1", WH),
        block(&of("a"), &["1"]),
        block(&of("b"), &["2"]),
    ]);
    let rows = read(ESPI, &file, None).unwrap();
    let customers: Vec<&str> = rows.iter().map(|row| row.0.as_str()).collect();
    assert_eq!(customers, ["a/01", "b/01"]);
}

#[test]
fn a_net_register_stands_for_both_directions_and_gas_is_not_read() {
    let reading = |n: u32| format!("/UsagePoint/A/MeterReading/{n}");
    let file = feed(&[
        kind("1", &format!("<flowDirection>4</flowDirection>{WH}")),
        kind("2", &format!("<flowDirection>1</flowDirection>{WH}")),
        kind("3", &format!("<commodity>7</commodity>{WH}")),
        meter_reading(&reading(1), "1"),
        meter_reading(&reading(2), "2"),
        meter_reading(&reading(3), "3"),
        block(&format!("{}/IntervalBlock/1", reading(1)), &["-5"]),
        block(&format!("{}/IntervalBlock/1", reading(2)), &["7"]),
        block(&format!("{}/IntervalBlock/1", reading(3)), &["900"]),
    ]);
    let rows = read(ESPI, &file, None).unwrap();
    assert_eq!(
        rows.iter().map(|row| row.3).collect::<Vec<_>>(),
        [Some(-5_000_000)]
    );
}

#[test]
fn a_file_without_a_reading_type_asks_for_the_unit() {
    let file = feed(&[block("x", &["450", "386"])]);
    says(
        read(ESPI, &file, None),
        &["line 3", "no ReadingType", "meter.unit"],
    );
    let rows = read(ESPI, &file, Some(Unit::Wh)).unwrap();
    assert_eq!(rows[1].3, Some(386_000_000));
}
