//! What a run leaves behind.
//!
//! # Layout
//! * [`schema`]: `run.json`, the one document that everything else is made from · `environment`: where it ran ·
//!   `spread`: a point from its repeats
//! * `files`: `run.json` and the tables beside it · `legacy`: the files that users of the field's earlier demo expect, with
//!   `extras`: what is in them and not in the document
//! * `table`: for people

pub(crate) mod environment;
pub(crate) mod extras;
pub(crate) mod files;
mod legacy;
pub(crate) mod schema;
pub(crate) mod spread;
pub(crate) mod table;

#[cfg(test)]
mod tests {
    use super::schema::{FORMAT, Run, Status};

    #[test]
    fn the_example_is_a_document_and_comes_back_as_it_was() {
        let text = include_str!("example.json");
        let run: Run = serde_json::from_str(text).unwrap();
        assert_eq!(run.format, FORMAT);
        let again: Run = serde_json::from_str(&serde_json::to_string(&run).unwrap()).unwrap();
        assert_eq!(run, again);
        let raw: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(
            serde_json::to_value(&run).unwrap(),
            raw,
            "a field the document does not have"
        );
        for status in [Status::Ok, Status::Wrong, Status::Failed, Status::Skipped] {
            let has =
                |sweep: &super::schema::Sweep| sweep.points.iter().any(|p| p.status == status);
            assert!(run.sweeps.iter().any(has), "no point that is {status:?}");
        }
    }
}
