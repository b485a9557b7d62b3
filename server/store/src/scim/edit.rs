//! Taking, changing and deleting resources.

use std::collections::{HashMap, HashSet};

use domain::{
    Action, SourceId, Viewer,
    ids::uuid_v7,
    scim::{self, Code, Object, Operation, Refusal, ResourceType, USER},
};
use sea_orm::{ConnectionTrait, DbErr, SqlErr};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::Refused;
use super::{AT_ONCE, Resource, Result, not_paused, resource::name_of};
use crate::{Error, Store, db, source};

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

    /// Deletes a resource. A user has left by that: every sign-in ends at once,
    /// unless they are held back as one of too many ([`Store::leavers`]).
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
            let gone = self.hold_back(viewer, source, vec![gone]).await?;
            self.push(viewer, source, gone, Vec::new()).await?;
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
}

/// Fails unless `version` is the resource's, or nobody asked for one.
fn fits(resource: &Resource, version: Option<&str>) -> Result<(), Error> {
    match version {
        Some(version) if version != resource.version => Err(Error::Conflict("stale_version")),
        _ => Ok(()),
    }
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
