//! Settings of a MongoDB database.

use tokio::sync::Mutex;

use super::{Layout, Mongodb, Settings};
use crate::{
    config::{Context, Fields, Refused},
    net::{Guard, Network, Tls, install_provider, tls},
};

pub(super) fn read(mut fields: Fields<'_>, context: Context) -> Result<Mongodb, Refused> {
    install_provider();
    let host = fields.required("host", "cluster0.abcde.mongodb.net");
    if host.contains('/') || host.contains('@') || host.contains(',') {
        fields.refuse("host", "has to be one name, without scheme, user and path");
    }
    let port = fields.port(27017);
    let srv = fields.choice(
        "scheme",
        &[("mongodb", false), ("mongodb+srv", true)],
        false,
    );
    let direct = fields.flag("direct_connection", false);
    let database = fields.required("database", "app");
    let username = fields.text("username");
    let password = fields.secret("password");
    match (&username, &password) {
        (Some(_), None) => fields.refuse("password", "is missing: the password of the user"),
        (None, Some(_)) => fields.refuse("username", "is missing beside the password"),
        _ => {}
    }
    let auth_source = fields.text("auth_source");
    let collection_prefix = fields.text("collection_prefix").unwrap_or_default();
    if collection_prefix.contains('$') || collection_prefix.len() > 64 {
        fields.refuse(
            "collection_prefix",
            "has to be up to 64 characters without $",
        );
    }
    let layouts = [("record", Layout::Record), ("terra", Layout::Terra)];
    let layout = fields.choice("layout", &layouts, Layout::Record);
    let encrypted = fields.flag("tls", true);
    if !encrypted && context.network != Network::Local {
        fields.refuse("tls", "may be false only on one machine; leave it out");
    }
    let ca_pem = fields.text("ca_pem");
    if let Err(error) = tls(&Tls {
        ca_pem: ca_pem.clone(),
        client: None,
    }) {
        fields.refuse("ca_pem", error.to_string());
    }
    fields.finish()?;
    Ok(Mongodb {
        settings: Settings {
            host,
            port,
            srv,
            direct,
            database,
            username,
            password,
            auth_source,
            collection_prefix,
            layout,
            encrypted,
            ca_pem,
        },
        guard: Guard::new(context.network, context.resolver),
        client: Mutex::new(None),
    })
}
