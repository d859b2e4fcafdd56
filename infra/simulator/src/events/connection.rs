//! Events about connections: they begin, fail, change and end.

use serde_json::Value;

use super::Envelope;
use crate::{Webhook, World, people::Connection};

impl World {
    /// `auth`: the user has connected.
    pub fn auth(&mut self, connection: &Connection) -> Webhook {
        let widget_session = self.dice.chance(0.5).then(|| self.dice.uuid());
        let envelope = Envelope::new("auth")
            .with("status", "success")
            .with("message", "User has successfully authenticated")
            .with("user", connection.user(self.now()))
            .with("reference_id", connection.reference_id.clone())
            .with("widget_session_id", widget_session)
            .with("flow_id", self.dice.uuid())
            .with_version();
        self.mint(envelope, Some(&connection.terra_user_id))
    }

    /// `auth` in its old form for a failure: status `error`, and no connection comes of it.
    pub fn auth_failed(&mut self, connection: &Connection) -> Webhook {
        let envelope = Envelope::new("auth")
            .with("status", "error")
            .with("user", connection.user(self.now()))
            .with(
                "message",
                "User failed to authenticate and has been deleted",
            )
            .with("reason", "missing_scopes")
            .with("reference_id", connection.reference_id.clone())
            .with_version();
        self.mint(envelope, Some(&connection.terra_user_id))
    }

    /// `auth_cancelled`: the user turned back.
    pub fn auth_cancelled(&mut self, reference_id: Option<&str>) -> Webhook {
        let envelope = Envelope::new("auth_cancelled")
            .with("status", "error")
            .with("flow_id", self.dice.uuid())
            .with("reason", "access_denied")
            .with("reference_id", reference_id.map(str::to_owned));
        self.mint(envelope, None)
    }

    /// `deauth`: the connection is over. It is inactive from here on.
    pub fn deauth(&mut self, connection: &Connection) -> Webhook {
        self.end(connection, "deauth", "success", "User has deauthenticated")
    }

    /// `access_revoked`: the user withdrew access at the provider. It is inactive from here on.
    pub fn access_revoked(&mut self, connection: &Connection) -> Webhook {
        self.end(
            connection,
            "access_revoked",
            "warning",
            "User revoked access",
        )
    }

    fn end(
        &mut self,
        connection: &Connection,
        event_type: &str,
        status: &str,
        message: &str,
    ) -> Webhook {
        let ended = Connection {
            active: false,
            ..connection.clone()
        };
        self.replace(&ended);
        self.about(&ended, event_type, status, message)
    }

    /// `connection_error`: the provider refuses at the moment, perhaps for good.
    pub fn connection_error(&mut self, connection: &Connection) -> Webhook {
        self.about(
            connection,
            "connection_error",
            "warning",
            "User needs to reauthenticate",
        )
    }

    /// `google_no_datasource`: connected, but there is nothing to read.
    pub fn google_no_datasource(&mut self, connection: &Connection) -> Webhook {
        let message = "User does not have any datasource";
        self.about(connection, "google_no_datasource", "warning", message)
    }

    fn about(
        &mut self,
        connection: &Connection,
        event_type: &str,
        status: &str,
        message: &str,
    ) -> Webhook {
        let envelope = Envelope::new(event_type)
            .with("status", status)
            .with("user", connection.user(self.now()))
            .with("message", message);
        let envelope = if self.dice.chance(0.7) {
            envelope.with_version()
        } else {
            envelope
        };
        self.mint(envelope, Some(&connection.terra_user_id))
    }

    /// `permission_change`: scopes were added or removed, each a comma-separated list or empty.
    pub fn permission_change(
        &mut self,
        connection: &Connection,
        added: &str,
        removed: &str,
    ) -> Webhook {
        let before = connection.scopes.clone().unwrap_or_default();
        let now_granted: Vec<&str> = before
            .split(',')
            .chain(added.split(','))
            .map(str::trim)
            .filter(|scope| {
                !scope.is_empty() && !removed.split(',').any(|gone| gone.trim() == *scope)
            })
            .collect();
        let changed = Connection {
            scopes: Some(now_granted.join(",")),
            ..connection.clone()
        };
        self.replace(&changed);
        let envelope = Envelope::new("permission_change")
            .with("status", "warning")
            .with("user", changed.user(self.now()))
            .with("message", "User permissions have been modified")
            .with_version()
            .with("scopes_added", added)
            .with("scopes_removed", removed);
        self.mint(envelope, Some(&changed.terra_user_id))
    }

    /// `user_reauth`: `new` takes the place of `old`; without `old` nothing can be swapped.
    pub fn user_reauth(&mut self, old: Option<&Connection>, new: &Connection) -> Webhook {
        let now = self.now();
        let old = old.map_or(Value::Null, |old| old.user(now));
        self.reauth_event(old, new.user(now), new)
    }

    /// `user_reauth` with users of two fields, as one of Terra's guides shows it: not valid by the
    /// schema, which requires `provider`.
    pub fn user_reauth_short(&mut self, old: &Connection, new: &Connection) -> Webhook {
        self.reauth_event(old.short_user(), new.short_user(), new)
    }

    fn reauth_event(&mut self, old_user: Value, new_user: Value, new: &Connection) -> Webhook {
        let envelope = Envelope::new("user_reauth")
            .with("status", "warning")
            .with("old_user", old_user)
            .with("new_user", new_user)
            .with(
                "message",
                "User has reauthenticated and old ID has been deleted",
            )
            .with_version();
        self.mint(envelope, Some(&new.terra_user_id))
    }
}
