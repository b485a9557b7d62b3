//! Identifiers: UUIDs, version 7, so that keys made later sort later (RFC 9562).

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

/// A version 7 UUID for the moment `at` with ten bytes of `random`.
///
/// Moments before 1970 count as 1970.
#[must_use]
pub fn uuid_v7(at: DateTime<Utc>, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// An id for something made at `at`.
            #[must_use]
            pub fn new(at: DateTime<Utc>, random: [u8; 10]) -> Self {
                Self(uuid_v7(at, random))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+};
}

ids! {
    /// A person of the organization, with or without an ERP record.
    EmployeeId
    /// A unit of the organization (department, team).
    UnitId
    /// A connection to an ERP system.
    SourceId
    /// One run of a source.
    RunId
    /// A conversation, direct or group.
    ConversationId
    /// A message in a conversation.
    MessageId
    /// A review: a superior's stated, limited look at somebody's words.
    ReviewId
    /// A correction of a value that somebody proposed.
    CorrectionId
    /// A time in which somebody stands in for a superior.
    DelegationId
    /// A client of the organization.
    ClientId
    /// Something that a client asked for.
    TicketId
    /// That somebody may see clients' records.
    ClientGrantId
    /// A signed-in browser or an issued token.
    SessionId
}
