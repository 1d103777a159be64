//! What the coefficients of reports carry: the layout of a plan, with the edges of its bins if it has some.

use super::Plan;
use crate::cbor::{Reader, Writer, ascending};
use crate::error::WireError;
use crate::ids::LayoutName;

/// The most edges of the bins of a histogram.
pub const MAX_EDGES: usize = 13;

/// The one layout whose reports count meters in bins.
const LAYOUT_WITH_BINS: &str = "histogram";

const EDGES: &str = "plan.histogram_edges_wh";

impl Plan {
    /// A name alone where there are no edges.
    pub(super) fn write_layout(&self, writer: &mut Writer) {
        if self.histogram_edges_wh.is_empty() {
            return writer.text(self.layout.as_str());
        }
        writer.array(2);
        writer.text(self.layout.as_str());
        writer.list(&self.histogram_edges_wh, |writer, edge| writer.uint(*edge));
    }

    /// Only a layout with bins has edges of bins, and these ascend from 1 Wh on.
    pub(super) fn check_edges(&self) -> Result<(), WireError> {
        let edges = &self.histogram_edges_wh;
        if edges.is_empty() == (self.layout.as_str() == LAYOUT_WITH_BINS) {
            return Err(WireError::Edges {
                layout: self.layout.clone(),
            });
        }
        if edges.first() == Some(&0) {
            return Err(WireError::OutOfRange {
                field: EDGES,
                value: 0,
                min: 1,
                max: u64::MAX.into(),
            });
        }
        ascending(edges, EDGES, |a, b| a < b)
    }
}

/// The name and the edges.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<(LayoutName, Vec<u64>), WireError> {
    let field = "plan.layout";
    if !reader.is_array() {
        return Ok((reader.id(field)?, Vec::new()));
    }
    reader.array_of(2, field)?;
    let layout = reader.id(field)?;
    let edges_wh = reader.list(MAX_EDGES, EDGES, |reader| reader.u64(EDGES))?;
    match edges_wh.is_empty() {
        true => Err(WireError::Empty { field: EDGES }),
        false => Ok((layout, edges_wh)),
    }
}
