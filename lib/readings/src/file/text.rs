//! From bytes to lines of text: compression, encodings, line ends.

use std::io::{self, BufRead, BufReader, Read};

use encoding_rs::{Encoding, WINDOWS_1252};
use flate2::bufread::MultiGzDecoder;

use super::{
    container::{self, Container},
    error::FileError,
    utf16::{Utf16, utf16},
};

/// Most lines, and bytes of them, that are looked at before the first row is read.
const HEAD_LINES: usize = 4_096;
const HEAD_BYTES: usize = 8 << 20;
/// Longest line: a row of a hundred thousand customers has less.
const LONGEST_LINE: u64 = 16 << 20;
/// What the first bytes are, at most.
const PEEK: usize = 4_096;

/// A file as text in UTF-8, with `\n` after every line and no byte order mark. Also a [`BufRead`], for parsers that take one.
pub(super) struct Text<'a> {
    bytes: Box<dyn BufRead + 'a>,
    /// The byte that ends a line.
    end: u8,
    encoding: &'static str,
    compression: &'static str,
    head: Vec<String>,
    /// The line that is read: its number, and how far a [`BufRead`] is in it.
    line: String,
    number: u64,
    read: usize,
}

/// Gives `read` the text of `input`: uncompressed, in whatever encoding, or the only file of a gzip or zip archive.
pub(super) fn open<T>(
    input: impl Read,
    read: impl FnOnce(Text<'_>) -> Result<T, FileError>,
) -> Result<T, FileError> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let first = input.fill_buf().map_err(unreadable)?;
    match container::of(&first[..first.len().min(PEEK)])? {
        Container::None => read(Text::new(input, "")?),
        Container::Gzip => read(Text::new(
            BufReader::new(container::bounded(MultiGzDecoder::new(input))),
            "gzip, ",
        )?),
        Container::Zip => {
            let mut archive = container::archive(input)?;
            let file = container::only_file(&mut archive)?;
            read(Text::new(
                BufReader::new(container::bounded(file)),
                "zip, ",
            )?)
        }
    }
}

fn unreadable(error: io::Error) -> FileError {
    FileError::Read { line: 1, error }
}

impl<'a> Text<'a> {
    fn new(mut bytes: impl BufRead + 'a, compression: &'static str) -> Result<Self, FileError> {
        let first = bytes.fill_buf().map_err(unreadable)?;
        let wide = Encoding::for_bom(first).map(|(encoding, _)| encoding);
        let wide = wide.or_else(|| utf16(first));
        let (bytes, encoding): (Box<dyn BufRead + 'a>, _) = match wide {
            Some(encoding) if encoding != encoding_rs::UTF_8 => (
                Box::new(BufReader::new(Utf16::new(bytes, encoding))),
                encoding.name(),
            ),
            _ => (Box::new(bytes), "UTF-8"),
        };
        let mut text = Self {
            bytes,
            end: b'\n',
            encoding,
            compression,
            head: Vec::new(),
            line: String::new(),
            number: 0,
            read: 0,
        };
        let first = text.bytes.fill_buf().map_err(unreadable)?;
        if !first.contains(&b'\n') && first.contains(&b'\r') {
            text.end = b'\r';
        }
        text.read_head()?;
        Ok(text)
    }

    /// How bytes became text, such as `gzip, UTF-16LE`, as far as it is known now.
    pub(super) fn encoding(&self) -> String {
        format!("{}{}", self.compression, self.encoding)
    }

    fn read_head(&mut self) -> Result<(), FileError> {
        let mut bytes = 0;
        let mut head = Vec::new();
        while head.len() < HEAD_LINES && bytes < HEAD_BYTES && self.load()? {
            bytes += self.line.len();
            self.line.pop();
            head.push(std::mem::take(&mut self.line));
        }
        self.head = head;
        self.line.clear();
        self.number = 0;
        Ok(())
    }

    /// The first lines of the file, at most 4,096 and 8 MB, without their ends. They are read again by
    /// [`Text::next_line`].
    pub(super) fn head(&self) -> &[String] {
        &self.head
    }

    /// The next line and its number, from 1, without its line end.
    pub(super) fn next_line(&mut self) -> Result<Option<(u64, &str)>, FileError> {
        if !self.advance()? {
            return Ok(None);
        }
        self.read = self.line.len();
        let line = self.line.strip_suffix('\n').unwrap_or(&self.line);
        Ok(Some((self.number, line)))
    }

    /// The next line becomes the one that is read, unless there is none.
    fn advance(&mut self) -> Result<bool, FileError> {
        self.read = 0;
        let place = usize::try_from(self.number).unwrap_or(usize::MAX);
        if let Some(line) = self.head.get_mut(place) {
            self.line = std::mem::take(line);
            self.line.push('\n');
            self.number += 1;
            return Ok(true);
        }
        self.load()
    }

    /// Loads the next line from the bytes.
    fn load(&mut self) -> Result<bool, FileError> {
        let mut raw = std::mem::take(&mut self.line).into_bytes();
        raw.clear();
        let line = self.number + 1;
        let mut bounded = self.bytes.by_ref().take(LONGEST_LINE);
        let length = bounded.read_until(self.end, &mut raw);
        match length.map_err(|error| FileError::Read { line, error })? {
            0 => return Ok(false),
            length if length as u64 == LONGEST_LINE => {
                let problem = "longer than 16 MB: a file of readings has a line for each interval or customer, so replay its customers as several files";
                return Err(FileError::line(line, problem));
            }
            _ => {}
        }
        while raw.last().is_some_and(|b| *b == b'\n' || *b == b'\r') {
            raw.pop();
        }
        if line == 1 && raw.starts_with(b"\xef\xbb\xbf") {
            raw.drain(..3);
        }
        if raw.contains(&0) {
            let problem = "bytes that are no text: replay a file of text, such as CSV";
            return Err(FileError::line(line, problem));
        }
        self.line = match String::from_utf8(raw) {
            Ok(line) => line,
            Err(error) => {
                self.encoding = "Windows-1252";
                WINDOWS_1252
                    .decode_without_bom_handling(error.as_bytes())
                    .0
                    .into_owned()
            }
        };
        self.line.push('\n');
        self.number = line;
        Ok(true)
    }
}

impl BufRead for Text<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.read >= self.line.len() && !self.advance().map_err(io::Error::other)? {
            self.line.clear();
            self.read = 0;
        }
        Ok(&self.line.as_bytes()[self.read..])
    }

    fn consume(&mut self, amount: usize) {
        self.read = (self.read + amount).min(self.line.len());
    }
}

impl Read for Text<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut bytes = self.fill_buf()?;
        let length = bytes.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn lines(bytes: &[u8]) -> Result<(String, Vec<String>), FileError> {
        open(bytes, |mut text| {
            let mut lines = Vec::new();
            while let Some((_, line)) = text.next_line()? {
                lines.push(line.to_owned());
            }
            Ok((text.encoding(), lines))
        })
    }

    #[test]
    fn every_encoding_and_line_end_comes_to_the_same_lines() {
        let lines_of = |bytes: &[u8]| lines(bytes).unwrap();
        let expected = ["Zähler;1", "", "2"];
        let text = "Zähler;1\n\n2";
        let utf16 = |bytes: fn(u16) -> [u8; 2], mark: bool| {
            let mark = if mark { "\u{feff}" } else { "" };
            let units = format!("{mark}{text}");
            units.encode_utf16().flat_map(bytes).collect::<Vec<u8>>()
        };
        for (bytes, encoding) in [
            (text.as_bytes().to_vec(), "UTF-8"),
            (format!("\u{feff}{text}\n").into_bytes(), "UTF-8"),
            (text.replace('\n', "\r\n").into_bytes(), "UTF-8"),
            (text.replace('\n', "\r").into_bytes(), "UTF-8"),
            (b"Z\xe4hler;1\n\n2\n".to_vec(), "Windows-1252"),
            (utf16(u16::to_le_bytes, true), "UTF-16LE"),
            (utf16(u16::to_be_bytes, true), "UTF-16BE"),
        ] {
            let (found, lines) = lines_of(&bytes);
            assert_eq!(
                (found.as_str(), &lines[..]),
                (encoding, &expected.map(String::from)[..])
            );
        }
        let ascii: Vec<u8> = "a,b\n1,2\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(lines_of(&ascii).1, ["a,b", "1,2"]);
    }

    #[test]
    fn compressed_text_is_read_and_says_how_it_was() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(b"a,b\n1,2\n").unwrap();
        let (encoding, lines) = lines(&gzip.finish().unwrap()).unwrap();
        assert_eq!((encoding.as_str(), lines.len()), ("gzip, UTF-8", 2));
    }

    #[test]
    fn the_head_is_read_again_and_a_parser_gets_every_byte() {
        let text: String = (0..5_000).map(|n| format!("{n},1\n")).collect();
        open(text.as_bytes(), |mut read| {
            assert_eq!(read.head().len(), HEAD_LINES);
            assert_eq!(read.next_line()?, Some((1, "0,1")));
            let mut rest = String::new();
            read.read_to_string(&mut rest).unwrap();
            assert_eq!(rest, text[4..]);
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn what_is_no_text_is_named() {
        let said = |bytes: &[u8]| lines(bytes).unwrap_err().to_string();
        assert!(said(b"a,b\n1,\0\n").contains("line 2"));
        assert!(said(&vec![b'1'; 17 << 20]).contains("longer than 16 MB"));
    }
}
