//! Every example of docs/formats.md reads as the page says.

use readings::{Form, Source as _};

use super::{micro_wh, read};

const PAGE: &str = include_str!("../../../../docs/formats.md");
const MARK: &str = "<!-- example: ";

/// What the page says of an example.
pub(super) struct Example<'a> {
    line: usize,
    form: &'a str,
    meters: usize,
    interval_s: u32,
    kwh: &'a str,
    settings: String,
    pub(super) text: String,
}

pub(super) fn examples() -> Vec<Example<'static>> {
    let mut lines = PAGE.lines().enumerate();
    let mut examples = Vec::new();
    while let Some((line, text)) = lines.next() {
        let Some(says) = text
            .strip_prefix(MARK)
            .and_then(|rest| rest.strip_suffix(" -->"))
        else {
            continue;
        };
        let (_, fence) = lines.next().unwrap();
        assert!(fence.starts_with("```"), "line {line}");
        let block = lines
            .by_ref()
            .map(|(_, text)| text)
            .take_while(|text| *text != "```");
        let block: String = block.map(|text| format!("{text}\n")).collect();
        examples.push(example(line + 1, says, block));
    }
    examples
}

fn example(line: usize, says: &'static str, text: String) -> Example<'static> {
    let mut example = Example {
        line,
        form: "",
        meters: 0,
        interval_s: 0,
        kwh: "",
        settings: String::new(),
        text,
    };
    for word in says.split(' ') {
        let (name, value) = word.split_once('=').unwrap();
        match name {
            "form" => example.form = value,
            "meters" => example.meters = value.parse().unwrap(),
            "interval" => example.interval_s = value.parse().unwrap(),
            "kwh" => example.kwh = value,
            _ => example.settings += &format!("{word} "),
        }
    }
    example
}

fn form(name: &str) -> Form {
    match name {
        "wide" => Form::Wide,
        "long" => Form::Long,
        "cer" => Form::Cer,
        "ausgrid" => Form::Ausgrid,
        "nem12" => Form::Nem12,
        "espi" => Form::Espi,
        "dsmr" => Form::Dsmr,
        _ => panic!("{name}"),
    }
}

#[test]
fn every_example_reads_as_the_page_says() {
    let examples = examples();
    for example in &examples {
        let at = format!("docs/formats.md, line {}", example.line);
        let replay = read(&at, example.text.as_bytes(), &example.settings);
        let replay = replay.unwrap_or_else(|words| panic!("{words}"));
        assert_eq!(replay.found().form, form(example.form), "{at}");
        assert_eq!(replay.meters().len(), example.meters, "{at}");
        assert_eq!(replay.interval_s(), example.interval_s, "{at}");
        assert_eq!(replay.account().total_uwh, micro_wh(example.kwh), "{at}");
    }
    for name in ["wide", "long", "cer", "ausgrid", "nem12", "espi", "dsmr"] {
        assert!(
            examples.iter().any(|example| example.form == name),
            "no example of {name}"
        );
    }
}
