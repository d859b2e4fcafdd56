//! Settings of a folder.

use std::path::PathBuf;

use super::{Files, Folder};
use crate::{
    bucket::Settings,
    config::{Context, Fields, Refused},
    net::Network,
};

pub(super) fn read(mut fields: Fields<'_>, context: &Context) -> Result<Folder, Refused> {
    let root = PathBuf::from(fields.required("path", "/var/lib/terrarium/out"));
    if context.network != Network::Local {
        fields.refuse(
            "path",
            "is a folder, which only the system on one machine writes to",
        );
    }
    let settings = Settings::read(&mut fields);
    fields.finish()?;
    Ok(Folder::new(Files { root }, settings))
}
