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
    collections::HashSet,
    sync::{Arc, PoisonError},
};

use async_trait::async_trait;
use domain::{
    Attribute, Value,
    erp::{Photo, Watermark},
    mapping::{Mapping, Target},
};
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use serde_json::{Map, Value as Json};
use tokio::sync::Mutex;

use crate::{
    Access, ErpAdapter, Error, Guard, PHOTO_BYTES, Page, Probe, Readable, Sample, Structure,
    WorkerIds,
    mapped::moment,
    registry::{Kind, Setting, optional, setting},
    words::{circle, quote},
};

mod cursor;
mod dn;
mod entry;
mod index;
mod preset;
mod pull;
mod wanted;
mod wire;

use entry::{GUID, add_own, attribute, guid_bytes, is_secret, key, own, place, shown};
use index::Index;
use preset::Preset;
pub(crate) use preset::default_mapping;
use pull::Reading;
use wanted::Wanted;
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
    /// Who was there in a full pull that has just ended.
    met: std::sync::Mutex<Option<WorkerIds>>,
}

impl std::fmt::Debug for Ldap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ldap")
            .field("endpoint", &self.endpoint)
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
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
            met: std::sync::Mutex::new(None),
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
        wire.first(&search).await
    }

    /// The entry of that name, if it is a person's; none too where it is elsewhere or may not be seen.
    async fn at(&self, wire: &mut Wire, dn: &str, attribute: &str) -> Result<Option<Entry>, Error> {
        let search = Search {
            base: dn.to_owned(),
            deep: false,
            filter: self.people.clone(),
            attributes: vec![attribute.to_owned()],
            page: None,
        };
        match wire.first(&search).await {
            Err(Error::Setting { .. } | Error::Rejected { .. }) => Ok(None),
            found => found,
        }
    }

    /// What `attribute` of `person` holds when the person with the id is above them: the
    /// superior's name, or the id where it holds ids. A directory takes a circle of
    /// superiors without a word; one that is there already ends the way up.
    async fn superior_to_be(
        &self,
        wire: &mut Wire,
        person: &Entry,
        attribute: &str,
        id: &str,
    ) -> Result<String, Error> {
        let nobody = || Error::Rejected {
            what: format!("has nobody with the id {}", quote(id)),
        };
        let asked = [attribute.to_owned()];
        let above = self.find(wire, id, &asked).await?.ok_or_else(nobody)?;
        let name = above.dn.clone();
        let (mut next, mut seen) = (Some(above), HashSet::new());
        while let Some(entry) = next.filter(|entry| seen.insert(key(&entry.dn))) {
            if key(&entry.dn) == key(&person.dn) {
                return Err(circle());
            }
            next = match entry.text(attribute) {
                None => None,
                Some(text) if dn::parts(text).is_some() => self.at(wire, text, attribute).await?,
                Some(id) => self.find(wire, id, &asked).await?,
            };
        }
        let ids = person
            .text(attribute)
            .is_some_and(|held| dn::parts(held).is_none());
        Ok(if ids { id.to_owned() } else { name })
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
        *self.met.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
        // A full pull has just met everyone.
        let met = self
            .met
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(met) = met {
            return Ok(met);
        }
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
            fields.into_iter().find(|field| match field.target {
                Target::Manager => attribute == Attribute::Manager,
                target => target == Target::Attribute(attribute),
            })
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
            Some(Value::Text(id)) if attribute == Attribute::Manager && !id.is_empty() => {
                vec![self.superior_to_be(&mut wire, &entry, &name, id).await?]
            }
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
            add_own(self.preset, &entry, &mut record);
            Sample {
                place: place(&entry.dn),
                record: Json::Object(record),
            }
        });
        Ok(samples.collect())
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
