//! The API's operations, from the very table that serves them.

use maud::{Markup, html};

use crate::{
    console::{Place, Reply, guard, layout::Page, visit::Visit},
    route::{Endpoint, Needs, Verb},
    serve::endpoints,
};

pub(super) const PLACES: &[Place] = &[Place {
    verb: Verb::Get,
    path: "/console/api",
    handler: |visit| Box::pin(async move { Ok(manual(&visit)) }),
}];

fn manual(visit: &Visit) -> Reply {
    let scheme = if guard::is_loopback(&visit.host) {
        "http"
    } else {
        "https"
    };
    let root = format!("{scheme}://{}", visit.host);
    let endpoints = endpoints();
    Reply::Page(Page {
        title: "API".to_owned(),
        lead: "Every operation, with who may call it. The whole document is /v1/openapi.json."
            .to_owned(),
        refresh: false,
        body: html! {
            section.card { div.wide tabindex="0" { table {
                thead { tr { th scope="col" { "Operation" } th scope="col" { "Permission" } th scope="col" { "Does" } } }
                tbody { @for endpoint in &endpoints { (row(endpoint, &root)) } }
            } } }
        },
    })
}

fn row(endpoint: &Endpoint, root: &str) -> Markup {
    let needs = match endpoint.route.scope {
        Needs::Nothing => "none".to_owned(),
        Needs::AnyKey => "any key".to_owned(),
        Needs::One(scope) => scope.to_string(),
        Needs::AnyOf(scopes) => {
            let names: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
            names.join(" or ")
        }
    };
    let method = match endpoint.verb {
        Verb::Get => String::new(),
        verb => format!("-X {} ", verb.as_str()),
    };
    let body = endpoint
        .doc
        .body
        .map_or("", |_| "-H 'content-type: application/json' -d '{…}' ");
    html! {
        tr {
            td.any { code { (endpoint.verb.as_str()) " " (endpoint.path) } }
            td.any { (needs) }
            td.any {
                (endpoint.doc.summary)
                details {
                    summary { "Call and parameters" }
                    pre { "curl " (method) "-H \"x-api-key: $KEY\" " (body) "'" (root) (endpoint.path) "'" }
                    @if !endpoint.doc.query.is_empty() {
                        dl { @for param in endpoint.doc.query { dt { code { (param.name) } } dd { (param.doc) } } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_a_row() {
        for endpoint in endpoints() {
            let row = row(&endpoint, "https://api.example.org").into_string();
            assert!(row.contains(endpoint.path), "{endpoint:?}");
        }
    }
}
