//! Files from public reports and questions.

use std::path::Path;

use super::table::CASES;
use super::wrong;

#[test]
fn every_case_is_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut faults = Vec::new();
    for (file, settings, expect) in CASES {
        let bytes = std::fs::read(folder.join(file)).unwrap();
        faults.extend(wrong(file, &bytes, settings, expect));
    }
    let files = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    for file in files {
        let file = file.into_string().unwrap();
        let known = CASES.iter().any(|(name, ..)| *name == file);
        faults.extend((!known).then(|| format!("{file} is not in the table")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
