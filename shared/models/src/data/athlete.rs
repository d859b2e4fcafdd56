//! The wearer's profile.

use crate::lenient::{Number, Text, terra_object};

terra_object! {
    /// The profile of the person behind a connection: personal data throughout. One per connection.
    ///
    /// Schema: `Athlete.yaml`.
    pub struct Athlete<'a> {
        /// Age. Unit: years.
        age: Number,
        /// Country.
        country: Text<'a>,
        /// Text about oneself.
        bio: Text<'a>,
        /// State or region.
        state: Text<'a>,
        /// Family name.
        last_name: Text<'a>,
        /// Sex.
        sex: Text<'a>,
        /// City.
        city: Text<'a>,
        /// E-mail address.
        email: Text<'a>,
        /// Date of birth, `YYYY-MM-DD`.
        date_of_birth: Text<'a>,
        /// Given name.
        first_name: Text<'a>,
        /// Gender.
        gender: Text<'a>,
        /// Day on which the account at the provider was made, `YYYY-MM-DD`.
        account_creation_date: Text<'a>,
        /// The person's id at the provider.
        provider_user_id: Text<'a>,
    }
}
