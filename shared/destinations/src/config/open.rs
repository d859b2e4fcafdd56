//! Destinations from their settings.

use std::collections::BTreeSet;

use models::data::DataType;
use serde_json::{Map, Value};

use super::{Context, Fields, Format, KindName, Refused, Secrets};
use crate::kind::Kind;

/// Refuses a format that does not carry the data types of a subscription; an empty set means all.
///
/// # Errors
///
/// [`Refused`] for a log kind that is to get FIT files of anything but activities.
pub fn carries(
    kind: KindName,
    config: &Map<String, Value>,
    data_types: &BTreeSet<DataType>,
) -> Result<(), Refused> {
    let is_fit = config.get("format").and_then(Value::as_str) == Some(Format::Fit.as_str());
    let is_bucket = matches!(
        kind,
        KindName::S3 | KindName::Gcs | KindName::Azure | KindName::Folder
    );
    let is_activity = data_types.len() == 1 && data_types.contains(&DataType::Activity);
    if is_fit && !is_bucket && !is_activity {
        let text = "fit is for activities alone: subscribe to the data type activity and no other";
        return Err(Refused::new(kind, "format", text));
    }
    Ok(())
}

/// Opens a destination by its own type and makes something of it.
macro_rules! opened {
    ($kind:ident, $fields:ident, $context:ident, $make:expr; $($feature:literal $name:ident => $opened:path;)*) => {
        match $kind {
            $(
                #[cfg(feature = $feature)]
                KindName::$name => Ok(<$opened>::open($fields, $context).map($make)),
                #[cfg(not(feature = $feature))]
                KindName::$name => {
                    drop(($fields, $context));
                    Err(concat!(
                        "is not part of this program; build it with the feature `", $feature, "`"
                    ))
                }
            )*
        }
    };
    // The kinds.
    ($kind:ident, $fields:ident, $context:ident, $make:expr) => {
        opened! { $kind, $fields, $context, $make;
            "webhook" Webhook => crate::webhook::Webhook;
            "postgres" Postgres => crate::postgres::Postgres;
            "mysql" Mysql => crate::mysql::Mysql;
            "supabase" Supabase => crate::supabase::Supabase;
            "mongodb" Mongodb => crate::mongodb::Mongodb;
            "firestore" Firestore => crate::firestore::Firestore;
            "gcs" Gcs => crate::gcs::Gcs;
            "s3" S3 => crate::s3::S3;
            "azure" Azure => crate::azure::Azure;
            "sqs" Sqs => crate::sqs::Sqs;
            "kafka" Kafka => crate::kafka::Kafka;
            "folder" Folder => crate::folder::Folder;
        }
    };
}

fn boxed<K: Kind + 'static>(kind: K) -> Box<dyn Kind> {
    Box::new(kind)
}

/// Opens a destination. Does not connect yet.
///
/// # Errors
///
/// [`Refused`] if a setting is missing, wrong or unknown, or if this program was built without the
/// kind.
pub fn open(
    kind: KindName,
    config: &Map<String, Value>,
    secrets: &Secrets,
    context: Context,
) -> Result<Box<dyn Kind>, Refused> {
    let fields = Fields::new(kind, config, secrets);
    let opened: Result<_, &str> = opened!(kind, fields, context, boxed);
    opened.unwrap_or_else(|text| Err(Refused::new(kind, "kind", text)))
}

/// Reads the settings of a destination that another program delivers to: one that may have more kinds and formats.
///
/// # Errors
///
/// [`Refused`] with everything that is wrong with the settings. Those of a kind that this program was built without
/// are left to the one that delivers.
pub fn check(
    kind: KindName,
    config: &Map<String, Value>,
    secrets: &Secrets,
    context: Context,
) -> Result<(), Refused> {
    let fields = Fields::of_check(kind, config, secrets);
    // Nothing is made of it but whether it opens: a program that only checks does not contain how it is delivered to.
    let opened: Result<_, &str> = opened!(kind, fields, context, drop);
    opened.unwrap_or(Ok(()))
}

/// Returns whether this program was built with a kind, so that [`check`] reads its settings.
pub fn is_built(kind: KindName) -> bool {
    match kind {
        KindName::Webhook => cfg!(feature = "webhook"),
        KindName::Postgres => cfg!(feature = "postgres"),
        KindName::Mysql => cfg!(feature = "mysql"),
        KindName::Supabase => cfg!(feature = "supabase"),
        KindName::Mongodb => cfg!(feature = "mongodb"),
        KindName::Firestore => cfg!(feature = "firestore"),
        KindName::Gcs => cfg!(feature = "gcs"),
        KindName::S3 => cfg!(feature = "s3"),
        KindName::Azure => cfg!(feature = "azure"),
        KindName::Sqs => cfg!(feature = "sqs"),
        KindName::Kafka => cfg!(feature = "kafka"),
        KindName::Folder => cfg!(feature = "folder"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn format(name: &str) -> Map<String, Value> {
        Map::from_iter([("format".to_owned(), Value::from(name))])
    }

    #[test]
    fn files_of_activities_are_for_those_who_want_nothing_else_or_keep_them_apart() {
        let fit = format("fit");
        let activities = BTreeSet::from([DataType::Activity]);
        let both = BTreeSet::from([DataType::Activity, DataType::Daily]);
        for kind in [KindName::Webhook, KindName::Sqs, KindName::Kafka] {
            assert_eq!(carries(kind, &fit, &activities), Ok(()));
            assert!(carries(kind, &fit, &both).is_err());
            let refused = carries(kind, &fit, &BTreeSet::new()).unwrap_err();
            assert!(refused.to_string().contains("the data type activity"));
            assert_eq!(carries(kind, &format("fhir"), &both), Ok(()));
        }
        assert_eq!(carries(KindName::S3, &fit, &BTreeSet::new()), Ok(()));
    }
}
