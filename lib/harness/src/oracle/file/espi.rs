//! Green Button.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use readings::Unit;

use super::Customers;
use super::number::Style;
use super::registers::Meters;

/// A piece of XML: a tag's local name and what else is in it, or text.
enum Piece<'a> {
    Open(&'a str, &'a str),
    Close(&'a str),
    Text(&'a str),
}

/// Takes XML apart at its angle brackets; comments, declarations and instructions are left out.
fn pieces(xml: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = xml;
    while let Some((text, tag)) = rest.split_once('<') {
        pieces.push(Piece::Text(text));
        if let Some(raw) = tag.strip_prefix("![CDATA[") {
            let (inside, after) = raw.split_once("]]>").unwrap_or((raw, ""));
            pieces.push(Piece::Text(inside));
            rest = after;
            continue;
        }
        if tag.starts_with("!--") {
            rest = tag.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let (inside, after) = tag.split_once('>').unwrap_or((tag, ""));
        rest = after;
        if inside.starts_with(['?', '!']) {
            continue;
        }
        let name_of = |inside: &str| {
            let end = inside
                .find(|c: char| c.is_whitespace() || c == '/')
                .unwrap_or(inside.len());
            let start = inside[..end].find(':').map_or(0, |colon| colon + 1);
            (start, end)
        };
        if let Some(closed) = inside.strip_prefix('/') {
            let (start, end) = name_of(closed);
            pieces.push(Piece::Close(&closed[start..end]));
            continue;
        }
        let (start, end) = name_of(inside);
        pieces.push(Piece::Open(&inside[start..end], &inside[end..]));
        if inside.ends_with('/') {
            pieces.push(Piece::Close(&inside[start..end]));
        }
    }
    pieces
}

/// The value of an attribute.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let quote = after
            .chars()
            .next()
            .filter(|quote| ['"', '\''].contains(quote))?;
        let (value, next) = after[1..].split_once(quote)?;
        if before.trim() == name {
            return Some(value);
        }
        rest = next;
    }
    None
}

/// What a `ReadingType` says, by the names of its elements.
type Kind = BTreeMap<String, String>;

#[derive(Default)]
struct Entry {
    links: Vec<(String, Vec<String>)>,
    kind: Option<Kind>,
    block: bool,
    /// Start, duration and value.
    readings: Vec<[String; 3]>,
}

impl Entry {
    /// The steps of an address down to the id of a resource.
    fn address(&self, resource: &str) -> Option<Vec<String>> {
        let of = |wanted: &str| self.links.iter().rev().find(|(rel, _)| rel == wanted);
        of("self")
            .into_iter()
            .chain(of("up"))
            .find_map(|(_, steps)| down_to(steps, resource))
    }
}

fn down_to(steps: &[String], resource: &str) -> Option<Vec<String>> {
    let place = steps.iter().position(|step| step == resource)?;
    steps.get(..place + 2).map(<[_]>::to_vec)
}

fn steps(href: &str) -> Vec<String> {
    let href = href.split(['?', '#']).next().unwrap_or_default();
    let steps = href.split("://").last().unwrap_or_default().split('/');
    let host = usize::from(href.contains("://"));
    steps
        .skip(host)
        .filter(|step| !step.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Reads the feed. `unit` is that of a file without any `ReadingType`.
pub(super) fn read(xml: &str, unit: Option<Unit>, customers: &mut Customers) -> Result<()> {
    let mut entries: Vec<(u64, Entry)> = Vec::new();
    let (mut entry, mut points, mut text) = (Entry::default(), 0, String::new());
    let mut inside = Vec::new();
    for piece in pieces(xml) {
        match piece {
            Piece::Text(more) => text += more,
            Piece::Open(name, tag) => {
                text.clear();
                inside.push(name);
                match name {
                    "entry" => entry = Entry::default(),
                    "link" => {
                        if let Some((rel, href)) = attribute(tag, "rel").zip(attribute(tag, "href"))
                        {
                            entry.links.push((rel.to_owned(), steps(href)));
                        }
                    }
                    "UsagePoint" => points += 1,
                    "ReadingType" => entry.kind = Some(Kind::new()),
                    "IntervalBlock" => entry.block = true,
                    "IntervalReading" => entry.readings.push(Default::default()),
                    _ => {}
                }
            }
            Piece::Close(name) => {
                inside.pop();
                let value = text.trim().to_owned();
                text.clear();
                let alone =
                    !inside.contains(&"entry") && ["IntervalBlock", "ReadingType"].contains(&name);
                if name == "entry" || alone {
                    entries.push((points, std::mem::take(&mut entry)));
                } else if inside.contains(&"IntervalReading") {
                    let place = ["start", "duration", "value"]
                        .iter()
                        .position(|known| *known == name);
                    if let Some((place, reading)) = place.zip(entry.readings.last_mut()) {
                        reading[place] = value;
                    }
                } else if inside.contains(&"ReadingType") {
                    entry
                        .kind
                        .get_or_insert_default()
                        .insert(name.to_owned(), value);
                }
            }
        }
    }
    Feed::of(entries).read(unit, customers)
}

/// Usage point, meter reading, and the readings of it.
type Block = (Vec<String>, Option<Vec<String>>, Vec<[String; 3]>);

struct Feed {
    kinds: BTreeMap<Vec<String>, Kind>,
    every_kind: Vec<Kind>,
    related: BTreeMap<Vec<String>, Vec<Vec<String>>>,
    blocks: Vec<Block>,
}

impl Feed {
    fn of(entries: Vec<(u64, Entry)>) -> Self {
        let mut feed = Self {
            kinds: BTreeMap::new(),
            every_kind: Vec::new(),
            related: BTreeMap::new(),
            blocks: Vec::new(),
        };
        for (points, entry) in entries {
            if let Some(kind) = &entry.kind {
                feed.every_kind.push(kind.clone());
                if let Some(address) = entry.address("ReadingType") {
                    feed.kinds.insert(address, kind.clone());
                }
            }
            let reading = entry.address("MeterReading");
            if entry.block {
                let numbered = || vec!["UsagePoint".to_owned(), points.max(1).to_string()];
                let point = entry.address("UsagePoint").unwrap_or_else(numbered);
                feed.blocks.push((point, reading, entry.readings));
            } else if let Some(reading) = reading {
                let related = entry.links.into_iter().filter(|(rel, _)| rel == "related");
                feed.related
                    .entry(reading)
                    .or_default()
                    .extend(related.map(|(_, steps)| steps));
            }
        }
        feed
    }

    fn kind(&self, reading: Option<&Vec<String>>) -> Option<&Kind> {
        let related = reading
            .and_then(|reading| self.related.get(reading))
            .into_iter()
            .flatten();
        let mut linked =
            related.filter_map(|steps| self.kinds.get(&down_to(steps, "ReadingType")?));
        let same = self
            .every_kind
            .iter()
            .all(|kind| Some(meaning(kind)) == self.every_kind.first().map(meaning));
        linked.next().or(self.every_kind.first().filter(|_| same))
    }

    fn read(&self, unit: Option<Unit>, customers: &mut Customers) -> Result<()> {
        // Usage point, unit, power of ten, flow, readings.
        let mut read = Vec::new();
        for (point, reading, readings) in &self.blocks {
            let what = match (self.kind(reading.as_ref()), unit) {
                (Some(kind), _) => meaning(kind),
                (None, Some(unit)) if self.every_kind.is_empty() => Some((unit, 0, 1)),
                _ => bail!("the unit of {point:?} is not known"),
            };
            if let Some(what) = what {
                read.push((point, what, readings));
            }
        }
        let power = |unit: Unit| matches!(unit, Unit::W | Unit::KW);
        let with_energy: BTreeSet<_> = read
            .iter()
            .filter(|(_, what, _)| !power(what.0))
            .map(|(point, ..)| *point)
            .collect();
        let with_net: BTreeSet<_> = read
            .iter()
            .filter(|(_, what, _)| what.2 == 4)
            .map(|(point, ..)| *point)
            .collect();
        let mut meters = Meters::default();
        for (point, (unit, ten, flow), readings) in read {
            if (power(unit) && with_energy.contains(point))
                || (flow != 4 && with_net.contains(point))
            {
                continue;
            }
            let sign = if flow == 19 { -1 } else { 1 };
            for [start, duration, value] in readings {
                let (start, step_s): (u64, u64) = (start.parse()?, duration.parse()?);
                let scaled = if value.is_empty() {
                    String::new()
                } else {
                    format!("{value}e{ten}")
                };
                let uwh = Style::PLAIN.energy(&scaled, unit, step_s as i64)?;
                meters.add(
                    (&point.join("/"), &flow.to_string(), sign),
                    (start, step_s),
                    uwh,
                )?;
            }
        }
        meters.sums(customers)
    }
}

/// Unit, power of ten and direction; `None` for what is no energy of a customer.
fn meaning(kind: &Kind) -> Option<(Unit, i32, u32)> {
    let number = |name: &str| kind.get(name).and_then(|value| value.parse::<i32>().ok());
    let flow = match number("flowDirection").unwrap_or(1) {
        0 | 1 => 1,
        flow @ (4 | 19) => flow as u32,
        _ => return None,
    };
    let electricity = (0..=2).contains(&number("commodity").unwrap_or(1));
    let counter = (1..=3).contains(&number("accumulationBehaviour").unwrap_or(4));
    let unit = match number("uom").context("no unit").ok()? {
        72 => Unit::Wh,
        38 => Unit::W,
        _ => return None,
    };
    (electricity && !counter).then_some((unit, number("powerOfTenMultiplier").unwrap_or(0), flow))
}
