//! Files from public reports and questions, which `readings` has with what they come to.

use std::path::Path;

use super::both;

#[path = "../../../readings/tests/files/settings.rs"]
mod settings;
#[path = "../../../readings/tests/files/table.rs"]
#[allow(
    dead_code,
    reason = "what a file comes to is held against by the crate that has it"
)]
mod table;

use table::{CASES, Expect};

#[test]
fn the_oracle_agrees_on_files_from_public_reports() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../readings/tests/cases");
    let mut read = 0;
    for (name, settings, expect) in CASES {
        let file = std::fs::read(folder.join(name)).unwrap();
        let form = both(&file, &settings::options(settings));
        let form = form.unwrap_or_else(|error| panic!("{name} [{settings}]: {error}"));
        let refused = matches!(expect, Expect::Refused(_));
        assert_eq!(form.is_err(), refused, "{name} [{settings}]: {form:?}");
        read += u32::from(form.is_ok());
    }
    assert!(read > 40, "{read} were read");
}
