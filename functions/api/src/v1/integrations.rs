//! Providers: Terra's catalogue, beside the facts that Terrarium goes by.

use std::collections::BTreeMap;

use domain::{
    history::reach::{Fetch, ProviderHistory, Rhythm},
    source::SourceKind,
};
use models::data::DataType;
use runtime::problem::{Kind, Problem};
use terra_client::api::{Forward, Integration};

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    query::{Form, Param},
    route::{Audit, Doc, Endpoint, Needs, PersonToken, Reply, Route},
    schema::{Page, Schema as _, answer},
};

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint::get(
    "/v1/integrations",
    Route {
        scope: Needs::AnyKey,
        person_token: PersonToken::Any,
        audit: Audit::Nothing,
    },
    Doc {
        summary: "Providers, in the order of Terra's list, with what is known of each.",
        text: "Terra's list is at most an hour old. Reach, rhythm and kind of source are what Terrarium plans and \
               chooses by; an unknown provider has those of most others.",
        query: &[Param {
            name: "enabled",
            doc: "Those that the account has enabled, or has not.",
            form: Form::Word(&["true", "false"]),
        }],
        body: None,
        answer: Reply::Json(Page::<IntegrationShown>::schema),
    },
    |call| Box::pin(list(call)),
)
.tagged()];

answer! {
    /// A provider.
    pub(crate) struct IntegrationShown {
        /// Provider, as Terra spells it.
        provider: String,
        /// Name for people.
        name: Option<String>,
        /// Address of an icon of Terra's.
        icon: Option<String>,
        /// True if the account has enabled it; null where Terra does not say.
        enabled: Option<bool>,
        /// Data types that it has, by Terra's list.
        types: Vec<String>,
        /// True if only the app on a phone brings its data: there is nothing to ask for.
        phone_only: bool,
        /// Reach of its past before the connection. Unit: days.
        reach_days: u32,
        /// Shorter reach before the connection, where there is one. Unit: hours.
        reach_before_connection_hours: Option<u32>,
        /// Rhythm of each of its types: `every_day` or `now_and_then`.
        rhythm: BTreeMap<String, &'static str>,
        /// Time after its end in which data of a day may come by themselves. Unit: hours.
        settle_hours: u32,
        /// Time without data after which a connection is reported as quiet. Unit: days.
        quiet_after_days: u32,
        /// Kind of its sources, where the name of a device does not tell another.
        source_kind: &'static str,
    }
}

impl IntegrationShown {
    fn of(integration: Integration) -> Self {
        let history = ProviderHistory::of(&integration.provider);
        let rhythm = |data_type: &DataType| match history.rhythm(*data_type) {
            Rhythm::EveryDay => "every_day",
            Rhythm::NowAndThen => "now_and_then",
        };
        let types = integration.types;
        Self {
            provider: integration.provider.to_string(),
            name: integration.name,
            icon: integration.icon,
            enabled: integration.enabled,
            phone_only: history.fetch == Fetch::Phone,
            reach_days: history.reach_days,
            reach_before_connection_hours: history.reach_before_connection_hours,
            rhythm: types
                .iter()
                .map(|it| (it.to_string(), rhythm(it)))
                .collect(),
            settle_hours: history.settle_hours,
            quiet_after_days: history.quiet_after_days,
            source_kind: SourceKind::of(&integration.provider, None).as_str(),
            types: types.iter().map(ToString::to_string).collect(),
        }
    }
}

async fn list(call: Call) -> Result<Answer, Failure> {
    let mut query = call.query();
    let enabled = query.word("enabled").map(|word| word == "true");
    query.done()?;
    let upstream = &call.app.upstream;
    let phones_too = [("sdk", "true")];
    let answer = upstream.listed(Forward::DetailedIntegrations, &phones_too, call.now_ms());
    let answer = answer.await?;
    let listed = answer.status.is_success();
    let listed = listed.then(|| Integration::listed(&answer.body)).flatten();
    let listed = listed.ok_or_else(|| {
        Problem::new(Kind::Unavailable).detail("Terra's list of providers cannot be read")
    })?;
    let wanted = listed
        .into_iter()
        .filter(|it| enabled.is_none_or(|enabled| it.enabled == Some(enabled)));
    Ok(Answer::json(&Page {
        data: wanted.map(IntegrationShown::of).collect(),
        next_cursor: None,
    })
    .tagged())
}

#[cfg(test)]
mod tests {
    use models::ids::Provider;

    use super::*;

    #[test]
    fn a_provider_of_phones_has_nothing_to_ask_for() {
        let shown = |name: &str| {
            IntegrationShown::of(Integration {
                provider: Provider::new(name).unwrap(),
                name: None,
                icon: None,
                enabled: None,
                types: [DataType::Daily].into(),
            })
        };
        let apple = shown("APPLE");
        assert!(apple.phone_only && apple.source_kind == "aggregator");
        let coros = shown("COROS");
        assert!(!coros.phone_only);
        assert_eq!(
            (coros.reach_days, coros.reach_before_connection_hours),
            (90, Some(24))
        );
        assert_eq!(coros.rhythm, [("daily".to_owned(), "every_day")].into());
    }
}
