//! LDAP directories: OpenLDAP and its like, and Active Directory.
//!
//! What shapes this file:
//!
//! - Entries come in pages (RFC 2696) and are made into workers as they come.
//!   A server without pages is read all the same, as far as its size limit
//!   lets; one that stops at the limit ends the run, for whoever is missing
//!   would be taken for a leaver.
//! - A superior is an entry's name, which changes when somebody marries. A
//!   first pass reads names and ids alone, and every name becomes an id by it.
//! - `entryUUID` and `objectGUID` never change and are the ids. The latter is
//!   binary, with its first three parts turned round.
//! - A directory keeps no list of what was deleted: ids are read in full.
//! - Times are to the second, and a replica learns late: a delta overlaps.
//!   Entries whose changes nobody may read are read in full each time.
//! - Referrals name other hosts. Following one would hand our password to
//!   whoever wrote it, so none is followed; each is a finding.
//! - Photos are left out of the pages and fetched one by one, when the entry
//!   changed.
//!
//! Beside its own attributes an entry's record has `dn`; `parentDn`, the name
//! of the entry above; and with Active Directory `enabled`, from bit 2 of
//! `userAccountControl`.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use async_trait::async_trait;
use base64::Engine as _;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use domain::{
    Attribute, Value,
    erp::{Fault, OrgUnit, Photo, Watermark, Worker},
    mapping::{Field, Mapping, Target, Transform},
};
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use serde_json::{Map, Value as Json, json};
use tokio::{sync::Mutex, time::timeout};

use crate::{
    Access, ErpAdapter, Error, Guard, PHOTO_BYTES, Page, Probe, Readable, Sample, Structure,
    WorkerIds,
    mapped::{Mapper, moment},
    registry::{Kind, Setting, optional, setting},
    words::quote,
};

mod dn;
mod wire;

use wire::{Endpoint, Entry, Found, Search, Security, Wire};

/// The kind `ldap`.
pub(crate) const KIND: Kind = Kind {
    name: "ldap",
    label: "LDAP or Active Directory",
    help: "Reads people, units and photos of a directory, and changes single values where the account may.",
    settings: &[
        setting(
            "url",
            "Address",
            "Where the directory is, such as ldaps://directory.example.",
        ),
        optional(
            "starttls",
            "StartTLS",
            "yes to begin TLS on an ldap:// address; ldaps:// has it from the start.",
        ),
        optional(
            "bind_dn",
            "Account",
            "The name that reads, cn=optimus,dc=example,dc=com or optimus@example.com. Nothing, to read as anybody may.",
        ),
        Setting {
            secret: true,
            ..optional("password", "Password", "The account's password.")
        },
        setting(
            "base",
            "Base",
            "The entry below which everyone is, such as ou=people,dc=example,dc=com.",
        ),
        optional(
            "preset",
            "Directory",
            "openldap or active-directory: which names its attributes have. openldap if nothing is entered.",
        ),
        optional(
            "people_filter",
            "Filter for people",
            "Which entries are people; (objectClass=inetOrgPerson) or Active Directory's users if nothing is entered.",
        ),
        optional(
            "unit_base",
            "Base of the units",
            "The entry below which the units are; the same base if nothing is entered.",
        ),
        optional(
            "unit_filter",
            "Filter for units",
            "Which entries are units, such as (objectClass=organizationalUnit). Nothing, if people name their unit.",
        ),
        optional(
            "ca_file",
            "Certificate of the authority",
            "The whole path of a PEM file on the server, where the directory's certificate is not of a public authority.",
        ),
    ],
    mapped: true,
};

/// Entries a page. Active Directory gives no more than 1,000.
const PAGE_ENTRIES: u32 = 500;
/// Bytes after which a page is handed on, whatever its entries.
const PAGE_BYTES: usize = 8 << 20;
/// Pages without an entry that are taken in a row.
const EMPTY_PAGES: u32 = 8;
/// A replica may have an entry later than its time says.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);
/// Bit 2 of `userAccountControl`: ACCOUNTDISABLE.
const DISABLED: i64 = 0x2;

const DN: &str = "dn";
const PARENT: &str = "parentDn";
const ENABLED: &str = "enabled";
const CONTROL: &str = "userAccountControl";
const GUID: &str = "objectGUID";

/// Which directory it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Preset {
    OpenLdap,
    ActiveDirectory,
}

impl Preset {
    fn parse(text: Option<&str>) -> Result<Self, Error> {
        match text {
            None | Some("openldap") => Ok(Self::OpenLdap),
            Some("active-directory") => Ok(Self::ActiveDirectory),
            Some(other) => Err(Error::setting(
                "preset",
                format!(
                    "{} is not known; allowed: openldap, active-directory",
                    quote(other)
                ),
            )),
        }
    }

    fn people(self) -> &'static str {
        match self {
            Self::OpenLdap => "(objectClass=inetOrgPerson)",
            Self::ActiveDirectory => "(&(objectCategory=person)(objectClass=user))",
        }
    }

    /// The attribute that says when an entry last changed.
    fn changed(self) -> &'static str {
        match self {
            Self::OpenLdap => "modifyTimestamp",
            Self::ActiveDirectory => "whenChanged",
        }
    }

    /// A time as a filter has it.
    fn time(self, at: DateTime<Utc>) -> String {
        let form = match self {
            Self::OpenLdap => "%Y%m%d%H%M%SZ",
            Self::ActiveDirectory => "%Y%m%d%H%M%S.0Z",
        };
        at.format(form).to_string()
    }

    fn mapping(self, tree: bool) -> Mapping {
        let own = |target: Target, from: &str| Field {
            target,
            from: from.to_owned(),
            transforms: Vec::new(),
        };
        let value = |attribute, from| own(Target::Attribute(attribute), from);
        let (id, name, number, unit, place, photo) = match self {
            Self::OpenLdap => (
                "entryUUID",
                "cn",
                "employeeNumber",
                "departmentNumber",
                "l",
                "jpegPhoto",
            ),
            Self::ActiveDirectory => (
                GUID,
                "displayName",
                "employeeID",
                "department",
                "physicalDeliveryOfficeName",
                "thumbnailPhoto",
            ),
        };
        let mut worker = vec![
            own(Target::Id, id),
            value(Attribute::DisplayName, name),
            value(Attribute::GivenName, "givenName"),
            value(Attribute::FamilyName, "sn"),
            value(Attribute::Title, "title"),
            value(Attribute::Emails, "mail"),
            value(Attribute::PhoneNumbers, "telephoneNumber"),
            value(Attribute::Mobile, "mobile"),
            value(Attribute::EmployeeNumber, number),
            value(Attribute::Location, place),
            own(Target::Unit, if tree { PARENT } else { unit }),
            own(Target::Manager, "manager"),
            own(Target::Photo, photo),
            own(Target::ChangedAt, self.changed()),
        ];
        if self == Self::ActiveDirectory {
            worker.push(own(Target::Active, ENABLED));
            worker.push(value(Attribute::Division, "division"));
        }
        let mut unit = Vec::new();
        if tree {
            unit.extend([
                own(Target::Id, id),
                own(Target::Name, "ou"),
                own(Target::Parent, PARENT),
            ]);
            if self == Self::ActiveDirectory {
                unit.push(own(Target::Head, "managedBy"));
            }
        }
        Mapping { worker, unit }
    }
}

/// The mapping that a directory of `preset` brings; `tree` if its units are entries of their own.
///
/// # Errors
/// [`Error::Setting`] for a preset that is not known.
pub(crate) fn default_mapping(preset: Option<&str>, tree: bool) -> Result<Mapping, Error> {
    Ok(Preset::parse(preset)?.mapping(tree))
}

/// A directory.
pub struct Ldap {
    guard: Guard,
    endpoint: Endpoint,
    /// Name and password; neither, to read as anybody may.
    login: (String, String),
    preset: Preset,
    base: String,
    people: String,
    units: Option<(String, String)>,
    mapping: Mapping,
    /// Whether somebody made it: a preset's fields may be missing without a word.
    own_mapping: bool,
    wanted: Wanted,
    /// A connection that waits for the next photo.
    idle: Mutex<Option<Wire>>,
    index: Mutex<Option<Arc<Index>>>,
}

impl std::fmt::Debug for Ldap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ldap")
            .field("endpoint", &self.endpoint)
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// The attributes that each question asks for.
#[derive(Debug)]
struct Wanted {
    people: Vec<String>,
    /// What the first pass needs: the id, and a unit that people name.
    index: Vec<String>,
    units: Vec<String>,
    photo: Option<String>,
    /// Where the id stands, if an entry can be found by it.
    id: Option<String>,
    writable: Vec<Attribute>,
}

/// Names and ids of everyone and everything.
#[derive(Debug, Default)]
struct Index {
    /// Ids by the key of the name.
    people: HashMap<String, String>,
    /// Names by id.
    names: HashMap<String, String>,
    units: HashMap<String, String>,
    structure: Structure,
    unreadable: usize,
}

/// A search that goes from page to page.
struct Cursor {
    search: Search,
    cookie: Vec<u8>,
    /// Whether an answer is under way.
    open: bool,
    over: bool,
    empty: u32,
    /// Hashes of the names that came: a server that begins anew would never end.
    seen: HashSet<u64>,
}

/// A part of a search's answer.
#[derive(Default)]
struct Chunk {
    entries: Vec<Entry>,
    faults: Vec<Fault>,
}

/// A pull under way.
struct Reading<'a> {
    wire: Wire,
    cursor: Cursor,
    mapper: Mapper<'a>,
    index: Arc<Index>,
    /// Keys of the entries with a photo.
    photos: HashSet<String>,
    since: Option<DateTime<Utc>>,
    newest: Option<DateTime<Utc>>,
    met: BTreeSet<String>,
    read: u64,
}

impl Ldap {
    /// The directory that the settings name; nothing is read yet.
    ///
    /// # Errors
    /// [`Error::Setting`] for one that cannot be right.
    pub(crate) fn new<'s>(
        guard: &Guard,
        get: &dyn Fn(&str) -> Option<&'s str>,
        mapping: Option<&Mapping>,
    ) -> Result<Self, Error> {
        let preset = Preset::parse(get("preset"))?;
        let endpoint = endpoint(guard, get)?;
        let login = match (get("bind_dn"), get("password")) {
            // A name without a password would be let in as anybody (RFC 4513, 5.1.2), and look like a success.
            (Some(_), None) => return Err(Error::setting("password", "is needed with a bind_dn")),
            (None, Some(_)) => return Err(Error::setting("bind_dn", "is needed with a password")),
            (dn, password) => (
                dn.unwrap_or_default().to_owned(),
                password.unwrap_or_default().to_owned(),
            ),
        };
        let filter = |key: &str| {
            let Some(text) = get(key) else {
                return Ok(None);
            };
            let text = if text.starts_with('(') {
                text.to_owned()
            } else {
                format!("({text})")
            };
            wire::check_filter(&text).map_err(|what| Error::setting(key, what))?;
            Ok::<_, Error>(Some(text))
        };
        let base = get("base").unwrap_or_default().to_owned();
        let people = filter("people_filter")?.unwrap_or_else(|| preset.people().to_owned());
        let units = filter("unit_filter")?.map(|filter| {
            let base = get("unit_base").unwrap_or(&base).to_owned();
            (base, filter)
        });
        for (key, name) in [
            ("base", Some(base.as_str())),
            ("unit_base", get("unit_base")),
        ] {
            if name.is_some_and(|name| dn::parts(name).is_none()) {
                let what = "is not a name such as ou=people,dc=example,dc=com";
                return Err(Error::setting(key, what));
            }
        }
        let own_mapping = mapping.is_some();
        let mapping = match mapping {
            Some(mapping) => mapping.clone(),
            None => preset.mapping(units.is_some()),
        };
        if let Err(bad) = mapping.check() {
            let bad: Vec<_> = bad.iter().map(ToString::to_string).collect();
            return Err(Error::setting("mapping", bad.join("; ")));
        }
        let wanted = Wanted::new(&mapping, preset)?;
        Ok(Self {
            guard: guard.clone(),
            endpoint,
            login,
            preset,
            base,
            people,
            units: units.filter(|_| !mapping.unit.is_empty()),
            mapping,
            own_mapping,
            wanted,
            idle: Mutex::new(None),
            index: Mutex::new(None),
        })
    }

    async fn connect(&self) -> Result<Wire, Error> {
        let mut wire = Wire::open(&self.guard, &self.endpoint).await?;
        let (dn, password) = &self.login;
        if !dn.is_empty() {
            wire.bind(dn, password).await?;
        }
        Ok(wire)
    }

    fn cursor(&self, base: &str, filter: String, attributes: &[String]) -> Cursor {
        Cursor {
            search: Search {
                base: base.to_owned(),
                deep: true,
                filter,
                attributes: attributes.to_vec(),
                page: Some(PAGE_ENTRIES),
            },
            cookie: Vec::new(),
            open: false,
            over: false,
            empty: 0,
            seen: HashSet::new(),
        }
    }

    /// The next entries; empty at the end alone.
    async fn chunk(&self, wire: &mut Wire, cursor: &mut Cursor) -> Result<Chunk, Error> {
        let after = self.guard.limits().total;
        timeout(after, self.read_chunk(wire, cursor))
            .await
            .unwrap_or(Err(Error::TimedOut { after }))
    }

    async fn read_chunk(&self, wire: &mut Wire, cursor: &mut Cursor) -> Result<Chunk, Error> {
        let mut chunk = Chunk::default();
        let mut bytes = 0;
        let mut fresh = false;
        while !cursor.over {
            if !cursor.open {
                wire.search(&cursor.search, &cursor.cookie).await?;
                cursor.open = true;
            }
            match wire.next().await? {
                Found::Entry(entry) => {
                    fresh |= cursor.seen.insert(hash(&entry.dn));
                    bytes += size(&entry);
                    chunk.entries.push(entry);
                    if bytes < PAGE_BYTES && chunk.entries.len() < 2 * PAGE_ENTRIES as usize {
                        continue;
                    }
                }
                Found::Reference(addresses) => {
                    chunk.faults.push(reference(&addresses));
                    continue;
                }
                Found::Done { cookie } => {
                    cursor.open = false;
                    cursor.over = cookie.is_empty();
                    cursor.cookie = cookie;
                    if chunk.entries.is_empty() && !cursor.over {
                        cursor.empty += 1;
                        if cursor.empty < EMPTY_PAGES {
                            continue;
                        }
                        return Err(endless());
                    }
                    cursor.empty = 0;
                }
            }
            if !fresh && !chunk.entries.is_empty() {
                return Err(endless());
            }
            break;
        }
        Ok(chunk)
    }

    /// Names and ids; read anew if `fresh`, else as they were read before.
    async fn index(&self, fresh: bool) -> Result<Arc<Index>, Error> {
        let mut kept = self.index.lock().await;
        if let (Some(index), false) = (kept.as_ref(), fresh) {
            return Ok(Arc::clone(index));
        }
        let index = Arc::new(self.read_index().await?);
        *kept = Some(Arc::clone(&index));
        Ok(index)
    }

    async fn read_index(&self) -> Result<Index, Error> {
        let mut wire = self.connect().await?;
        let mut index = Index::default();
        let needed = |field: &&Field| {
            field.target == Target::Id
                || (field.target == Target::Unit && self.mapping.unit.is_empty())
        };
        let part = Mapping {
            worker: self.mapping.worker.iter().filter(needed).cloned().collect(),
            unit: Vec::new(),
        };
        let mut mapper = Mapper::new(&part);
        let mut faults = Vec::new();
        let mut cursor = self.cursor(&self.base, self.people.clone(), &self.wanted.index);
        while !cursor.over {
            let chunk = self.chunk(&mut wire, &mut cursor).await?;
            index.structure.faults.extend(chunk.faults);
            for entry in chunk.entries {
                let record = self.record(&entry, &self.wanted.index);
                // Faults of the people themselves are told when they are read.
                let Some(worker) = mapper.worker(&entry.dn, &record, &mut faults) else {
                    index.unreadable += 1;
                    continue;
                };
                faults.clear();
                let id = worker.external_id;
                index.people.insert(key(&entry.dn), id.clone());
                index.names.entry(id).or_insert(entry.dn);
            }
        }
        if self.mapping.unit.is_empty() {
            index.structure.units = mapper.named_units();
        } else if let Some((base, filter)) = &self.units {
            let cursor = self.cursor(base, filter.clone(), &self.wanted.units);
            self.read_units(&mut wire, cursor, &mut index).await?;
        }
        Ok(index)
    }

    async fn read_units(
        &self,
        wire: &mut Wire,
        mut cursor: Cursor,
        index: &mut Index,
    ) -> Result<(), Error> {
        let mut mapper = Mapper::new(&self.mapping);
        let mut units: Vec<(String, OrgUnit)> = Vec::new();
        while !cursor.over {
            let chunk = self.chunk(wire, &mut cursor).await?;
            // The same reference as among the people says nothing new.
            for fault in chunk.faults {
                if !index.structure.faults.contains(&fault) {
                    index.structure.faults.push(fault);
                }
            }
            for entry in chunk.entries {
                let record = self.record(&entry, &self.wanted.units);
                let faults = &mut index.structure.faults;
                if let Some(unit) = mapper.unit(&place(&entry.dn), &record, faults) {
                    index.units.insert(key(&entry.dn), unit.external_id.clone());
                    units.push((entry.dn, unit));
                }
            }
        }
        let climbs = self.climbs(&self.mapping.unit, Target::Parent);
        for (name, mut unit) in units {
            let lost = |field: &str, dn: &str| Fault {
                place: place(&name),
                field: Some(field.to_owned()),
                what: format!("{} is not among those read; left out", quote(dn)),
                external_id: Some(unit.external_id.clone()),
                left_out: false,
            };
            let mut faults = Vec::new();
            let parent = unit.parent.take();
            let parent = parent.and_then(|text| match self.unit(&text, index, climbs) {
                Ok(parent) => parent,
                Err(text) => {
                    faults.push(lost("parent", &text));
                    None
                }
            });
            let mut heads = Vec::new();
            for text in &unit.heads {
                match person(text, index) {
                    Ok(id) => heads.push(id),
                    Err(text) => faults.push(lost("head", &text)),
                }
            }
            unit.parent = parent.filter(|parent| *parent != unit.external_id);
            unit.heads = heads;
            index.structure.faults.extend(faults);
            index.structure.units.push(unit);
        }
        Ok(())
    }

    /// Whether `target` is the nearest unit above rather than the one named.
    fn climbs(&self, fields: &[Field], target: Target) -> bool {
        fields
            .iter()
            .any(|field| field.target == target && field.from == PARENT)
    }

    /// The unit that `text` names; or its name, if there is no such unit.
    fn unit(&self, text: &str, index: &Index, climbs: bool) -> Result<Option<String>, String> {
        let Some(parts) = dn::parts(text).filter(|_| self.units.is_some()) else {
            return Ok(Some(text.to_owned()));
        };
        if climbs {
            let above = (0..parts.len()).find_map(|from| index.units.get(&dn::key(&parts[from..])));
            return Ok(above.cloned());
        }
        match index.units.get(&dn::key(&parts)) {
            Some(id) => Ok(Some(id.clone())),
            None => Err(text.to_owned()),
        }
    }

    /// An entry as the mapping reads it: every attribute that was asked for, empty where it has none.
    fn record(&self, entry: &Entry, asked: &[String]) -> Json {
        let mut record = Map::new();
        for name in asked {
            let values = entry.values(name).iter().map(|value| text(name, value));
            record.insert(name.clone(), values.collect());
        }
        self.add_own(entry, &mut record);
        Json::Object(record)
    }

    fn add_own(&self, entry: &Entry, record: &mut Map<String, Json>) {
        record.insert(DN.into(), json!(entry.dn));
        record.insert(PARENT.into(), json!(dn::parent(&entry.dn)));
        if self.preset == Preset::ActiveDirectory {
            let bits = entry.values(CONTROL).first();
            let bits = bits.and_then(|bits| std::str::from_utf8(bits).ok()?.parse::<i64>().ok());
            if let Some(bits) = bits {
                record.insert(ENABLED.into(), json!(bits & DISABLED == 0));
            }
        }
    }

    async fn begin(&self, since: Option<DateTime<Utc>>) -> Result<Reading<'_>, Error> {
        let index = self.index(false).await?;
        let mut wire = self.connect().await?;
        let changed = since.map_or(String::new(), |since| {
            let from = self.preset.time(since - OVERLAP);
            format!("({}>={from})", self.preset.changed())
        });
        let mut photos = HashSet::new();
        if let Some(photo) = &self.wanted.photo {
            let filter = format!("(&{}({photo}=*){changed})", self.people);
            // "No attributes" (RFC 4511, 4.5.1.8): the names alone.
            let mut cursor = self.cursor(&self.base, filter, &["1.1".to_owned()]);
            while !cursor.over {
                let chunk = self.chunk(&mut wire, &mut cursor).await?;
                photos.extend(chunk.entries.iter().map(|entry| key(&entry.dn)));
            }
        }
        let filter = match changed.as_str() {
            "" => self.people.clone(),
            changed => format!("(&{}{changed})", self.people),
        };
        Ok(Reading {
            cursor: self.cursor(&self.base, filter, &self.wanted.people),
            wire,
            mapper: Mapper::new(&self.mapping),
            index,
            photos,
            since,
            newest: since,
            met: BTreeSet::new(),
            read: 0,
        })
    }

    async fn page(&self, reading: &mut Reading<'_>) -> Result<Page, Error> {
        let chunk = self.chunk(&mut reading.wire, &mut reading.cursor).await?;
        // The first pass met the same references and told of them.
        let mut faults = Vec::new();
        let mut workers = Vec::with_capacity(chunk.entries.len());
        for entry in chunk.entries {
            reading.read += 1;
            for (name, _) in &entry.attributes {
                if !reading.met.contains(name) {
                    reading.met.insert(name.clone());
                }
            }
            if let Some(at) = self.changed_at(&entry) {
                reading.newest = reading.newest.max(Some(at));
            }
            workers.extend(self.worker(reading, &entry, &mut faults));
        }
        let over = reading.cursor.over;
        if over && reading.since.is_none() && self.own_mapping {
            faults.extend(self.never_met(reading));
        }
        // Pages are in no order of time: before the last, nothing is known to be complete.
        let upto = if over { reading.newest } else { reading.since };
        Ok(Page {
            workers,
            faults,
            watermark: Watermark(upto.map_or(String::new(), |at| {
                at.to_rfc3339_opts(SecondsFormat::Secs, true)
            })),
        })
    }

    fn changed_at(&self, entry: &Entry) -> Option<DateTime<Utc>> {
        let value = entry.values(self.preset.changed()).first()?;
        moment(std::str::from_utf8(value).ok()?)
    }

    fn worker(
        &self,
        reading: &mut Reading<'_>,
        entry: &Entry,
        faults: &mut Vec<Fault>,
    ) -> Option<Worker> {
        let mut record = self.record(entry, &self.wanted.people);
        let own = key(&entry.dn);
        if let Some(photo) = &self.wanted.photo {
            // The photo itself stays where it is: what changed may be the photo.
            let tag = self.changed_at(entry).map_or_else(
                || "there".to_owned(),
                |at| at.to_rfc3339_opts(SecondsFormat::Secs, true),
            );
            let there = reading.photos.contains(&own);
            record[photo.as_str()] = if there { json!([tag]) } else { json!([]) };
        }
        let place = place(&entry.dn);
        let mut worker = reading.mapper.worker(&place, &record, faults)?;
        let index = &reading.index;
        let fault = |field: Option<&str>, what: String| Fault {
            place: place.clone(),
            field: field.map(str::to_owned),
            what,
            external_id: Some(worker.external_id.clone()),
            left_out: field.is_none(),
        };
        let owner = index.names.get(&worker.external_id);
        if let Some(owner) = owner.filter(|owner| **owner != entry.dn && key(owner) != own)
            && index.people.contains_key(&own)
        {
            let what = format!(
                "{} is the id of {} already; this entry is left out",
                quote(&worker.external_id),
                quote(owner)
            );
            faults.push(fault(None, what));
            return None;
        }
        let mut told = Vec::new();
        let manager = worker.manager.as_deref();
        let manager = manager.and_then(|text| match person(text, index) {
            Ok(id) => Some(id),
            Err(name) => {
                let what = format!("{} is not among those read; left out", quote(&name));
                told.push(fault(Some("manager"), what));
                None
            }
        });
        let mut dotted = Vec::new();
        for text in &worker.dotted {
            match person(text, index) {
                Ok(id) => dotted.push(id),
                Err(name) => {
                    let what = format!("{} is not among those read; left out", quote(&name));
                    told.push(fault(Some("dottedManagers"), what));
                }
            }
        }
        let climbs = self.climbs(&self.mapping.worker, Target::Unit);
        let unit = worker.unit.as_deref();
        let unit = unit.and_then(|text| match self.unit(text, index, climbs) {
            Ok(unit) => unit,
            Err(name) => {
                let what = format!("{} is not among the units read; left out", quote(&name));
                told.push(fault(Some("unit"), what));
                None
            }
        });
        faults.extend(told);
        worker.manager = manager.filter(|manager| *manager != worker.external_id);
        worker.dotted = dotted;
        worker.unit = unit;
        Some(worker)
    }

    /// Fields of the mapping that not one entry had.
    fn never_met(&self, reading: &Reading<'_>) -> Vec<Fault> {
        let met = |name: &str| {
            own(name)
                || self.wanted.photo.as_deref() == Some(name)
                || reading.met.iter().any(|met| met.eq_ignore_ascii_case(name))
        };
        let fields = self.mapping.worker.iter().filter(|field| {
            let name = attribute(&field.from);
            reading.read > 0 && !name.is_empty() && !met(&name)
        });
        fields
            .map(|field| Fault {
                place: self.base.clone(),
                field: Some(field.target.name().to_owned()),
                what: format!(
                    "the mapping reads it from {}, which none of {} entries has",
                    quote(&field.from),
                    reading.read
                ),
                external_id: None,
                left_out: false,
            })
            .collect()
    }

    /// The entry of a person, with some of its attributes.
    async fn find(
        &self,
        wire: &mut Wire,
        external_id: &str,
        attributes: &[String],
    ) -> Result<Option<Entry>, Error> {
        let mut search = Search {
            base: self.base.clone(),
            deep: true,
            filter: self.people.clone(),
            attributes: attributes.to_vec(),
            page: None,
        };
        if let Some(name) = &self.wanted.id {
            let value = if name.eq_ignore_ascii_case(GUID) {
                match guid_bytes(external_id) {
                    Some(bytes) => bytes.iter().map(|byte| format!("\\{byte:02x}")).collect(),
                    None => return Ok(None),
                }
            } else {
                ldap3::ldap_escape(external_id).into_owned()
            };
            search.filter = format!("(&{}({name}={value}))", self.people);
        } else {
            let index = self.index(false).await?;
            let Some(name) = index.names.get(external_id) else {
                return Ok(None);
            };
            search.base.clone_from(name);
            search.deep = false;
        }
        wire.search(&search, &[]).await?;
        let mut entry = None;
        loop {
            match wire.next().await? {
                Found::Entry(found) => entry = entry.or(Some(found)),
                Found::Reference(_) => {}
                Found::Done { .. } => return Ok(entry),
            }
        }
    }

    async fn photo_of(
        &self,
        wire: &mut Wire,
        id: &str,
        name: &str,
    ) -> Result<Option<Photo>, Error> {
        let entry = self.find(wire, id, &[name.to_owned()]).await?;
        let Some(bytes) = entry.and_then(|entry| entry.values(name).first().cloned()) else {
            return Ok(None);
        };
        if bytes.len() as u64 > PHOTO_BYTES {
            return Err(Error::TooLarge {
                what: format!("the photo of {id}"),
                limit: usize::try_from(PHOTO_BYTES).unwrap_or(usize::MAX),
            });
        }
        Ok(Some(Photo { bytes }))
    }
}

#[async_trait]
impl ErpAdapter for Ldap {
    async fn probe(&self) -> Result<Probe, Error> {
        let mut wire = self.connect().await?;
        let root = Search {
            base: String::new(),
            deep: false,
            filter: "(objectClass=*)".into(),
            attributes: [
                "objectClass",
                "vendorName",
                "vendorVersion",
                "rootDomainNamingContext",
            ]
            .map(str::to_owned)
            .to_vec(),
            page: None,
        };
        wire.search(&root, &[]).await?;
        let mut system = "LDAP directory".to_owned();
        loop {
            match wire.next().await {
                Ok(Found::Entry(entry)) => system = name_of(&entry).unwrap_or(system),
                Ok(Found::Reference(_)) => {}
                // Some hide what they are.
                Ok(Found::Done { .. }) | Err(Error::Setting { .. } | Error::Forbidden { .. }) => {
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        let index = self.index(true).await?;
        let mut cursor = self.cursor(&self.base, self.people.clone(), &self.wanted.people);
        cursor.search.page = Some(50);
        let some = self.chunk(&mut wire, &mut cursor).await?.entries;
        let has = |name: &str| some.iter().any(|entry| !entry.values(name).is_empty());
        let access = |what: String, readable, note: &str| Access {
            what,
            readable,
            note: note.to_owned(),
        };
        let people = index.people.len();
        let mut tried = vec![if people == 0 {
            let note =
                "None found: the base or the filter is wrong, or the account may not read them.";
            access(format!("People {}", self.people), Readable::No, note)
        } else {
            access(format!("People {}", self.people), Readable::Yes, "")
        }];
        let changed = self.preset.changed();
        tried.push(if has(changed) {
            access(format!("Changes ({changed})"), Readable::Yes, "")
        } else {
            let note = "Not readable: every run reads everyone.";
            access(format!("Changes ({changed})"), Readable::No, note)
        });
        if let Some((_, filter)) = &self.units {
            let (readable, note) = if index.units.is_empty() {
                (Readable::No, "None found by this base and filter.")
            } else {
                (Readable::Yes, "")
            };
            tried.push(access(format!("Units {filter}"), readable, note));
        }
        for field in &self.mapping.worker {
            let name = attribute(&field.from);
            let photo = self.wanted.photo.as_deref() == Some(name.as_str());
            if name.is_empty() || own(&name) || photo || name == changed || has(&name) {
                continue;
            }
            let note = "None of the first entries has it, or the account may not read it.";
            let what = format!("{} ({name})", field.target);
            tried.push(access(what, Readable::Reduced, note));
        }
        Ok(Probe {
            system,
            people: people as u64,
            units: index.structure.units.len() as u64,
            access: tried,
        })
    }

    async fn units(&self) -> Result<Structure, Error> {
        Ok(self.index(true).await?.structure.clone())
    }

    fn workers(&self, since: Option<Watermark>) -> BoxStream<'_, Result<Page, Error>> {
        let since = since.and_then(|since| moment(&since.0));
        stream::try_unfold(None::<Reading<'_>>, move |reading| async move {
            let mut reading = match reading {
                None => self.begin(since).await?,
                Some(reading) if reading.cursor.over => return Ok(None),
                Some(reading) => reading,
            };
            let page = self.page(&mut reading).await?;
            Ok(Some((page, Some(reading))))
        })
        .boxed()
    }

    async fn worker_ids(&self) -> Result<WorkerIds, Error> {
        let index = self.index(true).await?;
        Ok(WorkerIds {
            ids: index.names.keys().cloned().collect(),
            unreadable: index.unreadable,
        })
    }

    async fn photo(&self, external_id: &str) -> Result<Option<Photo>, Error> {
        let Some(name) = &self.wanted.photo else {
            return Ok(None);
        };
        let idle = self.idle.lock().await.take();
        if let Some(mut wire) = idle
            && let Ok(photo) = self.photo_of(&mut wire, external_id, name).await
        {
            *self.idle.lock().await = Some(wire);
            return Ok(photo);
        }
        // The one that waited may have been closed meanwhile.
        let mut wire = self.connect().await?;
        let photo = self.photo_of(&mut wire, external_id, name).await?;
        *self.idle.lock().await = Some(wire);
        Ok(photo)
    }

    fn writable(&self) -> &[Attribute] {
        &self.wanted.writable
    }

    async fn write(
        &self,
        external_id: &str,
        attribute: Attribute,
        value: Option<&Value>,
    ) -> Result<(), Error> {
        let field = self.wanted.writable.contains(&attribute).then(|| {
            let fields = self.mapping.worker.iter();
            fields
                .into_iter()
                .find(|field| field.target == Target::Attribute(attribute))
        });
        let Some(Some(field)) = field else {
            return Err(Error::Forbidden {
                what: format!("write {}", attribute.name()),
            });
        };
        let name = self::attribute(&field.from);
        let mut wire = self.connect().await?;
        let rejected = |what: String| Error::Rejected { what };
        let entry = self
            .find(&mut wire, external_id, std::slice::from_ref(&name))
            .await?
            .ok_or_else(|| rejected(format!("has nobody with the id {}", quote(external_id))))?;
        let held = entry.values(&name).len();
        if held > 1 {
            let what = format!("holds {held} values of {name}; change them in the directory");
            return Err(rejected(what));
        }
        let values = match value {
            None => Vec::new(),
            Some(Value::Text(text)) if text.is_empty() => Vec::new(),
            Some(Value::Text(text)) => vec![text.clone()],
            Some(Value::List(items)) => items.clone(),
            Some(Value::Flag(flag)) => vec![flag.to_string().to_uppercase()],
        };
        wire.replace(&entry.dn, &name, &values).await
    }

    async fn sample(&self, limit: usize) -> Result<Vec<Sample>, Error> {
        let mut wire = self.connect().await?;
        let mut asked = self.wanted.people.clone();
        // Not among "every attribute", and what most mappings take for the id.
        asked.extend(["entryUUID", "*"].map(str::to_owned));
        let mut cursor = self.cursor(&self.base, self.people.clone(), &asked);
        cursor.search.page = Some(u32::try_from(limit).unwrap_or(50).clamp(1, 50));
        let chunk = self.chunk(&mut wire, &mut cursor).await?;
        let samples = chunk.entries.into_iter().take(limit).map(|entry| {
            let mut record = Map::new();
            for (name, values) in &entry.attributes {
                if is_secret(name) {
                    continue;
                }
                let shown = values.iter().map(|value| shown(name, value));
                record.insert(name.clone(), shown.collect());
            }
            self.add_own(&entry, &mut record);
            Sample {
                place: place(&entry.dn),
                record: Json::Object(record),
            }
        });
        Ok(samples.collect())
    }
}

impl Wanted {
    fn new(mapping: &Mapping, preset: Preset) -> Result<Self, Error> {
        let names = |fields: &[&Field]| {
            let mut names = BTreeMap::new();
            for field in fields {
                let joined = field.transforms.iter().filter_map(|one| match one {
                    Transform::Join { with, .. } => Some(with.as_str()),
                    _ => None,
                });
                for from in std::iter::once(field.from.as_str()).chain(joined) {
                    match attribute(from) {
                        name if name == ENABLED => {
                            names.insert(CONTROL.to_lowercase(), CONTROL.to_owned());
                        }
                        name if name.is_empty() || own(&name) => {}
                        name => {
                            names.insert(name.clone(), name);
                        }
                    }
                }
            }
            names.into_values().collect::<Vec<_>>()
        };
        let mut people: Vec<_> = mapping.worker.iter().collect();
        let by_name = mapping.unit.is_empty();
        let index = |field: &&&Field| {
            field.target == Target::Id || (by_name && field.target == Target::Unit)
        };
        let index: Vec<_> = people.iter().filter(index).copied().collect();
        let index = names(&index);
        let photo = people
            .iter()
            .find(|field| field.target == Target::Photo)
            .map(|field| attribute(&field.from))
            .filter(|name| !name.is_empty() && !own(name));
        people.retain(|field| field.target != Target::Photo);
        let plain = |field: &Field| {
            let harmless = |one: &Transform| matches!(one, Transform::Trim);
            let name = attribute(&field.from);
            let whole = !field.from.starts_with('/');
            (whole && !name.is_empty() && !own(&name) && field.transforms.iter().all(harmless))
                .then_some(name)
        };
        let id = mapping
            .worker
            .iter()
            .find(|field| field.target == Target::Id);
        let id = id.and_then(plain);
        let writable = mapping
            .worker
            .iter()
            .filter_map(|field| match field.target {
                Target::Attribute(attribute) => plain(field).map(|_| attribute),
                _ => None,
            });
        let writable = writable.collect();
        let mut people = names(&people);
        if !people.iter().any(|name| name == preset.changed()) {
            people.push(preset.changed().to_owned());
        }
        let units: Vec<_> = mapping.unit.iter().collect();
        let units = names(&units);
        for name in people.iter().chain(&units).chain(&photo) {
            let form = name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ';'));
            if is_secret(name) || !form {
                let what = format!("must not read {}", quote(name));
                return Err(Error::setting("mapping", what));
            }
        }
        // Asking for no attribute at all would be asking for every one.
        let some = |mut names: Vec<String>| {
            if names.is_empty() {
                names.push("1.1".into());
            }
            names
        };
        Ok(Self {
            people: some(people),
            index: some(index),
            units: some(units),
            photo,
            id,
            writable,
        })
    }
}

fn endpoint<'s>(guard: &Guard, get: &dyn Fn(&str) -> Option<&'s str>) -> Result<Endpoint, Error> {
    let bad = |what: &str| Error::setting("url", what);
    let url = reqwest::Url::parse(get("url").unwrap_or_default())
        .map_err(|_| bad("is not an address such as ldaps://directory.example"))?;
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(bad("names no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("must not hold a name or password"));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(bad("must end after the host and port"));
    }
    let start_tls = match get("starttls").map(str::to_lowercase).as_deref() {
        None | Some("no") => false,
        Some("yes") => true,
        Some(_) => return Err(Error::setting("starttls", "must be yes or no")),
    };
    let (security, port) = match (url.scheme(), start_tls) {
        ("ldaps", false) => (Security::Tls, 636),
        ("ldap", true) => (Security::StartTls, 389),
        ("ldap", false) if guard.lists(host) => (Security::Plain, 389),
        ("ldap", false) => {
            return Err(bad(
                "must begin with ldaps://, or have StartTLS, or its host must be listed in OPTIMUS_ERP_HOSTS",
            ));
        }
        ("ldaps", true) => {
            return Err(Error::setting(
                "starttls",
                "belongs to ldap://; ldaps:// has TLS already",
            ));
        }
        _ => return Err(bad("must begin with ldaps:// or ldap://")),
    };
    Ok(Endpoint {
        host: host.to_ascii_lowercase(),
        port: url.port().unwrap_or(port),
        security,
        ca_file: get("ca_file").map(str::to_owned),
    })
}

/// The attribute that `from` of a mapping reads.
fn attribute(from: &str) -> String {
    match from.strip_prefix('/') {
        Some(pointer) => {
            let first = pointer.split('/').next().unwrap_or_default();
            first.replace("~1", "/").replace("~0", "~")
        }
        None => from.to_owned(),
    }
}

/// Whether we make it ourselves.
fn own(name: &str) -> bool {
    matches!(name, DN | PARENT | ENABLED)
}

/// Attributes that hold passwords and keys: not even shown to whoever may set up the mapping.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    [
        "password",
        "pwd",
        "secret",
        "krbprincipalkey",
        "msds-managed",
        "supplementalcredentials",
    ]
    .iter()
    .any(|word| name.contains(word))
}

fn key(name: &str) -> String {
    match dn::parts(name) {
        Some(parts) => dn::key(&parts),
        None => name.to_lowercase(),
    }
}

/// The id of whom `text` names; or the name, if nobody of that name was read.
fn person(text: &str, index: &Index) -> Result<String, String> {
    match dn::parts(text) {
        // Not a name but an id, by an attribute that holds ids.
        None => Ok(text.to_owned()),
        Some(parts) => match index.people.get(&dn::key(&parts)) {
            Some(id) => Ok(id.clone()),
            None => Err(text.to_owned()),
        },
    }
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

fn size(entry: &Entry) -> usize {
    let values = entry.attributes.iter().flat_map(|(_, values)| values);
    values.map(Vec::len).sum::<usize>() + entry.dn.len()
}

/// Where a fault is, by the name of the entry.
fn place(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect()
}

fn reference(addresses: &[String]) -> Fault {
    Fault {
        place: "the directory".into(),
        field: None,
        what: format!(
            "refers for a part of itself to {}, which was not followed; connect it as a source of its own",
            place(&addresses.join(" "))
        ),
        external_id: None,
        left_out: false,
    }
}

fn endless() -> Error {
    Error::Malformed {
        record: "the directory".into(),
        field: "its pages".into(),
        what: "come again and again and never end".into(),
    }
}

/// What the directory says it is.
fn name_of(root: &Entry) -> Option<String> {
    let text = |name: &str| {
        let value = root.values(name).first()?;
        std::str::from_utf8(value).ok().map(place)
    };
    if let Some(vendor) = text("vendorName") {
        return Some(match text("vendorVersion") {
            Some(version) => format!("{vendor} {version}"),
            None => vendor,
        });
    }
    let mut classes = root.values("objectClass").iter();
    if classes.any(|class| class.eq_ignore_ascii_case(b"OpenLDAProotDSE")) {
        return Some("OpenLDAP".into());
    }
    text("rootDomainNamingContext").map(|domain| format!("Active Directory {domain}"))
}

/// A value as the mapping reads it: text, an id in its usual form, or base64.
fn text(name: &str, value: &[u8]) -> Json {
    if name.eq_ignore_ascii_case(GUID)
        && let Some(guid) = guid(value)
    {
        return json!(guid);
    }
    match std::str::from_utf8(value) {
        Ok(text) => json!(text),
        Err(_) => json!(base64::engine::general_purpose::STANDARD.encode(value)),
    }
}

/// The same for people to look at: what is no text has a size alone.
fn shown(name: &str, value: &[u8]) -> Json {
    match text(name, value) {
        Json::String(text) if std::str::from_utf8(value).is_ok() || text.len() == 36 => {
            json!(text.chars().take(500).collect::<String>())
        }
        _ => json!(format!("({} bytes)", value.len())),
    }
}

/// Active Directory's id: 16 bytes, of which the first three parts stand
/// with the lowest byte first ([MS-DTYP] 2.3.4.2).
fn guid(bytes: &[u8]) -> Option<String> {
    let bytes: [u8; 16] = bytes.try_into().ok()?;
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut text = String::with_capacity(36);
    for (at, from) in order.into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{:02x}", bytes[from]));
    }
    Some(text)
}

fn guid_bytes(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    if digits.len() != 32 || !digits.is_ascii() {
        return None;
    }
    let mut bytes = [0; 16];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
    }
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    Some(order.map(|from| bytes[from]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_turned_round_and_back() {
        let bytes = [
            0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD,
            0xEE, 0xFF,
        ];
        let text = "00112233-4455-6677-8899-aabbccddeeff";
        assert_eq!(guid(&bytes).as_deref(), Some(text));
        assert_eq!(guid_bytes(text), Some(bytes));
        assert_eq!(guid(&bytes[1..]), None);
        assert_eq!(guid_bytes("no guid"), None);
    }

    #[test]
    fn a_password_is_never_asked_for() {
        for name in [
            "userPassword",
            "unicodePwd",
            "sambaNTPassword",
            "krbPrincipalKey",
        ] {
            let mapping = Mapping {
                worker: vec![
                    Field {
                        target: Target::Id,
                        from: "entryUUID".into(),
                        transforms: Vec::new(),
                    },
                    Field {
                        target: Target::Attribute(Attribute::Title),
                        from: name.into(),
                        transforms: Vec::new(),
                    },
                ],
                unit: Vec::new(),
            };
            let error = Wanted::new(&mapping, Preset::OpenLdap).expect_err("refused");
            assert!(error.to_string().contains("must not read"), "{error}");
        }
    }

    #[test]
    fn what_a_mapping_reads_is_what_is_asked_for() {
        let wanted = Wanted::new(
            &Preset::ActiveDirectory.mapping(true),
            Preset::ActiveDirectory,
        )
        .expect("a mapping");
        assert_eq!(wanted.photo.as_deref(), Some("thumbnailPhoto"));
        assert!(!wanted.people.contains(&"thumbnailPhoto".to_owned()));
        assert!(wanted.people.contains(&CONTROL.to_owned()));
        assert!(!wanted.people.iter().any(|name| own(name)));
        assert_eq!(wanted.index, [GUID]);
        assert_eq!(wanted.id.as_deref(), Some(GUID));
        assert!(wanted.writable.contains(&Attribute::Title));
        let wanted =
            Wanted::new(&Preset::OpenLdap.mapping(false), Preset::OpenLdap).expect("a mapping");
        assert_eq!(wanted.index, ["departmentNumber", "entryUUID"]);
    }
}
