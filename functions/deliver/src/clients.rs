//! Open destinations, kept from one message to the next.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use destinations::{
    config::{self, Clock, Context, KindName, Pointers, Refused},
    kind::{Fault, Finding, Kind, Shape},
    net::Network,
};
use domain::delivery::{Destination, DestinationId};
use models::data::DataType;
use runtime::telemetry::Chain;
use tokio::time::Instant;

use crate::vault::{Vault, VaultError};

/// Time that secrets are used before they are read again.
const SECRETS_KEPT: Duration = Duration::from_mins(5);

/// Open destinations.
pub struct Clients {
    vault: Vault,
    clock: crate::Clock,
    /// Our own role, for destinations on AWS without keys of their own.
    aws: Option<aws_types::SdkConfig>,
    /// Keeper of bodies that are too large to be sent.
    pointers: Option<Arc<dyn Pointers>>,
    /// The widest network that any destination may have here.
    widest: Network,
    open: Mutex<HashMap<DestinationId, Client>>,
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

/// An open destination.
#[derive(Clone)]
pub(crate) struct Client {
    /// Definition that it was opened from.
    destination: Destination,
    /// Time at which it was opened.
    pub(crate) at: Instant,
    pub(crate) kind: Arc<dyn Kind>,
    is_prepared: bool,
}

/// A destination that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Its settings are wrong: for the operator.
    #[error("the settings are wrong")]
    Refused(#[from] Refused),
    /// Its secrets cannot be read: for us, or for the operator.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl ClientError {
    /// The fault of a destination that cannot be opened; `Err` where the fault is ours.
    pub(crate) fn into_fault(self) -> Result<Fault, VaultError> {
        match self {
            Self::Refused(refused) => Ok(Fault::misconfigured(refused.to_string())),
            Self::Vault(error) if error.is_operators() => {
                Ok(Fault::misconfigured(Chain(&error).to_string()))
            }
            Self::Vault(error) => Err(error),
        }
    }
}

impl Clients {
    /// Opens destinations with the secrets of `vault`; none gets a wider network than `widest`.
    pub fn new(vault: Vault, clock: crate::Clock, widest: Network) -> Self {
        Self {
            vault,
            clock,
            aws: None,
            pointers: None,
            widest,
            open: Mutex::default(),
        }
    }

    /// Lets destinations on AWS be reached with our own role.
    #[must_use]
    pub fn with_role(mut self, config: aws_types::SdkConfig) -> Self {
        self.aws = Some(config);
        self
    }

    /// Lets bodies that are too large to be sent be linked to.
    #[must_use]
    pub fn with_pointers(mut self, pointers: impl Pointers + 'static) -> Self {
        self.pointers = Some(Arc::new(pointers));
        self
    }

    /// The keeper of secrets.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Opens a destination with given secrets, without keeping it.
    ///
    /// # Errors
    ///
    /// [`Refused`] with everything that is wrong with the settings.
    pub fn open(
        &self,
        destination: &Destination,
        secrets: &config::Secrets,
    ) -> Result<Box<dyn Kind>, Refused> {
        let kind: KindName = destination.kind.parse().map_err(|error| {
            let error: config::UnknownKind = error;
            Refused::new(KindName::Webhook, "kind", error.to_string())
        })?;
        if rank(destination.network) > rank(self.widest) {
            let text = "is wider than this system allows: an operator sets that";
            return Err(Refused::new(kind, "network", text));
        }
        let clock = Arc::clone(&self.clock);
        let clock = Clock::new(move || clock());
        let mut context = Context::new(destination.id.as_str(), destination.network, clock);
        context.aws.clone_from(&self.aws);
        context.pointers.clone_from(&self.pointers);
        config::carries(
            kind,
            &destination.config,
            &destination.subscription.data_types,
        )?;
        config::open(kind, &destination.config, secrets, context)
    }

    /// The open destination, opened now if that is needed.
    pub(crate) async fn get(&self, destination: &Destination) -> Result<Client, ClientError> {
        if let Some(client) = self.kept(destination) {
            return Ok(client);
        }
        let secrets = self.vault.read(&destination.id).await?;
        let kind = self.open(destination, &secrets)?;
        let client = Client {
            destination: destination.clone(),
            at: Instant::now(),
            kind: Arc::from(kind),
            is_prepared: false,
        };
        self.keep(client.clone());
        Ok(client)
    }

    /// Makes the tables of a destination, once for each time that it is opened.
    pub(crate) async fn prepare(&self, client: &mut Client) -> Result<Vec<Finding>, Fault> {
        if client.is_prepared {
            return Ok(Vec::new());
        }
        let chosen = &client.destination.subscription.data_types;
        let data_types: Vec<DataType> = if chosen.is_empty() {
            DataType::ALL.to_vec()
        } else {
            chosen.iter().copied().collect()
        };
        let findings = client.kind.prepare(&Shape { data_types }).await?;
        client.is_prepared = true;
        self.keep(client.clone());
        Ok(findings)
    }

    /// Forgets an open destination: after a fault it is opened anew, with its secrets as they are then.
    pub(crate) fn forget(&self, id: &DestinationId) {
        self.all().remove(id);
    }

    fn kept(&self, destination: &Destination) -> Option<Client> {
        let client = self.all().get(&destination.id).cloned()?;
        let fresh = client.destination == *destination && client.at.elapsed() < SECRETS_KEPT;
        fresh.then_some(client)
    }

    fn keep(&self, client: Client) {
        self.all().insert(client.destination.id.clone(), client);
    }

    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<DestinationId, Client>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rank(network: Network) -> u8 {
    match network {
        Network::Public => 0,
        Network::Private => 1,
        Network::Local => 2,
    }
}
