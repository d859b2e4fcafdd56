//! Schemas of summaries.

use models::data::DataType;
use serde_json::{Value, json};

use crate::schema::{Definitions, Member, object};

/// Summary of a record of any type.
pub(in crate::v1) fn summary(definitions: &mut Definitions) -> Value {
    let of_types = DataType::ALL.into_iter().map(|data_type| {
        let name = format!("{}Summary", data_type.as_str());
        let doc = format!("Summary of a record of the type `{data_type}`.");
        let fields = domain::summary::Summary::documented(data_type);
        object(definitions, &name, &doc, &|_| {
            let members = fields.iter().map(|(name, doc, kind)| Member {
                name,
                doc: doc.clone().into(),
                required: false,
                schema: json!({"type": kind}),
            });
            members.collect()
        })
    });
    let of_types: Vec<Value> = of_types.collect();
    json!({"anyOf": of_types})
}
