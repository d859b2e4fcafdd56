//! Settings of a Supabase project.

use std::time::Duration;

use reqwest::Url;
use serde_json::{Map, Value, json};

use super::{Rest, Rows, Supabase};
use crate::{
    bucket::{Bucket, store::Store},
    config::{Context, Fields, KindName, Refused},
    net::{Guard, Tls, http_client},
    postgres::{Postgres, config::is_plain_name},
    s3::S3,
};

/// Longest time of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Settings of the PostgreSQL kind that a project has too.
const DATABASE: &[&str] = &[
    "host",
    "port",
    "database",
    "user",
    "schema",
    "sslmode",
    "pooler",
    "terra_views",
    "format",
    "ca_pem",
    "client_cert_pem",
];

pub(super) fn read(mut fields: Fields<'_>, context: &Context) -> Result<Supabase, Refused> {
    let guard = Guard::new(context.network, context.resolver.clone());
    let connection = [("rest", false), ("postgres", true)];
    let by_database = fields.choice("connection", &connection, false);
    let url = fields.url("project_url", &guard);
    let schema = fields.text("schema");
    let schema = schema.unwrap_or_else(|| "terrarium".to_owned());
    if !is_plain_name(&schema) {
        fields.refuse(
            "schema",
            "has to be lower-case letters, digits and underscores",
        );
    }
    let files = files(&mut fields, context, url.as_ref());
    let rows = if by_database {
        let (config, secrets) = fields.part(DATABASE, &["password", "client_key_pem"]);
        let database = Fields::new(KindName::Supabase, &config, &secrets);
        let opened = Postgres::open(database, context.clone());
        fields
            .accept(opened)
            .map(|database| Rows::Postgres(Box::new(database)))
    } else {
        if url.is_none() {
            fields.refuse(
                "project_url",
                "has to be there and allowed, for example https://abcdefghij.supabase.co",
            );
        }
        let what = "a secret key of the project, `sb_secret_…`";
        let key = fields.required_secret("secret_key", what);
        let format = fields.format_of_payloads();
        let client = http_client(&guard, &Tls::default(), REQUEST_TIMEOUT);
        let client = client
            .map_err(|error| fields.refuse("project_url", error.to_string()))
            .ok();
        url.zip(client).map(|(project_url, http)| {
            Rows::Rest(Rest {
                http,
                project_url,
                key,
                schema: schema.clone(),
                format,
            })
        })
    };
    fields.finish()?;
    let incomplete = || Refused::new(KindName::Supabase, "project_url", "cannot be used");
    Ok(Supabase {
        rows: rows.ok_or_else(incomplete)?,
        schema,
        files,
    })
}

/// The bucket of Supabase Storage, which speaks as S3 does.
fn files(fields: &mut Fields<'_>, context: &Context, url: Option<&Url>) -> Option<Bucket<Store>> {
    let bucket = fields.text("storage_bucket");
    let region = fields.text("region");
    let prefix = fields.text("prefix");
    let endpoint = fields.text("storage_endpoint");
    let (_, secrets) = fields.part(&[], &["access_key_id", "secret_access_key"]);
    let bucket = bucket?;
    let endpoint = endpoint.or_else(|| {
        let project = url?.as_str().trim_end_matches('/');
        Some(format!("{project}/storage/v1/s3"))
    });
    let settings = json!({
        "bucket": bucket, "region": region, "prefix": prefix, "endpoint": endpoint,
        "path_style": true, "layout": "revisions",
    });
    let settings: Map<String, Value> = settings.as_object().cloned().unwrap_or_default();
    let opened = S3::open(
        Fields::new(KindName::S3, &settings, &secrets),
        context.clone(),
    );
    fields.accept(opened)
}
