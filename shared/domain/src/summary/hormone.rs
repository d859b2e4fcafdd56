//! Summary of one hormone test.

use models::data::HormoneSample;

use super::table::{summary, text, time};
use crate::key::Identity;

summary! {
    /// Summary of a hormone test.
    Hormone(HormoneSummary) of record: HormoneSample<'_> {
        identity = Identity { timestamp: time(&record.timestamp), ..Identity::default() };
    } {
        /// Time of the test, as Terra sent it. From `timestamp`.
        timestamp: String = text(&record.timestamp),
        /// Luteinising hormone. Unit: mIU/mL. From `lh_mIU_per_ml`.
        lh_miu_per_ml as "lh_mIU_per_ml": f64 = record.lh_miu_per_ml.get(),
        /// Estrone-3-glucuronide. Unit: ng/mL. From `e3g_ng_per_ml`.
        e3g_ng_per_ml: f64 = record.e3g_ng_per_ml.get(),
        /// Pregnanediol glucuronide. Unit: µg/mL. From `pdg_ug_per_ml`.
        pdg_ug_per_ml: f64 = record.pdg_ug_per_ml.get(),
        /// Human chorionic gonadotropin. Unit: mIU/mL. From `hcg_mIU_per_ml`.
        hcg_miu_per_ml as "hcg_mIU_per_ml": f64 = record.hcg_miu_per_ml.get(),
        /// Follicle-stimulating hormone. Unit: mIU/mL. From `fsh_mIU_per_ml`.
        fsh_miu_per_ml as "fsh_mIU_per_ml": f64 = record.fsh_miu_per_ml.get(),
    }
}
