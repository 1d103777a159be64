//! How files name their columns, and what is in the lines before the header.

/// Names of a customer's column, in lower case.
pub(super) const METERS: &[&str] = &[
    "lclid",
    "meter_id",
    "meterid",
    "meter id",
    "meter",
    "meter number",
    "meter serial number",
    "id",
    "customer",
    "customer_id",
    "customerid",
    "customer id",
    "household",
    "household_id",
    "house_id",
    "home_id",
    "user_id",
    "nmi",
    "mpan",
    "mprn",
    "prm",
    "pdl",
    "identifiant prm",
    "pod",
    "cups",
    "ean",
    "eic",
    "cpe",
    "gsrn",
    "zählpunkt",
    "zählpunktbezeichnung",
    "zählpunktnummer",
    "zaehlpunkt",
    "zählernummer",
    "messlokation",
    "marktlokation",
    "melo",
    "malo",
    "site",
    "site_id",
    "device",
    "device_id",
    "dataid",
    "station",
];
/// Names of a time's column.
pub(super) const TIMES: &[&str] = &[
    "datetime",
    "tstp",
    "timestamp",
    "time",
    "date_time",
    "date time",
    "date",
    "day",
    "start",
    "start time",
    "start_time",
    "interval start",
    "period_start",
    "read date and end time",
    "horodate",
    "zeitstempel",
    "zeit",
    "datum",
    "von",
    "ab",
    "data e hora",
    "data",
    "fecha",
    "utc",
    "local_time",
    "localminute",
];
/// Names of the time of day's column beside a date's.
pub(super) const TIMES_OF_DAY: &[&str] = &[
    "time", "hour", "zeit", "uhrzeit", "hora", "heure", "ora", "tijd",
];
/// Words of a name that say that a time is the end of an interval.
pub(super) const ENDS: &[&str] = &[
    "end", "bis", "to", "fim", "fin", "horodate", "ending", "until", "ende", "end_time",
];
/// Names of a reading's column, the first ones before the others.
pub(super) const READINGS: &[&str] = &[
    "kwh/hh (per half hour)",
    "energy(kwh/hh)",
    "kwh",
    "wh",
    "mwh",
    "kw",
    "w",
    "energy",
    "energy_kwh",
    "energy_wh",
    "energy_sum",
    "consumption",
    "consumption_kwh",
    "usage",
    "value",
    "valeur",
    "wert",
    "reading",
    "read value",
    "verbrauch",
    "consumo",
    "load",
];
/// Words of a name that no column of energy has.
pub(super) const NO_ENERGY: &[&str] = &[
    "voltage",
    "intensity",
    "current",
    "temperature",
    "humidity",
    "reactive",
    "frequency",
    "spannung",
    "temperatur",
    "sub",
];
/// Words of a line before the header that a unit or a customer follows, or stands below.
pub(super) const UNIT_WORDS: &[&str] = &["unit", "units", "unite", "unité", "einheit"];

/// The customer that the lines before the header name, where there is only one.
pub(super) fn customer(preface: &[Vec<String>]) -> Option<&str> {
    labelled(preface, METERS)
}

/// The field below one of `words`, or after it in its line.
pub(super) fn labelled<'a>(preface: &'a [Vec<String>], words: &[&str]) -> Option<&'a str> {
    for (line, fields) in preface.iter().enumerate() {
        for (place, field) in fields.iter().enumerate() {
            let field = field.trim_end_matches(':').trim().to_lowercase();
            if !words.contains(&field.as_str()) {
                continue;
            }
            let below = preface.get(line + 1).and_then(|next| next.get(place));
            let after = fields.get(place + 1);
            let found = if fields.len() > 2 {
                below
            } else {
                after.or(below)
            };
            if let Some(found) = found.filter(|found| !found.is_empty()) {
                return Some(found);
            }
        }
    }
    None
}
