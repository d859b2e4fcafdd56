//! One hormone test.

use crate::lenient::{Number, Text, terra_object};

terra_object! {
    /// One hormone test. Has no `metadata`. Key: `timestamp`.
    ///
    /// Schema: `HormoneSample.yaml`.
    pub struct HormoneSample<'a> {
        /// Time of the test, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Luteinising hormone. Unit: mIU/mL.
        lh_miu_per_ml as "lh_mIU_per_ml": Number,
        /// Estrone-3-glucuronide. Unit: ng/mL.
        e3g_ng_per_ml: Number,
        /// Pregnanediol glucuronide. Unit: µg/mL.
        pdg_ug_per_ml: Number,
        /// Human chorionic gonadotropin. Unit: mIU/mL.
        hcg_miu_per_ml as "hcg_mIU_per_ml": Number,
        /// Follicle-stimulating hormone. Unit: mIU/mL.
        fsh_miu_per_ml as "fsh_mIU_per_ml": Number,
    }
}
