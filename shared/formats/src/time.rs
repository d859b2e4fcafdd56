//! Times as Terra sends them.

use jiff::{
    Timestamp,
    civil::DateTime,
    fmt::temporal::{Pieces, PiecesOffset},
    tz::Offset,
};

/// A time of a record: the wearer's wall time and, where the provider gives one, its offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) wall: DateTime,
    pub(crate) offset: Option<Offset>,
}

impl Moment {
    /// Reads an ISO 8601 time; `None` where the text holds no time of day.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let pieces = Pieces::parse(text.trim()).ok()?;
        let offset = pieces.offset().map(|offset| match offset {
            PiecesOffset::Numeric(offset) => offset.offset(),
            _ => Offset::UTC,
        });
        Some(Self {
            wall: pieces.date().to_datetime(pieces.time()?),
            offset,
        })
    }

    /// The instant. A time without an offset is taken for UTC.
    pub(crate) fn instant(self) -> Option<Timestamp> {
        self.offset
            .unwrap_or(Offset::UTC)
            .to_timestamp(self.wall)
            .ok()
    }
}

/// The instant of a text of Terra.
pub(crate) fn instant(text: Option<&str>) -> Option<Timestamp> {
    Moment::read(text?)?.instant()
}
