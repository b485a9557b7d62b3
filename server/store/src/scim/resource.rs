//! Resources as they are kept, and how a client finds them.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, SecondsFormat, Utc};
use domain::{
    Action, SourceId, Viewer,
    scim::{self, AttrPath, Code, Filter, Object, Refusal, ResourceType, TYPES, USER},
};
use sea_orm::{ConnectionTrait as _, QueryResult, Value as Sql};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{AT_ONCE, PAGE_MAX, Result};
use crate::{Error, Store, db};

/// Most resources that are looked through for a filter or an order that no index knows.
pub const LOOKED_THROUGH: usize = 50_000;

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
    pub(super) record: String,
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
    /// Most resources that are looked through where no index knows the answer: [`LOOKED_THROUGH`].
    pub look_through: usize,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// How many there are.
    pub total: u64,
    /// Those that were asked for.
    pub resources: Vec<Resource>,
}

impl Store {
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
    /// [`Code::TooMany`] where that would be more than [`Search::look_through`].
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
                if seen > search.look_through {
                    return Err(Refusal::new(
                        Code::TooMany,
                        format!("more than {} resources would have to be looked through; filter by userName, externalId or id", search.look_through),
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

    /// The resources of a source that are there; `more` narrows and orders them, from `$2` on.
    pub(super) async fn read_resources(
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
pub(super) fn name_of(body: &Object) -> &str {
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
