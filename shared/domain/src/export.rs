//! Parts of an export.

use std::collections::BTreeSet;

use crate::word::words;

words! {
    /// Files of an export that an order may name. Those that explain the others are always there.
    ExportPart {
        /// Every record as it was sent, laboratories' reports among them.
        Records = "records",
        /// Tables of chosen values and of all values.
        Csv = "csv",
        /// Bundles of FHIR R4.
        Fhir = "fhir",
        /// A FIT file of each workout.
        Fit = "fit",
    }
}

impl ExportPart {
    /// All parts, for an order that names none.
    pub fn all() -> BTreeSet<Self> {
        Self::ALL.iter().copied().collect()
    }
}
