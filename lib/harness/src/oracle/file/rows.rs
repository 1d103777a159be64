//! Lines into fields.

use anyhow::{Context as _, Result};
use readings::Found;

/// The rows below a header.
#[derive(Clone)]
pub(super) struct Rows<'a> {
    lines: std::str::Lines<'a>,
    separator: char,
    header: bool,
}

impl<'a> Rows<'a> {
    pub(super) fn of(text: &'a str, found: &Found) -> Self {
        let mut lines = text.lines();
        for _ in 1..found.header {
            lines.next();
        }
        Self {
            lines,
            separator: found.separator,
            header: found.header > 0,
        }
    }

    /// The names of the columns; made up where there is no header.
    pub(super) fn header(&mut self) -> Result<Vec<String>> {
        if self.header {
            let line = self.lines.next().context("no header")?;
            let mut names: Vec<String> = fields(line, self.separator)
                .into_iter()
                .map(str::to_owned)
                .collect();
            while names.last().is_some_and(String::is_empty) {
                names.pop();
            }
            return Ok(names);
        }
        let count = self.clone().next().context("no rows")?.len();
        Ok((1..=count)
            .map(|number| format!("column {number}"))
            .collect())
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Vec<&'a str>;

    /// The next row that has something in it, and a time.
    fn next(&mut self) -> Option<Vec<&'a str>> {
        loop {
            let row = fields(self.lines.next()?, self.separator);
            if row.iter().any(|field| !field.is_empty()) {
                return Some(row);
            }
        }
    }
}

/// A line's fields without the blanks and quotes around them.
fn fields(line: &str, separator: char) -> Vec<&str> {
    if separator == ' ' {
        return line.split_whitespace().collect();
    }
    let mut fields = Vec::new();
    let (mut start, mut quoted) = (0, false);
    for (at, c) in line.char_indices() {
        if c == '"' {
            quoted = !quoted;
        } else if c == separator && !quoted {
            fields.push(&line[start..at]);
            start = at + c.len_utf8();
        }
    }
    fields.push(&line[start..]);
    fields
        .into_iter()
        .map(|field| field.trim().trim_matches('"').trim())
        .collect()
}
