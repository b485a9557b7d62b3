//! Reading ERP systems: one trait, one file per vendor.
//!
//! An adapter turns what its system says into [`domain::erp`]'s forms and
//! knows nothing of people here, of rules, or of the database. A record that
//! cannot be read is a [`Fault`] beside the good ones; an [`Error`] is for
//! what ends the whole pull.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use domain::{
    Attribute, Value,
    client::{Client, Ticket},
    erp::{Fault, OrgUnit, Photo, Vacancy, Watermark, Worker},
    mapping::Mapping,
};
use futures::stream::{self, BoxStream, StreamExt as _};
use serde::Serialize;

pub mod csv;
pub mod demo;
mod ldap;
mod mapped;
mod net;
mod odata;
mod odoo;
mod pages;
mod photo_folder;
mod preset;
mod pushed;
mod registry;
mod rest;
mod saml;
mod table;
mod table_folder;
mod tryton;
mod web;
mod words;

pub use csv::CsvFolder;
pub use ldap::Ldap;
pub use mapped::{Preview, preview};
pub use net::{Guard, Limits};
pub use odata::OData;
pub use odoo::Odoo;
pub use preset::{Preset, preset, presets};
pub use pushed::Pushed;
pub use registry::{KINDS, Kind, Setting, check, default_mapping, open, unmapped};
pub use rest::Rest;
pub use table_folder::TableFolder;
pub use tryton::Tryton;

/// Largest photo that is taken from a source, in bytes: 8 MiB.
pub const PHOTO_BYTES: u64 = 8 << 20;

/// A connection to one ERP. All references are the ERP's own ids.
#[async_trait]
pub trait ErpAdapter: Send + Sync + std::fmt::Debug {
    /// Tries the connection: what it is, and what it may and may not read.
    ///
    /// # Errors
    /// When nothing can be read at all.
    async fn probe(&self) -> Result<Probe, Error>;

    /// Every unit and every vacant post; always in full, for a unit can be
    /// renamed without any of its people changing.
    ///
    /// # Errors
    /// See [`Error`].
    async fn units(&self) -> Result<Structure, Error>;

    /// People in pages: those changed since `since`, or everyone.
    ///
    /// The next page is read when it is asked for, so a slow reader holds the
    /// ERP back instead of filling memory. A person who changes during the
    /// pull, or shortly before `since`, may come twice: the later one counts.
    /// A delta can miss what an ERP does not date (a renamed place of work);
    /// a full pull now and then makes it good.
    fn workers(&self, since: Option<Watermark>) -> BoxStream<'_, Result<Page, Error>>;

    /// The ids of everyone who is there, inactive people included: ERPs keep
    /// no list of what was deleted, so whoever is missing here is gone.
    ///
    /// # Errors
    /// See [`Error`].
    async fn worker_ids(&self) -> Result<WorkerIds, Error>;

    /// A worker's photo, or none.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::TooLarge`] over [`PHOTO_BYTES`].
    async fn photo(&self, external_id: &str) -> Result<Option<Photo>, Error>;

    /// The attributes that [`ErpAdapter::write`] can write back; none unless
    /// the adapter says so.
    fn writable(&self) -> &[Attribute] {
        &[]
    }

    /// Writes one value into the source. When it comes back, the source has
    /// taken the value; that it keeps it is seen by the next read alone.
    ///
    /// # Errors
    /// [`Error::Forbidden`] where the rights are missing or the attribute is
    /// not [writable](ErpAdapter::writable); [`Error::Rejected`] with what the
    /// source said; see [`Error`].
    async fn write(
        &self,
        external_id: &str,
        attribute: Attribute,
        value: Option<&Value>,
    ) -> Result<(), Error> {
        let _ = (external_id, value);
        Err(Error::Forbidden {
            what: format!("write {}", attribute.name()),
        })
    }

    /// A few raw records as the mapping sees them, for its preview; empty
    /// where no mapping stands between.
    ///
    /// # Errors
    /// See [`Error`].
    async fn sample(&self, limit: usize) -> Result<Vec<Sample>, Error> {
        let _ = limit;
        Ok(Vec::new())
    }

    /// The mapping that is followed where nobody has made one, for a kind
    /// whose records say by the names of their fields what they mean; none
    /// elsewhere, and where there is nothing to read yet. It lacks an id where
    /// no field is called like one, and no run can follow it then.
    ///
    /// # Errors
    /// See [`Error`].
    async fn own_mapping(&self) -> Result<Option<Mapping>, Error> {
        Ok(None)
    }

    /// What changes when there is something new to read, found out without
    /// reading it; none where there is nothing, or no way to know. After a run
    /// it is the watermark of that run.
    ///
    /// # Errors
    /// See [`Error`].
    async fn fingerprint(&self) -> Result<Option<String>, Error> {
        Ok(None)
    }

    /// Called when what was read up to `upto` has been applied; never after a
    /// dry run. A folder puts away its files by it.
    ///
    /// # Errors
    /// See [`Error`].
    async fn done(&self, upto: &Watermark) -> Result<(), Error> {
        let _ = upto;
        Ok(())
    }

    /// Clients in pages, those changed since `since` or all; empty for a
    /// system that has none.
    fn clients(&self, since: Option<Watermark>) -> BoxStream<'_, Result<ClientPage, Error>> {
        let _ = since;
        stream::empty().boxed()
    }

    /// Tickets in pages, as [`ErpAdapter::clients`].
    fn tickets(&self, since: Option<Watermark>) -> BoxStream<'_, Result<TicketPage, Error>> {
        let _ = since;
        stream::empty().boxed()
    }
}

/// A record as the source has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sample {
    /// Where it stands: `people.xlsx, row 12`, `uid=grace,ou=people`.
    pub place: String,
    /// Its fields.
    pub record: serde_json::Value,
}

/// Some clients, and how far the pull has come with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientPage {
    /// Those who could be read.
    pub clients: Vec<Client>,
    /// What could not.
    pub faults: Vec<Fault>,
    /// Keep it once this page is safe.
    pub watermark: Watermark,
}

/// Some tickets, and how far the pull has come with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketPage {
    /// Those that could be read.
    pub tickets: Vec<Ticket>,
    /// What could not.
    pub faults: Vec<Fault>,
    /// Keep it once this page is safe.
    pub watermark: Watermark,
}

/// The units of an organization and the posts that nobody holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Structure {
    /// Units, parents not necessarily first.
    pub units: Vec<OrgUnit>,
    /// Vacant posts.
    pub vacancies: Vec<Vacancy>,
    /// What could not be read.
    pub faults: Vec<Fault>,
}

/// Some people, and how far the pull has come with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Those who could be read.
    pub workers: Vec<Worker>,
    /// What could not.
    pub faults: Vec<Fault>,
    /// Keep it once this page is safe: a later pull may go on from here.
    pub watermark: Watermark,
}

/// Who is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkerIds {
    /// External ids, those of records with faults included.
    pub ids: BTreeSet<String>,
    /// Records whose id could not be read. While there are any, nobody who is
    /// missing in `ids` is known to be gone.
    pub unreadable: usize,
}

/// What a connection may read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// The system and its version, `Odoo 19.0`.
    pub system: String,
    /// How many people can be read, inactive ones included.
    pub people: u64,
    /// How many units.
    pub units: u64,
    /// What was tried, in the order of a table for people.
    pub access: Vec<Access>,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Access {
    /// What, in the system's words: `Employees (hr.employee)`.
    pub what: String,
    /// With what result.
    pub readable: Readable,
    /// What it means, and what an administrator of the system can do about it.
    pub note: String,
}

/// Whether something may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Readable {
    /// In full.
    Yes,
    /// With fewer fields.
    Reduced,
    /// Not at all.
    No,
}

/// What ends a pull. The texts are for people; none holds a key, a traceback
/// or the body of an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A setting of the source is missing or wrong.
    #[error("{key} {what}")]
    Setting {
        /// Which.
        key: String,
        /// What is wrong and what is allowed.
        what: String,
    },
    /// The host must not be talked to.
    #[error("{host} is refused: {why}")]
    NotAllowed {
        /// Which.
        host: String,
        /// Why.
        why: &'static str,
    },
    /// Nobody answers there, or the answer broke off.
    #[error("not reached: {what}")]
    Unreachable {
        /// What happened.
        what: String,
    },
    /// The key or password is wrong or has expired.
    #[error("the key is not accepted")]
    Unauthorized,
    /// The key is good, but not for this.
    #[error("the key gives no right to {what}")]
    Forbidden {
        /// What.
        what: String,
    },
    /// An answer that cannot be understood at all.
    #[error("{record}: {field} {what}")]
    Malformed {
        /// Which answer or file.
        record: String,
        /// Which part of it.
        field: String,
        /// What is wrong.
        what: String,
    },
    /// The ERP wants to be asked less often.
    #[error("the ERP wants to be left alone for a while")]
    RateLimited {
        /// For how long, if it says so.
        retry_after: Option<Duration>,
    },
    /// The ERP understood and said no.
    #[error("the ERP {what}")]
    Rejected {
        /// What it said, in one line.
        what: String,
    },
    /// More than is taken.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What.
        what: String,
        /// The most that is taken, in bytes.
        limit: usize,
    },
    /// No answer in time.
    #[error("no answer within {} s", after.as_secs_f32())]
    TimedOut {
        /// The time it had.
        after: Duration,
    },
}

impl Error {
    /// A stable name of the kind of error, for records of runs and for the app's catalogue.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Setting { .. } => "setting",
            Self::NotAllowed { .. } => "not_allowed",
            Self::Unreachable { .. } => "unreachable",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::Malformed { .. } => "malformed",
            Self::RateLimited { .. } => "rate_limited",
            Self::Rejected { .. } => "rejected",
            Self::TooLarge { .. } => "too_large",
            Self::TimedOut { .. } => "timed_out",
        }
    }

    fn setting(key: &str, what: impl Into<String>) -> Self {
        Self::Setting {
            key: key.to_owned(),
            what: what.into(),
        }
    }
}
