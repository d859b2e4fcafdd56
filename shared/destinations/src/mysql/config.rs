//! Settings of a MySQL destination.

use tokio::sync::Mutex;

use super::{Mysql, Settings};
use crate::{
    config::{Context, Fields, Refused},
    net::{Guard, Network, Tls, install_provider, tls},
};

pub(super) fn read(mut fields: Fields<'_>, context: Context) -> Result<Mysql, Refused> {
    install_provider();
    let host = fields.required("host", "db.example.com");
    let port = fields.port(3306);
    let database = fields.required("database", "app");
    let user = fields.required("user", "terrarium");
    let password = fields.required_secret("password", "the password of the user");
    let table_prefix = fields
        .text("table_prefix")
        .unwrap_or_else(|| "terrarium_".to_owned());
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !table_prefix.chars().all(is_plain) || table_prefix.len() > 32 {
        fields.refuse(
            "table_prefix",
            "has to be up to 32 lower-case letters, digits and underscores",
        );
    }
    let modes = [("required", true), ("disabled", false)];
    let encrypted = fields.choice("ssl_mode", &modes, true);
    if !encrypted && context.network != Network::Local {
        fields.refuse(
            "ssl_mode",
            "may be disabled only on one machine; leave it out",
        );
    }
    let ca_pem = fields.text("ca_pem");
    let readable = tls(&Tls {
        ca_pem: ca_pem.clone(),
        client: None,
    });
    if let Err(error) = readable {
        fields.refuse("ca_pem", error.to_string());
    }
    let format = fields.format_of_payloads();
    fields.finish()?;
    Ok(Mysql {
        settings: Settings {
            host,
            port,
            database,
            user,
            password,
            table_prefix,
            encrypted,
            ca_pem,
            format,
        },
        guard: Guard::new(context.network, context.resolver),
        session: Mutex::new(None),
    })
}
