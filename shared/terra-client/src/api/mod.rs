//! Terra's HTTP API: the calls that Terrarium makes (FACTS sections 1 to 6).
//!
//! Answers are told apart by what is in them, not by their status or `type`, because Terra's older
//! and newer forms differ in both. Data come back as the exact bytes of the answer, to go the same
//! road as a webhook. Every failure says what to do about it: see [`TerraError`].
//!
//! The client keeps Terra's limits by itself, in memory, and says how long to wait before it breaks
//! one; it waits and repeats only for seconds. No id, key, body or URL of a call gets into errors
//! or logs.

mod answer;
mod authentication;
mod call;
mod data;
mod error;
mod fault;
mod forward;
mod integrations;
mod lab_reports;
mod limiter;
mod planned_workouts;
mod range;
mod settings;
mod transport;
mod users;
mod wait;

use std::{fmt, sync::Arc};

use reqwest::Url;

use self::transport::Transport;
pub use self::{
    authentication::{
        AuthenticationLink, ConnectOptions, Deauthenticated, MobileToken, WidgetSession,
    },
    data::{Accepted, DataAnswer, DataRequest, Payload, Samples, Via},
    error::{
        Gone, InvalidSettings, Limit, Malformed, TerraError, TooMuch, Unreachable, Unsupported,
    },
    forward::{Forward, Forwarded},
    integrations::{Catalogue, Integration, Integrations},
    lab_reports::{LabReportFilter, LabReportSession, LabReports},
    planned_workouts::PlannedWorkouts,
    range::{DateRange, InvalidRange},
    settings::{BaseUrl, Bounds, InvalidBaseUrl, Retries, Settings, Timeouts, WidgetAddress},
    transport::Jitter,
    users::{DEFAULT_PER_PAGE, UserInfo, UserPage, UserRecord, Users},
    wait::RateLimit,
};

/// Asks Terra; cheap to clone, and clones share their connections and their limits.
#[derive(Clone)]
pub struct TerraClient(Arc<Inner>);

struct Inner {
    transport: Transport,
    bases: Bases,
    bounds: Bounds,
    widget_address: WidgetAddress,
}

/// Addresses that calls start from.
struct Bases {
    api: Base,
    former_api: Base,
    widget: Base,
}

/// A checked base URL.
struct Base(Url);

impl Base {
    /// The URL of a call: `segments` below the base and the query, all of it escaped.
    fn call<'a>(&self, segments: impl IntoIterator<Item = &'a str>, query: &[(&str, &str)]) -> Url {
        let mut url = self.0.clone();
        // Cannot fail: a URL with a host has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

impl TerraClient {
    /// A client with its own connections. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`InvalidSettings`] when an address, a header or the TLS of this machine cannot be used.
    pub fn new(settings: &Settings, jitter: Jitter) -> Result<Self, InvalidSettings> {
        Ok(Self(Arc::new(Inner {
            transport: Transport::new(settings, jitter)?,
            bases: Bases {
                api: Base(settings.base_url.to_url()?),
                former_api: Base(settings.former_base_url.to_url()?),
                widget: Base(settings.widget_base_url.to_url()?),
            },
            bounds: settings.bounds,
            widget_address: settings.widget_address,
        })))
    }

    fn transport(&self) -> &Transport {
        &self.0.transport
    }

    fn bases(&self) -> &Bases {
        &self.0.bases
    }

    fn bounds(&self) -> Bounds {
        self.0.bounds
    }

    fn widget_address(&self) -> WidgetAddress {
        self.0.widget_address
    }

    fn url<'a>(&self, segments: impl IntoIterator<Item = &'a str>, query: &[(&str, &str)]) -> Url {
        self.bases().api.call(segments, query)
    }
}

impl fmt::Debug for TerraClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TerraClient")
            .field("host", &self.bases().api.0.host_str())
            .finish_non_exhaustive()
    }
}
