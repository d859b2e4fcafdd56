//! Terra's signature vectors, each with what the official clients answered.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use models::signature::{SigningSecret, Tolerance, verify};

#[derive(serde::Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

#[derive(serde::Deserialize)]
struct Vector {
    id: String,
    secret: String,
    header: String,
    now: i64,
    tolerance_seconds: u64,
    valid: bool,
    body: String,
    body_encoding: String,
}

#[test]
fn every_vector_is_answered_as_it_says() {
    let text = include_str!("../../shared/models/samples/signature-vectors.json");
    let Vectors { vectors } = serde_json::from_str(text).unwrap();
    assert!(vectors.len() >= 39);
    let mut wrong = Vec::new();
    for vector in vectors {
        let body = match vector.body_encoding.as_str() {
            "base64" => STANDARD.decode(&vector.body).unwrap(),
            _ => vector.body.into_bytes(),
        };
        // An empty secret is none.
        let secrets: Vec<_> = SigningSecret::new("main", &vector.secret)
            .into_iter()
            .collect();
        assert_eq!(secrets.is_empty(), vector.secret.is_empty());
        let tolerance = Tolerance {
            on_time_seconds: vector.tolerance_seconds,
            late_seconds: vector.tolerance_seconds,
        };
        let header = vector.header.as_str();
        let answer = verify(&secrets, [header], &body, vector.now, tolerance);
        if answer.is_ok() != vector.valid {
            wrong.push((vector.id, answer.err()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn any_of_several_secrets_may_match_and_its_name_is_told() {
    let secrets =
        ["old", "new"].map(|name| SigningSecret::new(name, &format!("whsec_{name}")).unwrap());
    let tolerance = Tolerance::default();
    for secret in &secrets {
        let header = secret.sign(1_783_000_000, b"{}");
        let verified = verify(&secrets, [header.as_str()], b"{}", 1_783_000_000, tolerance);
        assert_eq!(verified.unwrap().secret_name(), secret.name());
    }
}
