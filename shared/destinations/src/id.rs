//! Names that stay the same however often a record is delivered.

use std::{fmt, str::FromStr};

use domain::{connection::ConnectionId, key::NaturalKey, owner::RecordOwner};
use models::{
    data::DataType,
    ids::{ReferenceId, hex},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Connection or person that owns a record, as a destination sees it.
///
/// A connection keeps its own id. A person without a connection is `person_` and 32 hexadecimal
/// digits of a hash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OwnerId(String);

impl OwnerId {
    /// The owner of a record.
    pub fn of(owner: &RecordOwner) -> Self {
        Self(owner.name())
    }

    /// A connection.
    pub fn connection(id: &ConnectionId) -> Self {
        Self(id.as_str().to_owned())
    }

    /// A person without a connection: lab reports name a reference id at most.
    pub fn person(reference_id: Option<&ReferenceId>) -> Self {
        Self::of(&RecordOwner::Person(reference_id.cloned()))
    }

    /// Returns whether the owner is a person without a connection.
    pub fn is_person(&self) -> bool {
        self.0.starts_with(RecordOwner::PERSON)
    }

    /// The text: at most 39 characters of `a-z`, `0-9` and `_`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Name of a record at every destination: 32 hexadecimal digits.
///
/// A hash, because a natural key can have 513 bytes of any characters: too long for an index of
/// MySQL, and not fit for the name of an object or a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordId(String);

/// The text is not a record id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record id is 32 hexadecimal digits")]
pub struct InvalidRecordId;

impl RecordId {
    /// The record of `owner` with this key.
    pub fn of(owner: &OwnerId, data_type: DataType, key: &NaturalKey) -> Self {
        Self::hashed(owner, data_type.as_str(), &key.to_string())
    }

    /// The row that describes a connection itself.
    pub fn of_connection(owner: &OwnerId) -> Self {
        Self::hashed(owner, "connection", "")
    }

    fn hashed(owner: &OwnerId, data_type: &str, key: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [owner.as_str(), "\0", data_type, "\0", key] {
            hash.update(part);
        }
        Self(first_hex(hash))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RecordId {
    type Err = InvalidRecordId;

    fn from_str(text: &str) -> Result<Self, InvalidRecordId> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let sound = text.len() == 32 && text.bytes().all(digit);
        sound.then(|| Self(text.to_owned())).ok_or(InvalidRecordId)
    }
}

impl TryFrom<String> for RecordId {
    type Error = InvalidRecordId;

    fn try_from(text: String) -> Result<Self, InvalidRecordId> {
        text.parse()
    }
}

impl From<RecordId> for String {
    fn from(id: RecordId) -> Self {
        id.0
    }
}

/// Name of one state of one record on its way to one destination.
///
/// `msg_` and 26 characters of base32, without a dot: the form of a `webhook-id` in Standard
/// Webhooks. The same on every retry and redrive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(String);

impl DeliveryId {
    /// The delivery of `record_id` at `revision`.
    pub fn of(destination_id: &str, record_id: &RecordId, revision: u64) -> Self {
        Self::hashed(&[destination_id, record_id.as_str(), &revision.to_string()])
    }

    /// The delivery of something that is no record, for example a webhook of Terra's by its trace id.
    pub fn of_event(destination_id: &str, event: &str, name: &str) -> Self {
        Self::hashed(&[destination_id, event, name])
    }

    fn hashed(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                hash.update([0]);
            }
            hash.update(part);
        }
        Self(format!("msg_{}", base32(&hash.finalize(), 26)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Number that stands for one record at one revision.
///
/// The sum of these numbers over the records of a connection is equal in the store and at the
/// destination, if both hold the same records at the same revisions. An integer, so that every
/// database sums it exactly.
pub fn checksum(record_id: &RecordId, revision: u64) -> u32 {
    let mut hash = Sha256::new();
    hash.update(record_id.as_str());
    hash.update([0]);
    hash.update(revision.to_string());
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
    u32::from_be_bytes([a, b, c, d])
}

fn first_hex(hash: Sha256) -> String {
    let mut text = hex(&hash.finalize());
    text.truncate(32);
    text
}

/// The first `characters` of the lower-case base32 of `bytes`.
fn base32(bytes: &[u8], characters: usize) -> String {
    const ALPHABET: [char; 32] = [
        'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r',
        's', 't', 'u', 'v', 'w', 'x', 'y', 'z', '2', '3', '4', '5', '6', '7',
    ];
    let bit = |index: usize| {
        let byte = bytes.get(index / 8).copied().unwrap_or_default();
        usize::from(byte >> (7 - index % 8) & 1)
    };
    let character = |place: usize| {
        let value = (0..5).fold(0, |value, offset| value << 1 | bit(place * 5 + offset));
        ALPHABET.get(value).copied().unwrap_or('a')
    };
    (0..characters).map(character).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owner() -> OwnerId {
        OwnerId::connection(&"0123456789abcdef0123456789abcdef".parse().unwrap())
    }

    #[test]
    fn a_record_has_one_name_and_each_part_of_its_key_changes_it() {
        let day = |text: &str| NaturalKey::Day(text.parse().unwrap());
        let id = RecordId::of(&owner(), DataType::Daily, &day("2026-11-20"));
        assert_eq!(
            id,
            RecordId::of(&owner(), DataType::Daily, &day("2026-11-20"))
        );
        assert_ne!(
            id,
            RecordId::of(&owner(), DataType::Body, &day("2026-11-20"))
        );
        assert_ne!(
            id,
            RecordId::of(&owner(), DataType::Daily, &day("2026-11-21"))
        );
        let person = OwnerId::person(ReferenceId::new("ann@example.org").as_ref());
        assert_ne!(
            id,
            RecordId::of(&person, DataType::Daily, &day("2026-11-20"))
        );
        assert!(!person.as_str().contains("ann"));
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
    }

    #[test]
    fn a_delivery_is_named_by_destination_record_and_revision() {
        let record = RecordId::of_connection(&owner());
        let id = DeliveryId::of("dst_1", &record, 7);
        assert_eq!(id.as_str().len(), 30);
        assert!(!id.as_str().contains('.'));
        assert_ne!(id, DeliveryId::of("dst_1", &record, 8));
        assert_ne!(id, DeliveryId::of("dst_2", &record, 7));
    }

    #[test]
    fn base32_is_the_one_of_the_rfc() {
        // RFC 4648, section 10: BASE32("foobar") = "MZXW6YTBOI======".
        assert_eq!(base32(b"foobar", 10), "mzxw6ytboi");
    }

    #[test]
    fn the_checksum_never_changes_its_meaning() {
        // python3: int.from_bytes(sha256(b"0"*32 + b"\0" + b"42").digest()[:4], "big")
        let record: RecordId = "0".repeat(32).parse().unwrap();
        assert_eq!(checksum(&record, 42), 0x1ba7_dd9c);
    }

    proptest! {
        #[test]
        fn any_text_is_a_record_id_or_refused(text in "\\PC*") {
            let sound = text.len() == 32 && text.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
            prop_assert_eq!(text.parse::<RecordId>().is_ok(), sound);
        }
    }
}
