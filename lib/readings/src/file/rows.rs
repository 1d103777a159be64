//! The rows of a file of fields.

use csv::{ReaderBuilder, StringRecord, Terminator, Trim};

use super::{dialect::Dialect, error::FileError, text::Text};

/// The rows below the header, each with its line and a field for each column.
pub(super) struct Rows<'t, 'a> {
    input: Input<'t, 'a>,
    record: StringRecord,
    /// Lines before the first one that the input has.
    skipped: u64,
    columns: &'t [String],
    /// Rows without a single value, such as a spreadsheet's trailing ones.
    pub(super) blank: u64,
}

enum Input<'t, 'a> {
    Csv(Box<csv::Reader<&'t mut Text<'a>>>),
    Blanks(&'t mut Text<'a>),
}

impl<'t, 'a> Rows<'t, 'a> {
    /// Passes over what is before the first row.
    ///
    /// A row ends at a line feed, and the last one does too: the line of a row is then the one before that at which the reader
    /// stands. (By itself, the reader counts a CRLF on one side of a row or the other.)
    pub(super) fn new(text: &'t mut Text<'a>, dialect: &'t Dialect) -> Result<Self, FileError> {
        for _ in 1..dialect.first {
            if text.next_line()?.is_none() {
                break;
            }
        }
        let input = match u8::try_from(dialect.separator) {
            Ok(b' ') | Err(_) => Input::Blanks(text),
            Ok(separator) => Input::Csv(Box::new(
                ReaderBuilder::new()
                    .flexible(true)
                    .has_headers(false)
                    .delimiter(separator)
                    .trim(Trim::All)
                    .terminator(Terminator::Any(b'\n'))
                    .from_reader(text),
            )),
        };
        Ok(Self {
            input,
            record: StringRecord::new(),
            skipped: dialect.first - 1,
            columns: &dialect.columns,
            blank: 0,
        })
    }

    /// The next row and its line. Those without a value are passed over.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &StringRecord)>, FileError> {
        loop {
            let Some(line) = self.read()? else {
                return Ok(None);
            };
            if self.record.iter().all(str::is_empty) {
                self.blank += u64::from(self.record.len() > 1);
                continue;
            }
            self.check(line)?;
            return Ok(Some((line, &self.record)));
        }
    }

    fn read(&mut self) -> Result<Option<u64>, FileError> {
        match &mut self.input {
            Input::Csv(reader) => {
                let more = reader.read_record(&mut self.record);
                let line = self.skipped + reader.position().line().saturating_sub(1);
                let more = more.map_err(|error| unreadable(line, error))?;
                Ok(more.then_some(line))
            }
            Input::Blanks(text) => {
                let Some((line, text)) = text.next_line()? else {
                    return Ok(None);
                };
                self.record.clear();
                text.split_whitespace()
                    .for_each(|field| self.record.push_field(field));
                Ok(Some(line))
            }
        }
    }

    /// Every row has a field for each column, and nothing beyond.
    fn check(&self, line: u64) -> Result<(), FileError> {
        let (fields, columns) = (self.record.len(), self.columns.len());
        let beyond = self
            .record
            .iter()
            .skip(columns)
            .any(|field| !field.is_empty());
        if fields >= columns && !beyond {
            return Ok(());
        }
        let wrong = match (self.columns.get(fields), self.record.get(columns)) {
            (Some(column), _) => format!(", none for column {column:?}"),
            (None, Some(field)) => format!(", {field:?} the first one beyond them"),
            (None, None) => String::new(),
        };
        let problem = format!(
            "{fields} fields where the header has {columns} columns{wrong}: complete the row (a field with a separator in it, such as a \
             decimal comma, needs quotes)"
        );
        Err(FileError::line(line, problem))
    }
}

fn unreadable(line: u64, error: csv::Error) -> FileError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => match error.downcast::<FileError>() {
            Ok(error) => error,
            Err(error) => FileError::Read { line, error },
        },
        kind => FileError::line(line, format!("cannot be read as fields: {kind:?}")),
    }
}
