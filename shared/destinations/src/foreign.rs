//! Records in the formats of others: bundles of FHIR, FIT files.

#[cfg(feature = "formats")]
mod made {
    use formats::{
        fhir::{self, BundleKind, Input, NO_SERVER, Options, Person},
        fit::{self, FitError},
    };
    use models::data::DataType;

    use crate::{
        change::{RecordState, Source},
        envelope::{Payload, not_json},
        kind::Fault,
    };

    /// Owner of a person's lab reports in the ids of resources: as `terrarium export` has it, so that both
    /// give a report one id.
    const PERSON: &str = "person";

    /// A record as a bundle of FHIR R4: empty for what holds no observation.
    pub(crate) fn bundle(source: &Source, state: &RecordState) -> Result<Payload, Fault> {
        let person = match &source.reference_id {
            Some(id) => Person::with_reference_id(id.as_str()),
            None => Person::with_owner_id(source.owner.as_str()),
        };
        let input = Input {
            data_type: state.data_type,
            owner: if source.owner.is_person() {
                PERSON
            } else {
                source.owner.as_str()
            },
            key: &state.key,
            provider: source.provider.as_ref().map(models::ids::Provider::as_str),
            retracted: state.retracted,
            record: &state.record,
        };
        let resources = fhir::resources(&input, &person, Options::default());
        let resources = resources.map_err(|_| not_json())?;
        Ok(Payload {
            content_type: fhir::CONTENT_TYPE,
            extension: "json",
            bytes: fhir::bundle(BundleKind::Collection, &resources, NO_SERVER).into(),
        })
    }

    /// An activity as a FIT file. `None` for what has none.
    pub(crate) fn file(state: &RecordState) -> Result<Option<Payload>, Fault> {
        if state.data_type != DataType::Activity || state.retracted {
            return Ok(None);
        }
        match fit::file(&state.record, &[]) {
            Ok(file) => Ok(Some(Payload {
                content_type: fit::CONTENT_TYPE,
                extension: "fit",
                bytes: file.into(),
            })),
            Err(FitError::Deleted | FitError::NoStartTime | FitError::StartOutOfRange) => Ok(None),
            Err(FitError::NoObject(_)) => Err(not_json()),
            Err(_) => Err(Fault::Rejected {
                reason: "the activity cannot be written as a FIT file".to_owned(),
                code: None,
            }),
        }
    }
}

/// Stands in for the formats where they are not part of the program: settings that name one are refused.
#[cfg(not(feature = "formats"))]
mod made {
    use crate::{
        change::{RecordState, Source},
        envelope::Payload,
        kind::Fault,
    };

    pub(crate) fn bundle(_: &Source, _: &RecordState) -> Result<Payload, Fault> {
        Err(Fault::misconfigured("this program makes no FHIR bundles"))
    }

    pub(crate) fn file(_: &RecordState) -> Result<Option<Payload>, Fault> {
        Err(Fault::misconfigured("this program makes no FIT files"))
    }
}

pub(crate) use made::{bundle, file};
