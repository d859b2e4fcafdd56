//! One person in the archive: the key that hides ids, the ids that a webhook names, the
//! webhooks of a person in a segment.

use std::collections::BTreeSet;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use models::{
    gzip,
    headers::TerraHeaders,
    ids::{ReferenceId, TerraUserId, hex},
};
use object_store::{
    ObjectStore as _, ObjectStoreExt as _, PutMode, PutPayload, UpdateVersion, path::Path,
};
use serde_json::Value;
use sha2::Sha256;

use super::{
    Archive, ArchiveError, MAX_BODY_BYTES, SegmentKey, WebhookHeader, frame, frame::Fault,
};

/// The object that holds the key.
const KEY: &str = "erasures/key";
const KEY_BYTES: usize = 32;
/// Folder of bodies that destinations get a link to.
pub(super) const OUTBOX: &str = "outbox";

/// The key of a deployment under which ids of people are hashed where they must be recognised and must not be
/// read: in tombstones, in the journal and in the index of the archive. It lies in the archive, so that it outlives a
/// restore of the table.
#[derive(Clone)]
pub struct PersonKey(Bytes);

impl std::fmt::Debug for PersonKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PersonKey(…)")
    }
}

/// Keyed hash of one id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag([u8; 32]);

impl Tag {
    /// Lower-case hexadecimal.
    pub fn text(&self) -> String {
        hex(&self.0)
    }

    /// The first bytes, which suffice where a mistake costs a read.
    pub(super) fn short(&self) -> [u8; 8] {
        self.0.first_chunk().copied().unwrap_or_default()
    }
}

impl PersonKey {
    /// Hashes a reference id.
    pub fn reference(&self, id: &ReferenceId) -> Tag {
        self.tag(b"reference\0", id.as_str())
    }

    /// Hashes a Terra user id.
    pub fn terra_user(&self, id: &str) -> Tag {
        self.tag(b"terra\0", id)
    }

    /// Hashes the name of an owner of records.
    pub fn owner(&self, name: &str) -> Tag {
        self.tag(b"owner\0", name)
    }

    fn tag(&self, kind: &[u8], text: &str) -> Tag {
        // Every length is a key of an HMAC.
        let keyed = Hmac::<Sha256>::new_from_slice(&self.0).ok();
        let bytes = keyed.map(|mut keyed| {
            keyed.update(kind);
            keyed.update(text.as_bytes());
            keyed.finalize().into_bytes().into()
        });
        Tag(bytes.unwrap_or_default())
    }
}

/// Ids that a webhook names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// Terra user ids.
    pub users: BTreeSet<String>,
    /// Reference ids.
    pub references: BTreeSet<ReferenceId>,
}

impl Named {
    /// Finds the ids that a body names anywhere: the values of `user_id` and `reference_id`. A body that is no JSON
    /// names nobody.
    pub fn in_body(body: &[u8]) -> Self {
        let unpacked = gzip::is_gzip(body).then(|| gzip::unpack(body, MAX_BODY_BYTES).ok());
        let unpacked = unpacked.flatten();
        let body = unpacked.as_deref().unwrap_or(body);
        let mut named = Self::default();
        // Half an emoji, which serde refuses, hides nobody.
        let text = String::from_utf8_lossy(body);
        match serde_json::from_str::<Value>(&text) {
            Ok(json) => named.read(&json),
            Err(_) => {
                if let Ok(json) = serde_json::from_str::<Value>(&without_surrogates(&text)) {
                    named.read(&json);
                }
            }
        }
        named
    }

    fn read(&mut self, json: &Value) {
        match json {
            Value::Object(map) => {
                for (name, value) in map {
                    match (name.as_str(), value) {
                        ("reference_id", value) => {
                            self.references.extend(ReferenceId::from_json(value));
                        }
                        ("user_id", Value::String(id)) => drop(self.users.insert(id.clone())),
                        _ => {}
                    }
                    self.read(value);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.read(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// Takes escapes of surrogates out of a JSON text: one that has no partner makes the text unreadable.
fn without_surrogates(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\u") {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let code = escape
            .get(2..6)
            .and_then(|code| u32::from_str_radix(code, 16).ok());
        let is_surrogate = matches!(code, Some(0xD800..=0xDFFF));
        if !is_surrogate {
            out.push_str("\\u");
        }
        let length = if is_surrogate { 6 } else { 2 };
        rest = escape.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// A person as the archive knows people.
#[derive(Clone, Default)]
pub struct ArchivedPerson {
    /// Every Terra user id of theirs.
    pub users: BTreeSet<TerraUserId>,
    /// Their reference id, when everything under it is theirs.
    pub reference: Option<ReferenceId>,
}

impl std::fmt::Debug for ArchivedPerson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ArchivedPerson(…)")
    }
}

impl ArchivedPerson {
    /// The keyed hashes of all ids.
    pub fn tags(&self, key: &PersonKey) -> Vec<Tag> {
        let users = self.users.iter().map(|id| key.terra_user(id.as_str()));
        let reference = self.reference.iter().map(|id| key.reference(id));
        users.chain(reference).collect()
    }

    /// Returns whether any of these ids is theirs.
    pub fn is_named(&self, named: &Named) -> bool {
        let is_user = |id: &String| TerraUserId::new(id).is_some_and(|id| self.users.contains(&id));
        named.users.iter().any(is_user)
            || self
                .reference
                .as_ref()
                .is_some_and(|id| named.references.contains(id))
    }
}

/// A webhook of a segment, as an erasure sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighted {
    /// Its name.
    pub webhook_id: String,
    /// Reference of the request that it answers, as the header has it.
    pub reference: Option<String>,
    /// True if it was erased before.
    pub is_erased: bool,
    /// True if it is the person's.
    pub is_theirs: bool,
}

/// A segment that was looked at for one person.
#[derive(Debug)]
pub struct Seen {
    /// Its webhooks.
    pub webhooks: Vec<Sighted>,
    pub(super) bytes: Bytes,
    pub(super) version: UpdateVersion,
}

/// One webhook of a segment in memory.
pub(super) struct Whole<'a> {
    pub(super) header: WebhookHeader,
    frames: &'a [u8],
}

impl Whole<'_> {
    /// The ids that the webhook names: those in its header, or else those in its body.
    pub(super) fn named(&self) -> Named {
        if !self.header.terra_user_ids.is_empty() {
            return Named {
                users: self.header.terra_user_ids.iter().cloned().collect(),
                references: BTreeSet::new(),
            };
        }
        // A damaged body names nobody that could be read.
        match frame::decode(self.frames) {
            Ok(body) => Named::in_body(&body),
            Err(_) => Named::default(),
        }
    }
}

/// Splits a whole segment into its webhooks.
pub(super) fn webhooks(segment: &[u8]) -> Result<Vec<Whole<'_>>, Fault> {
    let mut found = Vec::new();
    let mut rest = segment;
    while !rest.is_empty() {
        let (header, tail) = frame::split_header(rest)?;
        let (frames, tail) = usize::try_from(header.frames_bytes)
            .ok()
            .and_then(|length| tail.split_at_checked(length))
            .ok_or(Fault::Corrupt("it ends within a webhook"))?;
        found.push(Whole { header, frames });
        rest = tail;
    }
    Ok(found)
}

impl Archive {
    /// The key under which ids are hashed; made when there is none.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unavailable`] when the store does not answer.
    pub async fn person_key(&self) -> Result<PersonKey, ArchiveError> {
        if let Some(key) = self.known_person_key().await? {
            return Ok(key);
        }
        let bytes: [u8; KEY_BYTES] = rand::random();
        let payload = PutPayload::from(bytes.to_vec());
        let path = Path::from(KEY);
        let put = self.store.put_opts(&path, payload, PutMode::Create.into());
        match put.await {
            // Somebody else may have made one at the same moment.
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(ArchiveError::of_write("write", KEY, error)),
        }
        let key = self.known_person_key().await?;
        key.ok_or_else(|| ArchiveError::NotFound {
            operation: "read",
            key: KEY.to_owned(),
        })
    }

    /// The key, if there is one: without it nobody was ever erased.
    ///
    /// # Errors
    ///
    /// Those of [`person_key`](Self::person_key).
    pub async fn known_person_key(&self) -> Result<Option<PersonKey>, ArchiveError> {
        if let Some(key) = self.key.get() {
            return Ok(Some(key.clone()));
        }
        match self.read_whole("read", KEY, &Path::from(KEY)).await {
            Ok((bytes, _)) => Ok(Some(
                self.key
                    .get_or_init(async || PersonKey(bytes))
                    .await
                    .clone(),
            )),
            Err(ArchiveError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Looks at every webhook of a segment for one person. One read.
    ///
    /// # Errors
    ///
    /// Those of [`webhooks_in`](Self::webhooks_in).
    pub async fn sight(
        &self,
        segment: &SegmentKey,
        person: &ArchivedPerson,
    ) -> Result<Seen, ArchiveError> {
        let (bytes, version) = self
            .read_whole("read", segment.as_str(), &segment.path())
            .await?;
        let webhooks = webhooks(&bytes).map_err(|fault| fault.about(segment.as_str()))?;
        let sighted = webhooks.into_iter().map(|webhook| {
            let is_erased = webhook.header.erased_at.is_some();
            let headers = webhook.header.headers.iter();
            let headers = headers.map(|(name, value)| (name.as_str(), value.as_bytes()));
            let headers = TerraHeaders::from_pairs(headers);
            Sighted {
                is_theirs: !is_erased && person.is_named(&webhook.named()),
                reference: headers.reference().map(str::to_owned),
                webhook_id: webhook.header.webhook_id,
                is_erased,
            }
        });
        let webhooks = sighted.collect();
        Ok(Seen {
            webhooks,
            bytes,
            version,
        })
    }

    /// Removes what waits in the inbox and names a person. Returns the number of bodies.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unavailable`] when the store does not answer.
    pub async fn erase_inbox(&self, person: &ArchivedPerson) -> Result<usize, ArchiveError> {
        let mut erased = 0;
        for (path, _) in self.listed("inbox").await? {
            let bytes = match self.read_whole("read", path.as_ref(), &path).await {
                Ok((bytes, _)) => bytes,
                // The router has just taken it.
                Err(ArchiveError::NotFound { .. }) => continue,
                Err(error) => return Err(error),
            };
            let Ok(body) = frame::decode(&bytes) else {
                continue;
            };
            if person.is_named(&Named::in_body(&body)) {
                self.remove(&path).await?;
                erased += 1;
            }
        }
        Ok(erased)
    }

    /// Removes bodies of these owners that were lent to destinations. Returns the number of bodies.
    ///
    /// # Errors
    ///
    /// Those of [`erase_inbox`](Self::erase_inbox).
    pub async fn erase_outbox(&self, owners: &BTreeSet<String>) -> Result<usize, ArchiveError> {
        let mut erased = 0;
        for owner in owners {
            for (path, _) in self.listed(&format!("{OUTBOX}/{owner}")).await? {
                self.remove(&path).await?;
                erased += 1;
            }
        }
        Ok(erased)
    }

    /// Removes an object that is no segment, if it is there.
    pub(super) async fn remove(&self, path: &Path) -> Result<(), ArchiveError> {
        match self.store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(ArchiveError::of_write("delete", path.as_ref(), error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_names_people_wherever_their_ids_stand() {
        let ann = ReferenceId::new("ann").unwrap();
        let person = ArchivedPerson {
            users: TerraUserId::new("u-1").into_iter().collect(),
            reference: Some(ann),
        };
        let names = |body: &[u8]| person.is_named(&Named::in_body(body));
        assert!(names(br#"{"data":[{"reference_id":"ann","x":1}]}"#));
        assert!(names(br#"{"type":"s3_payload","user":{"user_id":"u-1"}}"#));
        assert!(!names(br#"{"data":[{"reference_id":"bob","note":"ann"}]}"#));
        assert!(!names(b"ann"));
        // Half an emoji beside it hides nobody.
        assert!(names(br#"{"data":{"reference_id":"ann","name":"\ud83d"}}"#));
        assert!(names(
            br#"{"name":"\ud83d\u00e9 \\u","data":{"user_id":"u-1"}}"#
        ));
        let number = ArchivedPerson {
            reference: ReferenceId::new("48213"),
            ..ArchivedPerson::default()
        };
        assert!(number.is_named(&Named::in_body(br#"{"data":{"reference_id":48213}}"#)));
    }
}
