//! Settings of a PostgreSQL destination.

use tokio::sync::Mutex;

use super::{Postgres, Settings};
use crate::{
    config::{Context, Fields, Format, Refused},
    net::{Guard, Network, Tls, tls},
};

/// Returns whether a text can be the name of a schema without surprises.
pub(crate) fn is_plain_name(text: &str) -> bool {
    let first = text
        .chars()
        .next()
        .is_some_and(|c| c.is_ascii_lowercase() || c == '_');
    let rest = text
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    first && rest && text.len() <= 63
}

pub(super) fn read(mut fields: Fields<'_>, context: Context) -> Result<Postgres, Refused> {
    let host = fields.required("host", "db.example.com");
    let port = fields.port(5432);
    let database = fields.required("database", "app");
    let user = fields.required("user", "terrarium");
    let password = fields.required_secret("password", "the password of the user");
    let schema = fields
        .text("schema")
        .unwrap_or_else(|| "terrarium".to_owned());
    if !is_plain_name(&schema) {
        fields.refuse(
            "schema",
            "has to be lower-case letters, digits and underscores",
        );
    }
    // `require` of a pasted URL means the same here: certificates are always verified.
    let modes = [("verify-full", true), ("require", true), ("disable", false)];
    let encrypted = fields.choice("sslmode", &modes, true);
    if !encrypted && context.network != Network::Local {
        fields.refuse(
            "sslmode",
            "may be disable only on one machine; leave it out",
        );
    }
    let pooler = fields.flag("pooler", false);
    let terra_views = fields.flag("terra_views", false);
    let format = fields.format_of_payloads();
    if terra_views && format != Format::Record {
        fields.refuse(
            "format",
            "cannot be fhir beside terra_views, which show Terra's records",
        );
    }
    let ca_pem = fields.text("ca_pem");
    let certificate = fields.text("client_cert_pem");
    let key = fields.secret("client_key_pem");
    let client = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => {
            fields.refuse("client_key_pem", "is missing beside client_cert_pem");
            None
        }
        (None, Some(_)) => {
            fields.refuse("client_cert_pem", "is missing beside client_key_pem");
            None
        }
    };
    let tls = encrypted.then(|| tls(&Tls { ca_pem, client }));
    if let Some(Err(error)) = &tls {
        fields.refuse("ca_pem", error.to_string());
    }
    fields.finish()?;
    Ok(Postgres {
        settings: Settings {
            host,
            port,
            database,
            user,
            password,
            schema,
            pooler,
            terra_views,
            format,
        },
        guard: Guard::new(context.network, context.resolver),
        tls: tls.and_then(Result::ok),
        session: Mutex::new(None),
    })
}
