//! What identity providers and HR systems push over SCIM, and the tokens they push with.
//!
//! A resource is kept as it was pushed, so that a client reads what it wrote.
//! Beside it, a user is a record of its source like any other: each change of
//! one is a run of that person alone ([`Store::push`]), with everything that a
//! run does: correlation, joining and leaving, journal, history, findings.
//!
//! A resource has an id of its own and not its employee's: there is no employee
//! while somebody is inactive or has to be decided about, and a decision may
//! move the record to somebody else. A resource that is pushed anew after its
//! deletion gets another id, but follows the same record, so that a rehire is one.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::atomic::{AtomicUsize, Ordering},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use domain::{
    Action, SourceId, Viewer,
    erp::{Fault, Worker},
    ids::uuid_v7,
    scim::{self, AttrPath, Code, Filter, Object, Operation, Refusal, ResourceType, TYPES, USER},
};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, SqlErr, Value as Sql};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{Error, Store, db, source};

/// The kind of source that is pushed.
pub const KIND: &str = "scim";
/// Most resources in an answer.
pub const PAGE_MAX: usize = 200;
/// Most resources that are looked through for a filter or an order that no index knows.
const LOOKED_THROUGH: usize = 50_000;
/// Resources that are looked through at a time.
const AT_ONCE: usize = 500;
/// Pushes that may wait for their turn.
const WAITING: usize = 64;
/// How exactly a token's last use is kept: not every request writes.
const USE_KEPT: TimeDelta = TimeDelta::minutes(1);
/// Most people who are pushed anew because their superior has come.
const REPORTS: usize = 5_000;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The request is wrong, in SCIM's words.
    #[error(transparent)]
    Scim(#[from] Refusal),
    /// Anything else, as everywhere.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<DbErr> for Refused {
    fn from(error: DbErr) -> Self {
        Self::Store(error.into())
    }
}

impl From<serde_json::Error> for Refused {
    fn from(error: serde_json::Error) -> Self {
        Self::Store(error.into())
    }
}

type Result<T, E = Refused> = std::result::Result<T, E>;

/// The turn of pushes in this process: one at a time, so that a client's next
/// request sees what its last one did.
#[derive(Default)]
pub(crate) struct Turns {
    turn: tokio::sync::Mutex<()>,
    waiting: AtomicUsize,
}

impl Turns {
    async fn take(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Error> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::Busy);
        }
        let turn = self.turn.lock().await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Ok(turn)
    }
}

/// What is known of a source's token. The token itself is told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A resource as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Its id.
    pub id: Uuid,
    /// User or group.
    pub kind: &'static ResourceType,
    /// What was pushed, in its one form; a group's members are in it.
    pub body: Object,
    /// Changes when what was pushed does.
    pub version: String,
    /// When it was pushed first.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub changed_at: DateTime<Utc>,
    /// The groups that have it as a member, with their names.
    pub groups: Vec<(Uuid, String)>,
    /// What a user's superior is called, if that is known.
    pub manager_name: Option<String>,
    /// The user's record of the source.
    record: String,
}

impl Resource {
    /// Everything that a client may read of it, but for addresses.
    #[must_use]
    pub fn object(&self) -> Object {
        let mut object = self.body.clone();
        let mut schemas = vec![self.kind.schema.id];
        schemas.extend(
            object
                .keys()
                .filter(|key| key.starts_with("urn:"))
                .map(String::as_str),
        );
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let schemas = json!(schemas);
        let meta = json!({
            "resourceType": self.kind.name,
            "created": time(self.created_at),
            "lastModified": time(self.changed_at),
            "version": format!("W/\"{}\"", self.version),
        });
        object.insert("schemas".into(), schemas);
        object.insert("id".into(), self.id.to_string().into());
        object.insert("meta".into(), meta);
        if !self.groups.is_empty() {
            let groups: Vec<_> = self
                .groups
                .iter()
                .map(|(id, name)| json!({ "value": id, "display": name, "type": "direct" }))
                .collect();
            object.insert("groups".into(), groups.into());
        }
        if let Some(name) = &self.manager_name
            && let Some(urn) = self.kind.extension.map(|extension| extension.id)
            && let Some(manager) = object
                .get_mut(urn)
                .and_then(|inner| inner.get_mut("manager"))
        {
            manager["displayName"] = name.as_str().into();
        }
        object
    }
}

/// What a client looks for.
#[derive(Debug, Clone)]
pub struct Search {
    /// Among which.
    pub kinds: Vec<&'static ResourceType>,
    /// Which of them; all without one.
    pub filter: Option<Filter>,
    /// By what they are sorted, and whether downwards; by id without it.
    pub sort: Option<(AttrPath, bool)>,
    /// The first one that is wanted, from 1.
    pub start: u64,
    /// How many, at most [`PAGE_MAX`].
    pub count: usize,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// How many there are.
    pub total: u64,
    /// Those that were asked for.
    pub resources: Vec<Resource>,
}

/// What is done to a resource.
enum Edit {
    Create(Object),
    Replace(Object),
    Patch(Vec<Operation>),
}

/// By what a user is found.
struct Keys {
    user_name: Option<String>,
    external_id: Option<String>,
    manager: Option<String>,
}

impl Keys {
    fn of(kind: &ResourceType, body: &Object) -> Self {
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let is_user = *kind == USER;
        Self {
            user_name: text("userName")
                .filter(|_| is_user)
                .map(|name| name.to_lowercase()),
            external_id: text("externalId"),
            manager: scim::manager(body).filter(|_| is_user).map(str::to_owned),
        }
    }
}

fn token_hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

/// Changes when the body does.
fn version(body: &Object) -> Result<String> {
    let bytes = serde_json::to_vec(body)?;
    Ok(hex::encode(&Sha256::digest(bytes)[..12]))
}

fn taken(error: DbErr) -> Refused {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => user_name_taken().into(),
        _ => error.into(),
    }
}

fn user_name_taken() -> Refusal {
    Refusal::new(Code::Uniqueness, "another user has this userName")
}

impl Store {
    /// Makes a source's token, in the place of the one before. What is answered
    /// is told this once: only its hash is kept. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a source that is not pushed.
    pub async fn renew_scim_token(
        &self,
        viewer: &Viewer,
        source: SourceId,
    ) -> Result<String, Error> {
        self.allow(viewer, Action::ManageSources)?;
        let mut change = self.change().await?;
        pushed(&change.tx, source).await?;
        let token = format!("scim_{}", URL_SAFE_NO_PAD.encode(self.random::<32>()));
        let write =
            "INSERT INTO scim_tokens (source_id, token_hash, created_at) VALUES ($1, $2, $3)
            ON CONFLICT (source_id) DO UPDATE SET token_hash = excluded.token_hash,
                created_at = excluded.created_at, last_used_at = NULL";
        let row = [source.0.into(), token_hash(&token).into(), change.at.into()];
        change
            .tx
            .execute_raw(db::sql(&change.tx, write, row))
            .await?;
        change.record(
            viewer,
            "source.token_made",
            source::subject(source),
            json!({}),
        );
        change.commit().await?;
        Ok(token)
    }

    /// Takes a source's token away: nothing can be pushed until there is
    /// another one. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a source that is not pushed, or has none.
    pub async fn revoke_scim_token(&self, viewer: &Viewer, source: SourceId) -> Result<(), Error> {
        self.allow(viewer, Action::ManageSources)?;
        let mut change = self.change().await?;
        pushed(&change.tx, source).await?;
        let delete = "DELETE FROM scim_tokens WHERE source_id = $1";
        let done = change
            .tx
            .execute_raw(db::sql(&change.tx, delete, [source.0.into()]))
            .await?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound);
        }
        change.record(
            viewer,
            "source.token_revoked",
            source::subject(source),
            json!({}),
        );
        change.commit().await
    }

    /// What is known of a source's token, if it has one. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn scim_token(
        &self,
        viewer: &Viewer,
        source: SourceId,
    ) -> Result<Option<Token>, Error> {
        self.allow(viewer, Action::ReadSources)?;
        let find = "SELECT created_at, last_used_at FROM scim_tokens WHERE source_id = $1";
        let row = self
            .db()
            .query_one_raw(db::sql(self.db(), find, [source.0.into()]))
            .await?;
        row.map(|row| {
            Ok(Token {
                created_at: row.try_get_by_index(0)?,
                last_used_at: row.try_get_by_index(1)?,
            })
        })
        .transpose()
    }

    /// The source that a token is for.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`].
    pub async fn scim_source(&self, viewer: &Viewer, token: &str) -> Result<SourceId, Error> {
        self.allow(viewer, Action::ManageSources)?;
        let find = "SELECT source_id, last_used_at FROM scim_tokens WHERE token_hash = $1";
        let row = self
            .db()
            .query_one_raw(db::sql(self.db(), find, [token_hash(token).into()]))
            .await?
            .ok_or(Error::Unauthenticated)?;
        let source = SourceId(row.try_get_by_index(0)?);
        let used: Option<DateTime<Utc>> = row.try_get_by_index(1)?;
        let now = self.now();
        if used.is_none_or(|used| used + USE_KEPT <= now) {
            let note = "UPDATE scim_tokens SET last_used_at = $2 WHERE source_id = $1";
            self.db()
                .execute_raw(db::sql(self.db(), note, [source.0.into(), now.into()]))
                .await?;
        }
        Ok(source)
    }

    /// What of the users of a source cannot be taken, by user. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn scim_faults(
        &self,
        viewer: &Viewer,
        source: SourceId,
    ) -> Result<Vec<Fault>, Error> {
        self.allow(viewer, Action::ReadSources)?;
        let find = "SELECT faults FROM scim_resources
            WHERE source_id = $1 AND deleted_at IS NULL AND faults <> '[]' ORDER BY id LIMIT 1000";
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), find, [source.0.into()]))
            .await?;
        let mut faults = Vec::new();
        for row in rows {
            faults.extend(serde_json::from_str::<Vec<Fault>>(
                &row.try_get_by_index::<String>(0)?,
            )?);
        }
        Ok(faults)
    }

    /// One resource of a source.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for another source's.
    pub async fn scim_resource(
        &self,
        viewer: &Viewer,
        source: SourceId,
        kind: &'static ResourceType,
        id: Uuid,
    ) -> Result<Resource> {
        self.allow(viewer, Action::ManageSources)?;
        let found = self
            .read_resources(
                "AND r.kind = $2 AND r.id = $3",
                source,
                [kind.name.into(), id.into()],
            )
            .await?;
        found.into_iter().next().ok_or(Error::NotFound.into())
    }

    /// The resources of a source that a client looks for. A filter for one
    /// `userName`, `externalId` or `id` goes by an index, any other looks at every resource.
    ///
    /// # Errors
    /// [`Code::TooMany`] where that would be more than 50,000.
    pub async fn scim_search(
        &self,
        viewer: &Viewer,
        source: SourceId,
        search: &Search,
    ) -> Result<Found> {
        self.allow(viewer, Action::ManageSources)?;
        let kinds: Vec<Sql> = search.kinds.iter().map(|kind| kind.name.into()).collect();
        let among = format!("AND r.kind IN ({})", db::places(2, kinds.len()));
        let next = kinds.len() + 2;
        let skip = usize::try_from(search.start.saturating_sub(1)).unwrap_or(usize::MAX);
        let (filter, sort) = match (&search.filter, &search.sort) {
            (None, None) => {
                let ask = format!(
                    "SELECT count(*) FROM scim_resources r WHERE r.source_id = $1 AND r.deleted_at IS NULL {among}"
                );
                let values = std::iter::once(source.0.into()).chain(kinds.clone());
                let row = self
                    .db()
                    .query_one_raw(db::sql(self.db(), ask, values))
                    .await?
                    .ok_or(Error::NotFound)?;
                let total = u64::try_from(row.try_get_by_index::<i64>(0)?).unwrap_or(0);
                let resources = if search.count == 0 {
                    Vec::new()
                } else {
                    let page = format!(
                        "{among} ORDER BY r.id LIMIT {} OFFSET {}",
                        search.count.min(PAGE_MAX),
                        i64::try_from(skip).unwrap_or(i64::MAX)
                    );
                    self.read_resources(&page, source, kinds).await?
                };
                return Ok(Found { total, resources });
            }
            (filter, sort) => (filter.as_ref(), sort.as_ref()),
        };
        let mut found = Vec::new();
        if let Some((column, value)) = filter.and_then(indexed) {
            let page = format!("{among} AND {column} = ${next} ORDER BY r.id");
            let values = kinds.into_iter().chain([value]);
            found = self.read_resources(&page, source, values).await?;
            found.retain(|one| filter.is_none_or(|filter| filter.matches(one.kind, &one.object())));
        } else {
            let mut after = Uuid::nil();
            let mut seen = 0;
            loop {
                let page = format!("{among} AND r.id > ${next} ORDER BY r.id LIMIT {AT_ONCE}");
                let values = kinds.iter().cloned().chain([after.into()]);
                let read = self.read_resources(&page, source, values).await?;
                let Some(last) = read.last() else { break };
                after = last.id;
                seen += read.len();
                if seen > LOOKED_THROUGH {
                    return Err(Refusal::new(
                        Code::TooMany,
                        format!("more than {LOOKED_THROUGH} resources would have to be looked through; filter by userName, externalId or id"),
                    )
                    .into());
                }
                found.extend(read.into_iter().filter(|one| {
                    filter.is_none_or(|filter| filter.matches(one.kind, &one.object()))
                }));
            }
        }
        if let Some((path, down)) = sort {
            // Those without a value come last, or downwards first (RFC 7644, section 3.4.2.3).
            found.sort_by_cached_key(|one| {
                let key = sort_key(one, path);
                (key.is_none(), key)
            });
            if *down {
                found.reverse();
            }
        }
        Ok(Found {
            total: found.len() as u64,
            resources: found
                .into_iter()
                .skip(skip)
                .take(search.count.min(PAGE_MAX))
                .collect(),
        })
    }

    /// Takes a new resource.
    ///
    /// # Errors
    /// [`Code::Uniqueness`], [`Code::InvalidValue`]; [`Error::Busy`] when others push so
    /// much that this one had to wait too long; [`Error::Conflict`] `source_paused`.
    pub async fn scim_create(
        &self,
        viewer: &Viewer,
        source: SourceId,
        kind: &'static ResourceType,
        body: Object,
    ) -> Result<Resource> {
        self.edit(viewer, source, kind, None, None, Edit::Create(body))
            .await
    }

    /// Puts another body in a resource's place.
    ///
    /// # Errors
    /// Those of [`Store::scim_create`], [`Error::NotFound`], and [`Error::Conflict`]
    /// `stale_version` if `version` is not the resource's.
    pub async fn scim_replace(
        &self,
        viewer: &Viewer,
        source: SourceId,
        kind: &'static ResourceType,
        id: Uuid,
        version: Option<&str>,
        body: Object,
    ) -> Result<Resource> {
        self.edit(viewer, source, kind, Some(id), version, Edit::Replace(body))
            .await
    }

    /// Applies the operations of a PATCH.
    ///
    /// # Errors
    /// Those of [`Store::scim_replace`] and of [`scim::apply`].
    pub async fn scim_patch(
        &self,
        viewer: &Viewer,
        source: SourceId,
        kind: &'static ResourceType,
        id: Uuid,
        version: Option<&str>,
        operations: Vec<Operation>,
    ) -> Result<Resource> {
        self.edit(
            viewer,
            source,
            kind,
            Some(id),
            version,
            Edit::Patch(operations),
        )
        .await
    }

    /// Deletes a resource. A user has left by that: every sign-in ends at once.
    ///
    /// # Errors
    /// Those of [`Store::scim_replace`].
    pub async fn scim_delete(
        &self,
        viewer: &Viewer,
        source: SourceId,
        kind: &'static ResourceType,
        id: Uuid,
        version: Option<&str>,
    ) -> Result<()> {
        self.allow(viewer, Action::ManageSources)?;
        let _turn = self.0.scim.take().await?;
        not_paused(self.db(), source).await?;
        let before = self.scim_resource(viewer, source, kind, id).await?;
        fits(&before, version)?;
        // First the person, then the resource: should this end between the two,
        // the client asks again, and nobody stays by mistake.
        if *kind == USER {
            let mut gone = self.worker_of(source, &before).await?.0;
            gone.active = false;
            self.push(viewer, source, vec![gone], Vec::new()).await?;
        }
        let mut change = self.change().await?;
        let delete = "UPDATE scim_resources SET deleted_at = $2, changed_at = $2, body = '{}', faults = '[]', manager = NULL
            WHERE id = $1 AND deleted_at IS NULL";
        let values = [id.into(), change.at.into()];
        change
            .tx
            .execute_raw(db::sql(&change.tx, delete, values))
            .await?;
        let members = "DELETE FROM scim_members WHERE group_id = $1 OR member_id = $1";
        change
            .tx
            .execute_raw(db::sql(&change.tx, members, [id.into()]))
            .await?;
        let detail = json!({ "resource": id, "type": kind.name, "name": name_of(&before.body) });
        change.record(
            viewer,
            "source.resource_deleted",
            source::subject(source),
            detail,
        );
        change.commit().await?;
        Ok(())
    }

    /// Has what was decided about a pushed record come true; for any other
    /// source the next run does.
    pub(crate) async fn follow_decision(
        &self,
        viewer: &Viewer,
        source: SourceId,
        record: &str,
    ) -> Result<(), Error> {
        let found = self
            .read_resources("AND r.record = $2", source, [record.into()])
            .await;
        let done = match found {
            Ok(found) => match found.first() {
                Some(resource) => {
                    let _turn = self.0.scim.take().await?;
                    self.push_user(viewer, source, resource, Vec::new()).await
                }
                None => Ok(()),
            },
            Err(refused) => Err(refused),
        };
        done.map_err(|refused| match refused {
            Refused::Store(error) => error,
            Refused::Scim(refusal) => Error::Internal(refusal.to_string()),
        })
    }

    async fn edit(
        &self,
        viewer: &Viewer,
        source: SourceId,
        kind: &'static ResourceType,
        id: Option<Uuid>,
        expected: Option<&str>,
        edit: Edit,
    ) -> Result<Resource> {
        self.allow(viewer, Action::ManageSources)?;
        let _turn = self.0.scim.take().await?;
        not_paused(self.db(), source).await?;
        let before = match id {
            Some(id) => Some(self.scim_resource(viewer, source, kind, id).await?),
            None => None,
        };
        if let Some(before) = &before {
            fits(before, expected)?;
        }
        let (verb, mut body) = match (edit, &before) {
            (Edit::Create(body), _) => ("source.resource_made", body),
            (Edit::Replace(body), _) => ("source.resource_changed", body),
            (Edit::Patch(operations), Some(before)) => (
                "source.resource_changed",
                scim::apply(kind, &before.body, operations)?,
            ),
            (Edit::Patch(_), None) => return Err(Error::NotFound.into()),
        };
        order_members(before.as_ref().map(|before| &before.body), &mut body);
        if let Some(before) = before.filter(|before| before.body == body) {
            // Whatever an earlier push did not come to is made good.
            if *kind == USER {
                self.push_user(viewer, source, &before, Vec::new()).await?;
            }
            return Ok(before);
        }
        let before = match id {
            Some(id) => Some(self.scim_resource(viewer, source, kind, id).await?),
            None => None,
        };
        let written = self
            .write_resource(viewer, source, kind, before.as_ref(), body, verb)
            .await?;
        if *kind == USER {
            let keys = Keys::of(kind, &written.body);
            let known_as = before.as_ref().map(|before| {
                let keys = Keys::of(kind, &before.body);
                (keys.user_name, keys.external_id)
            });
            let reports = if known_as == Some((keys.user_name.clone(), keys.external_id.clone())) {
                Vec::new()
            } else {
                self.reports_of(source, &written).await?
            };
            let pushed = self.push_user(viewer, source, &written, reports).await;
            if let Err(refused) = pushed {
                if before.is_none() {
                    // A client that is told of an error sends the same again.
                    self.forget_resource(written.id).await?;
                }
                return Err(refused);
            }
        }
        self.scim_resource(viewer, source, kind, written.id).await
    }

    /// Writes a resource and its members.
    async fn write_resource(
        &self,
        viewer: &Viewer,
        source: SourceId,
        kind: &'static ResourceType,
        before: Option<&Resource>,
        body: Object,
        verb: &str,
    ) -> Result<Resource> {
        let keys = Keys::of(kind, &body);
        let mut change = self.change().await?;
        let at = change.at;
        let id = match before {
            Some(before) => before.id,
            None => uuid_v7(at, self.random()),
        };
        let mut resource = Resource {
            id,
            kind,
            version: version(&body)?,
            body,
            created_at: before.map_or(at, |before| before.created_at),
            changed_at: at,
            groups: Vec::new(),
            manager_name: None,
            record: match before {
                Some(before) => before.record.clone(),
                None => match earlier_record(&change.tx, source, &keys).await? {
                    Some(record) => record,
                    None => id.to_string(),
                },
            },
        };
        if let Some(user_name) = &keys.user_name {
            let find = "SELECT 1 FROM scim_resources
                WHERE source_id = $1 AND user_name = $2 AND deleted_at IS NULL AND id <> $3";
            let values = [source.0.into(), user_name.as_str().into(), id.into()];
            let other = change
                .tx
                .query_one_raw(db::sql(&change.tx, find, values))
                .await?;
            if other.is_some() {
                return Err(user_name_taken().into());
            }
        }
        let mut kept = resource.body.clone();
        let members = kept.remove("members").filter(|_| *kind != USER);
        let faults = if *kind == USER {
            scim::worker(&resource.body, &resource.record, None).1
        } else {
            Vec::new()
        };
        let row = [
            id.into(),
            source.0.into(),
            kind.name.into(),
            resource.record.as_str().into(),
            keys.user_name.into(),
            keys.external_id.into(),
            keys.manager.into(),
            serde_json::to_string(&kept)?.into(),
            resource.version.as_str().into(),
            serde_json::to_string(&faults)?.into(),
            resource.created_at.into(),
            at.into(),
        ];
        let write = "INSERT INTO scim_resources (id, source_id, kind, record, user_name, external_id, manager,
                body, version, faults, created_at, changed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            ON CONFLICT (id) DO UPDATE SET user_name = excluded.user_name, external_id = excluded.external_id,
                manager = excluded.manager, body = excluded.body, version = excluded.version,
                faults = excluded.faults, changed_at = excluded.changed_at";
        change
            .tx
            .execute_raw(db::sql(&change.tx, write, row))
            .await
            .map_err(taken)?;
        write_members(&change.tx, source, id, before, members.as_ref()).await?;
        let detail = json!({ "resource": id, "type": kind.name, "name": name_of(&resource.body) });
        change.record(viewer, verb, source::subject(source), detail);
        change.commit().await?;
        resource.groups = before.map_or_else(Vec::new, |before| before.groups.clone());
        Ok(resource)
    }

    /// Takes back a resource whose person could not be taken.
    async fn forget_resource(&self, id: Uuid) -> Result<()> {
        let delete = "DELETE FROM scim_resources WHERE id = $1";
        self.db()
            .execute_raw(db::sql(self.db(), delete, [id.into()]))
            .await?;
        Ok(())
    }

    /// Pushes a user, and those who wait for them as their superior, through the engine.
    async fn push_user(
        &self,
        viewer: &Viewer,
        source: SourceId,
        user: &Resource,
        reports: Vec<Resource>,
    ) -> Result<()> {
        let (worker, mut faults) = self.worker_of(source, user).await?;
        let has_photo = worker.photo.is_some();
        let mut workers = vec![worker];
        for report in &reports {
            let (worker, more) = self.worker_of(source, report).await?;
            workers.push(worker);
            faults.extend(more);
        }
        self.push(viewer, source, workers, faults).await?;
        if has_photo {
            self.put_pushed_photo(viewer, source, user).await?;
        }
        Ok(())
    }

    /// Puts the photo that came as data, if the record waits for it.
    async fn put_pushed_photo(
        &self,
        viewer: &Viewer,
        source: SourceId,
        user: &Resource,
    ) -> Result<()> {
        let find = "SELECT 1 FROM erp_records
            WHERE source_id = $1 AND external_id = $2 AND photo_wanted IS NOT NULL AND active";
        let values = [source.0.into(), user.record.as_str().into()];
        let waits = self
            .db()
            .query_one_raw(db::sql(self.db(), find, values))
            .await?;
        if waits.is_none() {
            return Ok(());
        }
        let data = scim::photo(&user.body).and_then(|address| address.split_once(";base64,"));
        // Nothing readable is a finding, which says so where people look for it.
        let bytes = data
            .and_then(|(_, text)| STANDARD.decode(text.trim()).ok())
            .unwrap_or_default();
        self.put_erp_photo(viewer, source, &user.record, bytes)
            .await?;
        Ok(())
    }

    /// What a user says about a person. A superior who is not here is told by
    /// what the client calls them, which the chart reports.
    async fn worker_of(&self, source: SourceId, user: &Resource) -> Result<(Worker, Vec<Fault>)> {
        let manager = match scim::manager(&user.body) {
            None => None,
            Some(reference) => {
                let find = "SELECT record, id, external_id FROM scim_resources
                    WHERE source_id = $1 AND kind = $2 AND deleted_at IS NULL
                    AND (id = $3 OR external_id = $4 OR user_name = $5)";
                let values = [
                    source.0.into(),
                    USER.name.into(),
                    reference.parse::<Uuid>().unwrap_or_default().into(),
                    reference.into(),
                    reference.to_lowercase().into(),
                ];
                let rows = self
                    .db()
                    .query_all_raw(db::sql(self.db(), find, values))
                    .await?;
                let mut meant = Vec::with_capacity(rows.len());
                for row in rows {
                    let record: String = row.try_get_by_index(0)?;
                    let id: Uuid = row.try_get_by_index(1)?;
                    let external_id: Option<String> = row.try_get_by_index(2)?;
                    let by_id = id.to_string().eq_ignore_ascii_case(reference);
                    let by_external_id = external_id.as_deref() == Some(reference);
                    meant.push((!by_id, !by_external_id, record));
                }
                let dearest = meant.into_iter().min().map(|(.., record)| record);
                Some(dearest.unwrap_or_else(|| reference.to_owned()))
            }
        };
        Ok(scim::worker(&user.body, &user.record, manager))
    }

    /// The users who call this one their superior.
    async fn reports_of(&self, source: SourceId, user: &Resource) -> Result<Vec<Resource>> {
        let mut names = vec![user.id.to_string()];
        for name in ["userName", "externalId"] {
            names.extend(
                user.body
                    .get(name)
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
        }
        let more = format!(
            "AND r.manager IN ({}) AND r.id <> ${} ORDER BY r.id LIMIT {REPORTS}",
            db::places(2, names.len()),
            names.len() + 2
        );
        let values = names.into_iter().map(Sql::from).chain([user.id.into()]);
        self.read_resources(&more, source, values).await
    }

    /// The resources of a source that are there; `more` narrows and orders them, from `$2` on.
    async fn read_resources(
        &self,
        more: &str,
        source: SourceId,
        values: impl IntoIterator<Item = Sql>,
    ) -> Result<Vec<Resource>> {
        let find = format!(
            "SELECT r.id, r.kind, r.record, r.body, r.version, r.created_at, r.changed_at
            FROM scim_resources r WHERE r.source_id = $1 AND r.deleted_at IS NULL {more}"
        );
        let values = std::iter::once(source.0.into()).chain(values);
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), find, values))
            .await?;
        let mut resources = rows.iter().map(read_resource).collect::<Result<Vec<_>>>()?;
        self.fill(source, &mut resources).await?;
        Ok(resources)
    }

    /// Adds what stands in other tables: members, groups, superiors' names.
    async fn fill(&self, source: SourceId, resources: &mut [Resource]) -> Result<()> {
        let place: HashMap<Uuid, usize> = resources
            .iter()
            .enumerate()
            .map(|(place, one)| (one.id, place))
            .collect();
        let ids: Vec<Uuid> = resources.iter().map(|one| one.id).collect();
        for ids in ids.chunks(AT_ONCE) {
            let values = || ids.iter().map(|id| Sql::from(*id));
            let find = format!(
                "SELECT group_id, body FROM scim_members WHERE group_id IN ({}) ORDER BY group_id, place",
                db::places(1, ids.len())
            );
            let mut members: BTreeMap<Uuid, Vec<Value>> = BTreeMap::new();
            for row in self
                .db()
                .query_all_raw(db::sql(self.db(), find, values()))
                .await?
            {
                let body: String = row.try_get_by_index(1)?;
                members
                    .entry(row.try_get_by_index(0)?)
                    .or_default()
                    .push(serde_json::from_str(&body)?);
            }
            for (group, members) in members {
                if let Some(place) = place.get(&group) {
                    resources[*place]
                        .body
                        .insert("members".into(), members.into());
                }
            }
            let find = format!(
                "SELECT m.member_id, g.id, g.body FROM scim_members m JOIN scim_resources g ON g.id = m.group_id
                WHERE m.member_id IN ({}) AND g.deleted_at IS NULL ORDER BY g.id",
                db::places(1, ids.len())
            );
            for row in self
                .db()
                .query_all_raw(db::sql(self.db(), find, values()))
                .await?
            {
                let member: Uuid = row.try_get_by_index(0)?;
                let body: Object = serde_json::from_str(&row.try_get_by_index::<String>(2)?)?;
                if let Some(place) = place.get(&member) {
                    let group = (row.try_get_by_index(1)?, name_of(&body).to_owned());
                    resources[*place].groups.push(group);
                }
            }
        }
        let managers: HashSet<Uuid> = resources
            .iter()
            .filter_map(|one| scim::manager(&one.body)?.parse().ok())
            .collect();
        if managers.is_empty() {
            return Ok(());
        }
        let managers: Vec<_> = managers.into_iter().collect();
        let mut names: HashMap<Uuid, String> = HashMap::new();
        for ids in managers.chunks(AT_ONCE) {
            let find = format!(
                "SELECT id, body FROM scim_resources WHERE source_id = $1 AND deleted_at IS NULL AND id IN ({})",
                db::places(2, ids.len())
            );
            let values = std::iter::once(source.0.into()).chain(ids.iter().map(|id| (*id).into()));
            for row in self
                .db()
                .query_all_raw(db::sql(self.db(), find, values))
                .await?
            {
                let body: Object = serde_json::from_str(&row.try_get_by_index::<String>(1)?)?;
                names.insert(row.try_get_by_index(0)?, name_of(&body).to_owned());
            }
        }
        for one in resources {
            let manager = scim::manager(&one.body).and_then(|id| id.parse::<Uuid>().ok());
            one.manager_name = manager.and_then(|id| names.get(&id).cloned());
        }
        Ok(())
    }
}

fn read_resource(row: &QueryResult) -> Result<Resource> {
    let kind: String = row.try_get_by_index(1)?;
    let kind = TYPES
        .into_iter()
        .find(|one| one.name == kind)
        .ok_or_else(|| Error::Internal("a resource is of no type that there is".into()))?;
    Ok(Resource {
        id: row.try_get_by_index(0)?,
        kind,
        record: row.try_get_by_index(2)?,
        body: serde_json::from_str(&row.try_get_by_index::<String>(3)?)?,
        version: row.try_get_by_index(4)?,
        created_at: row.try_get_by_index(5)?,
        changed_at: row.try_get_by_index(6)?,
        groups: Vec::new(),
        manager_name: None,
    })
}

/// What a resource is called.
fn name_of(body: &Object) -> &str {
    ["displayName", "userName"]
        .iter()
        .find_map(|name| body.get(*name)?.as_str())
        .unwrap_or_default()
}

/// The column and value by which a filter finds what it means.
fn indexed(filter: &Filter) -> Option<(&'static str, Sql)> {
    let (path, text) = filter.as_equality()?;
    let core = path
        .schema
        .as_deref()
        .is_none_or(|urn| urn.eq_ignore_ascii_case(USER.schema.id));
    if !core || path.sub.is_some() {
        return None;
    }
    let name = path.name.as_deref()?;
    if name.eq_ignore_ascii_case("userName") {
        Some(("r.user_name", text.to_lowercase().into()))
    } else if name.eq_ignore_ascii_case("externalId") {
        Some(("r.external_id", text.into()))
    } else if name.eq_ignore_ascii_case("id") {
        Some(("r.id", text.parse::<Uuid>().unwrap_or_default().into()))
    } else {
        None
    }
}

/// The text by which a resource is sorted: of several values the primary one, else the first.
fn sort_key(resource: &Resource, path: &AttrPath) -> Option<String> {
    let object = resource.object();
    let mut scope = &object;
    if let Some(urn) = path
        .schema
        .as_deref()
        .filter(|urn| !urn.eq_ignore_ascii_case(resource.kind.schema.id))
    {
        scope = object.get(resource.kind.extension(urn)?.id)?.as_object()?;
    }
    let name = path.name.as_deref()?;
    let attr = match path
        .schema
        .as_deref()
        .and_then(|urn| resource.kind.extension(urn))
    {
        Some(extension) => extension.attribute(name),
        None => resource.kind.attribute(name),
    }?;
    let mut value = scope.get(attr.name)?;
    if let Value::Array(items) = value {
        let primary = items
            .iter()
            .find(|item| item["primary"] == Value::Bool(true));
        value = primary.or(items.first())?;
    }
    let exact = match value {
        Value::Object(_) => {
            let sub = attr.sub(path.sub.as_deref().unwrap_or("value"))?;
            value = value.get(sub.name)?;
            sub.exact
        }
        _ => attr.exact,
    };
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some(if exact { text } else { text.to_lowercase() })
}

/// Fails unless `version` is the resource's, or nobody asked for one.
fn fits(resource: &Resource, version: Option<&str>) -> Result<(), Error> {
    match version {
        Some(version) if version != resource.version => Err(Error::Conflict("stale_version")),
        _ => Ok(()),
    }
}

/// Fails unless the source is one that is pushed.
async fn pushed(conn: &impl ConnectionTrait, source: SourceId) -> Result<(), Error> {
    let find = "SELECT 1 FROM sources WHERE id = $1 AND kind = $2";
    let found = conn
        .query_one_raw(db::sql(conn, find, [source.0.into(), KIND.into()]))
        .await?;
    found.map(drop).ok_or(Error::NotFound)
}

/// Fails while somebody has paused the source.
async fn not_paused(conn: &impl ConnectionTrait, source: SourceId) -> Result<(), Error> {
    let find = "SELECT 1 FROM sources WHERE id = $1 AND paused_since IS NOT NULL";
    let found = conn
        .query_one_raw(db::sql(conn, find, [source.0.into()]))
        .await?;
    found.map_or(Ok(()), |_| Err(Error::Conflict("source_paused")))
}

/// The record of a user who was deleted and comes back. An externalId tells
/// people apart where both have one: a userName may go to somebody else.
async fn earlier_record(
    conn: &impl ConnectionTrait,
    source: SourceId,
    keys: &Keys,
) -> Result<Option<String>> {
    let Some(user_name) = &keys.user_name else {
        return Ok(None);
    };
    let find = "SELECT r.record, r.external_id FROM scim_resources r
        WHERE r.source_id = $1 AND r.deleted_at IS NOT NULL AND (r.external_id = $2 OR r.user_name = $3)
        AND NOT EXISTS (SELECT 1 FROM scim_resources o
            WHERE o.source_id = r.source_id AND o.record = r.record AND o.deleted_at IS NULL)
        ORDER BY r.deleted_at DESC, r.id DESC";
    let values = [
        source.0.into(),
        keys.external_id.clone().into(),
        user_name.as_str().into(),
    ];
    let mut by_name = None;
    for row in conn.query_all_raw(db::sql(conn, find, values)).await? {
        let record: String = row.try_get_by_index(0)?;
        let external_id: Option<String> = row.try_get_by_index(1)?;
        match (&external_id, &keys.external_id) {
            (Some(before), Some(now)) if before == now => return Ok(Some(record)),
            (Some(_), Some(_)) => {}
            _ => by_name = by_name.or(Some(record)),
        }
    }
    Ok(by_name)
}

/// Members who stay keep their order, and new ones come after them.
fn order_members(before: Option<&Object>, body: &mut Object) {
    let Some(Value::Array(now)) = body.get_mut("members") else {
        return;
    };
    let places: HashMap<&str, usize> = before
        .and_then(|before| before.get("members")?.as_array())
        .into_iter()
        .flatten()
        .enumerate()
        .filter_map(|(place, member)| Some((member["value"].as_str()?, place)))
        .collect();
    let mut seen = HashSet::new();
    now.retain(|member| {
        member["value"]
            .as_str()
            .is_none_or(|id| seen.insert(id.to_ascii_lowercase()))
    });
    now.sort_by_key(|member| {
        let place = member["value"].as_str().and_then(|id| places.get(id));
        place.copied().unwrap_or(usize::MAX)
    });
}

/// Writes the members who came, changed or went.
async fn write_members(
    tx: &sea_orm::DatabaseTransaction,
    source: SourceId,
    group: Uuid,
    before: Option<&Resource>,
    now: Option<&Value>,
) -> Result<()> {
    let list = |members: Option<&Value>| -> Result<Vec<(Uuid, Value)>> {
        let members = members.and_then(Value::as_array).into_iter().flatten();
        members
            .map(|member| {
                let id = member["value"].as_str().and_then(|id| id.parse().ok());
                let id = id.ok_or_else(|| unknown_member(&member["value"]))?;
                Ok((id, member.clone()))
            })
            .collect()
    };
    let was = list(before.and_then(|before| before.body.get("members")))?;
    let now = list(now)?;
    let mut place = 0;
    let mut write = Vec::new();
    let known: HashMap<Uuid, &Value> = was.iter().map(|(id, body)| (*id, body)).collect();
    if let Some(before) = before {
        let find = "SELECT COALESCE(MAX(place), 0) FROM scim_members WHERE group_id = $1";
        if let Some(row) = tx
            .query_one_raw(db::sql(tx, find, [before.id.into()]))
            .await?
        {
            place = row.try_get_by_index::<i64>(0)?;
        }
    }
    let new: Vec<Uuid> = now
        .iter()
        .map(|(id, _)| *id)
        .filter(|id| !known.contains_key(id))
        .collect();
    let mut there = HashSet::new();
    for ids in new.chunks(AT_ONCE) {
        let find = format!(
            "SELECT id FROM scim_resources WHERE source_id = $1 AND deleted_at IS NULL AND id IN ({})",
            db::places(2, ids.len())
        );
        let values = std::iter::once(source.0.into()).chain(ids.iter().map(|id| (*id).into()));
        for row in tx.query_all_raw(db::sql(tx, find, values)).await? {
            there.insert(row.try_get_by_index::<Uuid>(0)?);
        }
    }
    if let Some(nobody) = new.iter().find(|id| !there.contains(id) || **id == group) {
        return Err(unknown_member(&json!(nobody)).into());
    }
    for (id, body) in &now {
        if known.get(id).is_none_or(|before| *before != body) {
            place += 1;
            let text = serde_json::to_string(body)?;
            write.push([group.into(), (*id).into(), place.into(), text.into()]);
        }
    }
    let stay: HashSet<Uuid> = now.iter().map(|(id, _)| *id).collect();
    let gone: Vec<Uuid> = was
        .iter()
        .map(|(id, _)| *id)
        .filter(|id| !stay.contains(id))
        .collect();
    for ids in gone.chunks(AT_ONCE) {
        let delete = format!(
            "DELETE FROM scim_members WHERE group_id = $1 AND member_id IN ({})",
            db::places(2, ids.len())
        );
        let values = std::iter::once(group.into()).chain(ids.iter().map(|id| (*id).into()));
        tx.execute_raw(db::sql(tx, delete, values)).await?;
    }
    db::bulk(tx, write, |rows| {
        format!(
            "INSERT INTO scim_members (group_id, member_id, place, body) VALUES {rows}
            ON CONFLICT (group_id, member_id) DO UPDATE SET body = excluded.body"
        )
    })
    .await?;
    Ok(())
}

fn unknown_member(id: &Value) -> Refusal {
    let id = id.as_str().unwrap_or_default();
    let id: String = id.chars().take(60).collect();
    Refusal::new(
        Code::InvalidValue,
        format!("members: {id:?} is no resource of this source"),
    )
}
