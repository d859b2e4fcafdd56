//! A person's profile at the provider.

use serde_json::{Value, json};

use crate::{dice::Dice, people::Connection};

/// The `athlete` object. Everything in it is invented.
pub(crate) fn profile(connection: &Connection, dice: &mut Dice) -> Value {
    let born = dice.whole(1_962, 2_006);
    let sex = dice.one_of(&["female", "male"]);
    json!({
        "age": 2_026 - born,
        "country": dice.one_of(&["DE", "CH", "GB", "US", "NO"]),
        "bio": null,
        "state": null,
        "last_name": dice.one_of(&["Muster", "Example", "Sample", "Beispiel"]),
        "sex": sex,
        "city": dice.one_of(&["Zürich", "Tromsø", "Köln", "Boulder"]),
        "email": null,
        "date_of_birth": format!("{born}-{:02}-{:02}", dice.whole(1, 12), dice.whole(1, 28)),
        "first_name": dice.one_of(&["Alex", "Robin", "Kim", "Noa"]),
        "gender": sex,
        "account_creation_date": "2019-04-02",
        "provider_user_id": format!("{}", connection.account),
    })
}
