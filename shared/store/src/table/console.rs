//! Items of the console: sign-in links and sessions, each under the hash of its token.

use domain::console::{LONGEST_MS, Session, SignIn};

use super::{
    Table, TableError,
    destinations::{decode, encode},
    key::Key,
    ledger::expire,
};

impl Table {
    /// Keeps a sign-in link.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn add_sign_in(&self, hash: &str, sign_in: &SignIn) -> Result<(), TableError> {
        let key = Key::sign_in(hash);
        let mut item = encode(sign_in);
        expire(&mut item, sign_in.expires_at_ms, 0);
        self.put(&key, super::stamped(&key, item, None), "write")
            .await
    }

    /// Returns a sign-in link, used or not.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when the item
    /// cannot be read.
    pub async fn sign_in(&self, hash: &str) -> Result<Option<SignIn>, TableError> {
        let stored = self.state_of(&Key::sign_in(hash)).await?;
        Ok(stored.map(|stored| stored.state))
    }

    /// Takes a sign-in link away. Of several callers at once only one gets it.
    ///
    /// # Errors
    ///
    /// Those of [`Table::sign_in`].
    pub async fn take_sign_in(&self, hash: &str) -> Result<Option<SignIn>, TableError> {
        let key = Key::sign_in(hash);
        let Some(stored) = self.state_of::<SignIn>(&key).await? else {
            return Ok(None);
        };
        let is_ours = self.delete_if(&key, stored.revision).await?;
        Ok(is_ours.then_some(stored.state))
    }

    /// Keeps a session, new or changed.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn put_console_session(
        &self,
        hash: &str,
        session: &Session,
    ) -> Result<(), TableError> {
        let key = Key::console_session(hash);
        let mut item = encode(session);
        expire(&mut item, session.began_at_ms, LONGEST_MS / 1000);
        self.put(&key, super::stamped(&key, item, None), "write")
            .await
    }

    /// Moves the end of a session, unless it was signed out meanwhile.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn move_console_session(
        &self,
        hash: &str,
        session: &Session,
    ) -> Result<(), TableError> {
        let key = Key::console_session(hash);
        let Some(stored) = self.state_of::<Session>(&key).await? else {
            return Ok(());
        };
        let mut item = encode(session);
        expire(&mut item, session.began_at_ms, LONGEST_MS / 1000);
        // Whoever wrote first moved it as well, or signed out.
        let moved = self.put_if(&key, item, Some(stored.revision)).await;
        moved.map(|_| ())
    }

    /// Returns a session, ended or not.
    ///
    /// # Errors
    ///
    /// Those of [`Table::sign_in`].
    pub async fn console_session(&self, hash: &str) -> Result<Option<Session>, TableError> {
        let key = Key::console_session(hash);
        // Read as it is now: who signed out is out at once.
        let item = self.get(&key).await?;
        item.map(|item| decode(&key, item)).transpose()
    }

    /// Returns all sessions with the hashes of their tokens, also those that ended a while ago.
    ///
    /// # Errors
    ///
    /// Those of [`Table::sign_in`].
    pub async fn console_sessions(&self) -> Result<Vec<(String, Session)>, TableError> {
        let (pk, prefix) = Key::console_sessions();
        let mut sessions = Vec::new();
        for item in self.query(pk, prefix).await? {
            let Some(key) = Key::of_item(&item) else {
                continue;
            };
            if let Some(hash) = key.as_console_session() {
                sessions.push((hash.to_owned(), decode(&key, item)?));
            }
        }
        Ok(sessions)
    }

    /// Ends a session.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn end_console_session(&self, hash: &str) -> Result<(), TableError> {
        self.delete(&Key::console_session(hash)).await
    }
}
