//! The simulator's signature against the published vectors.

use serde_json::Value;

#[test]
fn every_valid_vector_holds_our_signature() {
    let text = include_str!("../../../../shared/models/samples/signature-vectors.json");
    let vectors: Value = serde_json::from_str(text).unwrap();
    let (mut matched, mut identical) = (0, 0);
    for vector in vectors["vectors"].as_array().unwrap() {
        if vector["valid"] != true {
            continue;
        }
        let field = |name: &str| vector[name].as_str().unwrap();
        let body = match field("body_encoding") {
            "base64" => decode_base64(field("body")),
            _ => field("body").as_bytes().to_vec(),
        };
        let header = field("header");
        let elements: Vec<(&str, &str)> = header
            .split(',')
            .filter_map(|element| element.trim().split_once('='))
            .collect();
        // The last `t` counts, and one matching `v1` is enough.
        let time = elements.iter().rfind(|element| element.0 == "t").unwrap().1;
        let ours = simulator::sign(field("secret").as_bytes(), time.parse().unwrap(), &body);
        let code = ours.split_once(",v1=").unwrap().1;
        let mut codes = elements.iter().filter(|element| element.0 == "v1");
        let held = codes.any(|element| element.1.eq_ignore_ascii_case(code));
        assert!(held, "{}: {ours} is not in {header}", field("id"));
        matched += 1;
        identical += usize::from(ours == header);
    }
    assert!(
        matched >= 13 && identical >= 5,
        "{matched} matched, {identical} identical"
    );
}

fn decode_base64(text: &str) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut decoded, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for digit in text.chars().filter_map(|digit| ALPHABET.find(digit)) {
        bits = bits << 6 | u32::try_from(digit).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            decoded.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    decoded
}
