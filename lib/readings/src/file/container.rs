//! What text comes in: gzip, zip, or something that is no text at all.

use std::io::{self, Cursor, Read};

use zip::{ZipArchive, read::ZipFile};

use super::error::FileError;

/// Largest zip archive, which is held in memory.
const LARGEST_ZIP: u64 = 1 << 30;
/// Most text that may come of compressed bytes.
const LARGEST_TEXT: u64 = 64 << 30;

/// What a file's text is in.
pub(super) enum Container {
    None,
    Gzip,
    Zip,
}

/// Files that people name instead of a file of text, by their first bytes, and the mend.
const OTHERS: [(&[u8], &str); 9] = [
    (
        b"\xd0\xcf\x11\xe0",
        "an Excel workbook (.xls): save the sheet as CSV",
    ),
    (b"%PDF", "a PDF: ask for the readings as CSV"),
    (b"PAR1", "a Parquet file: write it as CSV"),
    (
        b"SQLite format 3",
        "an SQLite database: export the table as CSV",
    ),
    (b"\x89HDF", "an HDF5 file: write the table as CSV"),
    (
        b"BZh",
        "compressed with bzip2: uncompress it, or use gzip or zip",
    ),
    (
        b"\xfd7zXZ",
        "compressed with xz: uncompress it, or use gzip or zip",
    ),
    (
        b"\x28\xb5\x2f\xfd",
        "compressed with zstd: uncompress it, or use gzip or zip",
    ),
    (
        b"7z\xbc\xaf",
        "a 7z archive: uncompress it, or use gzip or zip",
    ),
];

/// What the file is in that begins with `first`.
pub(super) fn of(first: &[u8]) -> Result<Container, FileError> {
    if first.starts_with(b"\x1f\x8b") {
        return Ok(Container::Gzip);
    }
    if first.starts_with(b"PK\x03\x04") {
        return match workbook(|part| {
            first
                .windows(part.len())
                .any(|bytes| bytes == part.as_bytes())
        }) {
            Some(refusal) => Err(refusal),
            None => Ok(Container::Zip),
        };
    }
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| first.starts_with(magic)) {
        return Err(FileError::Whole(format!("the file is {what}")));
    }
    let text: String = first.iter().take(64).map(|byte| *byte as char).collect();
    let text = text.trim_start().to_ascii_lowercase();
    if text.starts_with("<!doctype html") || text.starts_with("<html") {
        let what = "the file is a web page, perhaps of a login: download the readings themselves";
        return Err(FileError::Whole(what.to_owned()));
    }
    Ok(Container::None)
}

/// The refusal of an archive that is a workbook by what it `has`.
fn workbook(has: impl Fn(&str) -> bool) -> Option<FileError> {
    let what = if has("[Content_Types].xml") || has("xl/workbook.xml") || has("xl/worksheets") {
        "an Excel workbook (.xlsx)"
    } else if has("opendocument.spreadsheet") {
        "an OpenDocument workbook (.ods)"
    } else {
        return None;
    };
    Some(FileError::Whole(format!(
        "the file is {what}: save the sheet with the readings as CSV"
    )))
}

/// The zip archive that `input` is.
pub(super) fn archive(input: impl Read) -> Result<ZipArchive<Cursor<Vec<u8>>>, FileError> {
    let mut bytes = Vec::new();
    let read = input.take(LARGEST_ZIP + 1).read_to_end(&mut bytes);
    read.map_err(|error| FileError::Read { line: 1, error })?;
    if bytes.len() as u64 > LARGEST_ZIP {
        let problem = "the zip archive is larger than 1 GB: unpack it";
        return Err(FileError::Whole(problem.to_owned()));
    }
    ZipArchive::new(Cursor::new(bytes)).map_err(spoilt)
}

/// The only file of `archive`, beside what packers add.
pub(super) fn only_file(
    archive: &mut ZipArchive<Cursor<Vec<u8>>>,
) -> Result<ZipFile<'_, Cursor<Vec<u8>>>, FileError> {
    let names = archive
        .file_names_raw()
        .map(|name| String::from_utf8_lossy(name).into_owned());
    let names: Vec<String> = names.collect();
    if let Some(refusal) = workbook(|part| names.iter().any(|name| name.contains(part))) {
        return Err(refusal);
    }
    let ours =
        |(_, name): &(usize, &String)| !name.ends_with('/') && !name.starts_with("__MACOSX/");
    let files: Vec<(usize, &String)> = names.iter().enumerate().filter(ours).collect();
    match &files[..] {
        [(place, _)] => archive.by_index(*place).map_err(spoilt),
        [] => Err(FileError::Whole(
            "the zip archive is empty: pack the file of readings into it, or name that file itself"
                .to_owned(),
        )),
        [(_, first), (_, second), ..] => Err(FileError::Whole(format!(
            "the zip archive has {} files, such as {first:?} and {second:?}: unpack it and name one of them",
            files.len()
        ))),
    }
}

fn spoilt(error: zip::result::ZipError) -> FileError {
    FileError::Whole(format!(
        "the file is a zip archive or a workbook (.xlsx), and cannot be read ({error}): unpack it, or save the workbook's sheet as CSV"
    ))
}

/// At most as much of `input` as a file of readings can have.
pub(super) fn bounded(input: impl Read) -> impl Read {
    Bounded {
        input,
        left: LARGEST_TEXT,
    }
}

struct Bounded<R> {
    input: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(buffer)?;
        self.left = self.left.checked_sub(length as u64).ok_or_else(|| {
            io::Error::other("the file unpacks to more than 64 GB: unpack it and replay a part")
        })?;
        Ok(length)
    }
}
