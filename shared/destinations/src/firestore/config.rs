//! Settings of a Firestore database.

use super::{Firestore, Layout};
use crate::{
    config::{Context, Fields, KindName, Refused, is_plain},
    google::Google,
};

/// Address of the interface.
const ADDRESS: &str = "https://firestore.googleapis.com";
/// Scope of a token.
const SCOPE: &str = "https://www.googleapis.com/auth/datastore";
/// The database that a project has by itself.
const DEFAULT_DATABASE: &str = "(default)";
/// The document below which Terra puts its collections.
const DEFAULT_ROOT: &str = "terra/2022-03-16";

fn is_segment(text: &str) -> bool {
    let is_dots = text.chars().all(|c| c == '.');
    let is_reserved = text.starts_with("__") && text.ends_with("__");
    text.len() <= 100 && !text.contains('/') && !is_dots && !is_reserved
}

/// Returns whether a project can have the id. Old ones begin with the domain of their organization: `example.com:app`.
///
/// <https://cloud.google.com/resource-manager/docs/creating-managing-projects>
fn is_project(id: &str) -> bool {
    let (domain, id) = id
        .split_once(':')
        .map_or((None, id), |(domain, id)| (Some(domain), id));
    let is_domain = domain.is_none_or(|domain| is_plain(domain, (1, 253), "-."));
    is_domain && is_plain(id, (6, 30), "-") && id.starts_with(|c: char| c.is_ascii_lowercase())
}

pub(super) fn read(mut fields: Fields<'_>, context: &Context) -> Result<Firestore, Refused> {
    let project_id = fields.text("project_id");
    let database = fields.text("database_id");
    let database = database.unwrap_or_else(|| DEFAULT_DATABASE.to_owned());
    let root = fields.text("root");
    let root = root.unwrap_or_else(|| DEFAULT_ROOT.to_owned());
    let segments: Vec<_> = root.split('/').collect();
    if !segments.len().is_multiple_of(2) || !segments.iter().all(|segment| is_segment(segment)) {
        fields.refuse(
            "root",
            format!("has to be the path of a document, for example {DEFAULT_ROOT}"),
        );
    }
    let layouts = [("record", Layout::Record), ("terra", Layout::Terra)];
    let layout = fields.choice("layout", &layouts, Layout::Record);
    let opened = Google::read(&mut fields, context, ADDRESS, SCOPE);
    let project = project_id.or_else(|| opened.as_ref()?.project_id.clone());
    let project = project.unwrap_or_else(|| {
        fields.refuse(
            "project_id",
            "is missing: the id of the Google Cloud project",
        );
        String::new()
    });
    let rule =
        "6 to 30 lower-case letters, digits and hyphens, with a letter first and no hyphen last";
    fields.keep_to("project_id", &project, rule, is_project);
    if !is_segment(&database) {
        fields.refuse("database_id", "is no id that Google gives");
    }
    fields.finish()?;
    let opened =
        opened.ok_or_else(|| Refused::new(KindName::Firestore, "endpoint", "cannot be used"))?;
    Ok(Firestore {
        google: opened.google,
        base: opened.base,
        parent: format!("projects/{project}/databases/{database}/documents/{root}"),
        project,
        layout,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_has_an_id_that_google_gives() {
        for id in ["my-app", "app-123456", "example.com:my-app"] {
            assert!(is_project(id), "{id}");
        }
        let long = "a".repeat(31);
        for id in [
            "my/app",
            "../..",
            "my-ap",
            "1-my-app",
            "my-app-",
            "My-App",
            "/x:my-app",
            &long,
        ] {
            assert!(!is_project(id), "{id}");
        }
    }
}
