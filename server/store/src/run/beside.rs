//! What a run writes beside people and units: dates ahead, dotted lines,
//! stand-ins, vacant posts, open questions, clients and tickets.
//!
//! Before it writes, what is there is kept, row by row; after it, a digest of
//! what came. Undoing puts the rows back as they were, as long as what is there
//! still has that digest.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat, Utc};
use domain::{EmployeeId, RunId, SourceId, sync::Beside};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, QueryResult, Value};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{live::Work, plan::IN_MAX, relations::Relations};
use crate::{Error, Result, db};

/// Rows in one statement.
const ROWS_AT_ONCE: usize = 100;

/// What is touched: what it is, and by which key it is found.
pub(super) type Keys = BTreeSet<(Beside, String)>;

/// All rows of one thing: by table, row and column.
pub(super) type Image = Vec<Vec<Vec<Json>>>;

/// What a column holds.
#[derive(Clone, Copy)]
enum Kind {
    Id,
    Text,
    Int,
    Big,
    Time,
    Bytes,
    Flag,
}

/// How rows are put back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Taken away, and written as they were.
    Anew,
    /// Changed to what they were: others refer to them. What was not there is marked as gone.
    Owner,
    /// Only changed: the row is somebody's record, and put back with it.
    Part,
}

/// A table in which a thing has rows.
struct Table {
    name: &'static str,
    /// The column by which they are found.
    key: &'static str,
    /// Whether the key is one of a source.
    of_source: bool,
    order: &'static str,
    manner: Manner,
    columns: &'static [(&'static str, Kind)],
}

impl Table {
    fn kind(&self, column: &str) -> Kind {
        let found = self.columns.iter().find(|(name, _)| *name == column);
        found.map_or(Kind::Text, |(_, kind)| *kind)
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }

    /// What the rows of `keys` fulfil, with places from `$1`, and the values of those.
    fn among(&self, source: SourceId, keys: &[&str]) -> Result<(String, Vec<Value>)> {
        let (mut text, mut values) = (String::new(), Vec::with_capacity(keys.len() + 1));
        if self.of_source {
            text += "source_id = $1 AND ";
            values.push(source.0.into());
        }
        text += &format!(
            "{} IN ({})",
            self.key,
            db::places(values.len() + 1, keys.len())
        );
        let kind = self.kind(self.key);
        for key in keys {
            values.push(write(kind, &Json::from(*key))?);
        }
        Ok((text, values))
    }
}

use Kind::{Big, Bytes, Flag, Id, Int, Text, Time};

const SCHEDULED: &[Table] = &[Table {
    name: "scheduled",
    key: "external_id",
    of_source: true,
    order: "external_id",
    manner: Manner::Anew,
    columns: &[
        ("source_id", Id),
        ("external_id", Text),
        ("name", Text),
        ("record", Text),
        ("digest", Bytes),
        ("starts_on", Text),
        ("since", Time),
    ],
}];

const RETURNING: &[Table] = &[Table {
    name: "erp_records",
    key: "external_id",
    of_source: true,
    order: "external_id",
    manner: Manner::Part,
    columns: &[("external_id", Text), ("due_on", Text), ("digest", Bytes)],
}];

const DOTTED_LINES: &[Table] = &[Table {
    name: "dotted_lines",
    key: "employee_id",
    of_source: true,
    order: "id",
    manner: Manner::Anew,
    columns: &[
        ("id", Id),
        ("employee_id", Id),
        ("source_id", Id),
        ("reference", Text),
        ("place", Int),
        ("superior_id", Id),
        ("from_at", Time),
        ("to_at", Time),
    ],
}];

const STAND_INS: &[Table] = &[Table {
    name: "delegations",
    key: "manager_id",
    of_source: true,
    order: "id",
    manner: Manner::Anew,
    columns: &[
        ("id", Id),
        ("manager_id", Id),
        ("source_id", Id),
        ("reference", Text),
        ("delegate_id", Id),
        ("from_day", Text),
        ("until_day", Text),
        ("from_at", Time),
        ("to_at", Time),
        ("set_by", Id),
        ("set_at", Time),
        ("ended_at", Time),
    ],
}];

const VACANCIES: &[Table] = &[Table {
    name: "vacancies",
    key: "external_id",
    of_source: true,
    order: "external_id",
    manner: Manner::Anew,
    columns: &[
        ("source_id", Id),
        ("external_id", Text),
        ("title", Text),
        ("unit_ref", Text),
        ("manager_ref", Text),
    ],
}];

const UNDECIDED: &[Table] = &[Table {
    name: "undecided",
    key: "external_id",
    of_source: true,
    order: "external_id",
    manner: Manner::Anew,
    columns: &[
        ("source_id", Id),
        ("external_id", Text),
        ("record", Text),
        ("candidates", Text),
        ("since", Time),
        ("decision", Text),
    ],
}];

const CLIENTS: &[Table] = &[
    Table {
        name: "clients",
        key: "id",
        of_source: true,
        order: "id",
        manner: Manner::Owner,
        columns: &[
            ("id", Id),
            ("source_id", Id),
            ("external_id", Text),
            ("name", Text),
            ("sort_name", Text),
            ("number", Text),
            ("emails", Text),
            ("phones", Text),
            ("search", Text),
            ("active", Flag),
            ("changed_at", Time),
            ("gone_at", Time),
            ("digest", Bytes),
        ],
    },
    Table {
        name: "client_accounts",
        key: "client_id",
        of_source: false,
        order: "place",
        manner: Manner::Anew,
        columns: &[
            ("client_id", Id),
            ("place", Int),
            ("company", Text),
            ("currency", Text),
            ("balance", Text),
            ("overdue", Text),
            ("credit_limit", Text),
            ("terms", Text),
            ("payment_options", Text),
        ],
    },
    Table {
        name: "client_items",
        key: "client_id",
        of_source: false,
        order: "account, place",
        manner: Manner::Anew,
        columns: &[
            ("client_id", Id),
            ("account", Int),
            ("place", Int),
            ("external_id", Text),
            ("number", Text),
            ("date", Text),
            ("due", Text),
            ("amount", Text),
            ("open", Text),
        ],
    },
    Table {
        name: "client_payments",
        key: "client_id",
        of_source: false,
        order: "account, place",
        manner: Manner::Anew,
        columns: &[
            ("client_id", Id),
            ("account", Int),
            ("place", Int),
            ("external_id", Text),
            ("reference", Text),
            ("date", Text),
            ("amount", Text),
        ],
    },
];

const TICKETS: &[Table] = &[
    Table {
        name: "tickets",
        key: "id",
        of_source: true,
        order: "id",
        manner: Manner::Owner,
        columns: &[
            ("id", Id),
            ("source_id", Id),
            ("external_id", Text),
            ("client_ref", Text),
            ("number", Text),
            ("subject", Text),
            ("stage", Text),
            ("closed", Flag),
            ("priority", Text),
            ("assignee_ref", Text),
            ("opened_at", Time),
            ("closed_at", Time),
            ("changed_at", Time),
            ("gone_at", Time),
            ("digest", Bytes),
        ],
    },
    Table {
        name: "ticket_messages",
        key: "ticket_id",
        of_source: false,
        order: "place",
        manner: Manner::Anew,
        columns: &[
            ("ticket_id", Id),
            ("place", Int),
            ("external_id", Text),
            ("at", Time),
            ("author", Text),
            ("body", Text),
            ("internal", Flag),
        ],
    },
    Table {
        name: "ticket_attachments",
        key: "ticket_id",
        of_source: false,
        order: "message, place",
        manner: Manner::Anew,
        columns: &[
            ("ticket_id", Id),
            ("message", Int),
            ("place", Int),
            ("external_id", Text),
            ("name", Text),
            ("media_type", Text),
            ("bytes", Big),
        ],
    },
];

const fn tables(what: Beside) -> &'static [Table] {
    match what {
        Beside::Scheduled => SCHEDULED,
        Beside::Returning => RETURNING,
        Beside::DottedLines => DOTTED_LINES,
        Beside::StandIns => STAND_INS,
        Beside::Vacancy => VACANCIES,
        Beside::Undecided => UNDECIDED,
        Beside::Client => CLIENTS,
        Beside::Ticket => TICKETS,
    }
}

fn read(kind: Kind, row: &QueryResult, at: usize) -> Result<Json> {
    fn some<T>(value: Option<T>, json: impl FnOnce(T) -> Json) -> Json {
        value.map_or(Json::Null, json)
    }
    Ok(match kind {
        Id => some(row.try_get_by_index::<Option<Uuid>>(at)?, |id| {
            id.to_string().into()
        }),
        Text => some(row.try_get_by_index::<Option<String>>(at)?, Into::into),
        Int => some(row.try_get_by_index::<Option<i32>>(at)?, Into::into),
        Big => some(row.try_get_by_index::<Option<i64>>(at)?, Into::into),
        Time => some(row.try_get_by_index::<Option<DateTime<Utc>>>(at)?, |time| {
            time.to_rfc3339_opts(SecondsFormat::AutoSi, true).into()
        }),
        Bytes => some(row.try_get_by_index::<Option<Vec<u8>>>(at)?, |bytes| {
            hex::encode(bytes).into()
        }),
        Flag => some(row.try_get_by_index::<Option<bool>>(at)?, Into::into),
    })
}

fn write(kind: Kind, cell: &Json) -> Result<Value> {
    let other = || Error::Internal(format!("a run kept {cell}, which cannot be put back"));
    let text = cell.as_str();
    fn parsed<T: std::str::FromStr>(text: Option<&str>) -> Result<Option<T>, T::Err> {
        text.map(str::parse).transpose()
    }
    if !cell.is_null() && text.is_none() && matches!(kind, Id | Text | Time | Bytes) {
        return Err(other());
    }
    let whole = || match cell {
        Json::Null => Ok(None),
        cell => cell.as_i64().map(Some).ok_or_else(other),
    };
    Ok(match kind {
        Id => parsed::<Uuid>(text).map_err(|_| other())?.into(),
        Text => text.map(str::to_owned).into(),
        Int => {
            let whole = whole()?.map(i32::try_from).transpose();
            whole.map_err(|_| other())?.into()
        }
        Big => whole()?.into(),
        Time => parsed::<DateTime<Utc>>(text).map_err(|_| other())?.into(),
        Bytes => text
            .map(hex::decode)
            .transpose()
            .map_err(|_| other())?
            .into(),
        Flag => cell.as_bool().into(),
    })
}

/// What is there by each of `keys` of one kind; of what is not there, nothing.
pub(super) async fn images(
    tx: &DatabaseTransaction,
    source: SourceId,
    what: Beside,
    keys: &[&str],
) -> Result<BTreeMap<String, Image>> {
    let tables = tables(what);
    let mut found: BTreeMap<String, Image> = BTreeMap::new();
    for (at, table) in tables.iter().enumerate() {
        let key = table
            .columns
            .iter()
            .position(|(name, _)| *name == table.key);
        let key = key.ok_or_else(|| Error::Internal(format!("{} has no key", table.name)))?;
        for keys in keys.chunks(IN_MAX) {
            let (among, values) = table.among(source, keys)?;
            let find = format!(
                "SELECT {} FROM {} WHERE {among} ORDER BY {}",
                table.names(),
                table.name,
                table.order
            );
            for row in tx.query_all_raw(db::sql(tx, find, values)).await? {
                let columns = table.columns.iter().enumerate();
                let cells = columns
                    .map(|(place, (_, kind))| read(*kind, &row, place))
                    .collect::<Result<Vec<_>>>()?;
                let key = cells[key].as_str().unwrap_or_default().to_owned();
                let image = found
                    .entry(key)
                    .or_insert_with(|| vec![Vec::new(); tables.len()]);
                image[at].push(cells);
            }
        }
    }
    Ok(found)
}

/// By what an image is told from another one.
pub(super) fn digest(image: &Image) -> Result<Vec<u8>> {
    Ok(Sha256::digest(serde_json::to_vec(image)?).to_vec())
}

/// What stood there before a run wrote.
pub(super) struct Noting {
    run: RunId,
    source: SourceId,
    keys: Keys,
    before: BTreeMap<(Beside, String), Image>,
}

fn of_a_kind(keys: &Keys) -> BTreeMap<Beside, Vec<&str>> {
    let mut kinds: BTreeMap<Beside, Vec<&str>> = BTreeMap::new();
    for (what, key) in keys {
        kinds.entry(*what).or_default().push(key);
    }
    kinds
}

impl Noting {
    /// Before anything of `keys` is written.
    pub async fn begin(
        tx: &DatabaseTransaction,
        run: RunId,
        source: SourceId,
        keys: Keys,
    ) -> Result<Self> {
        let before = Self::look(tx, source, &keys).await?;
        Ok(Self {
            run,
            source,
            keys,
            before,
        })
    }

    async fn look(
        tx: &DatabaseTransaction,
        source: SourceId,
        keys: &Keys,
    ) -> Result<BTreeMap<(Beside, String), Image>> {
        let mut found = BTreeMap::new();
        for (what, keys) in of_a_kind(keys) {
            let images = images(tx, source, what, &keys).await?;
            found.extend(images.into_iter().map(|(key, image)| ((what, key), image)));
        }
        Ok(found)
    }

    /// After it: keeps what is another one now.
    pub async fn end(self, tx: &DatabaseTransaction) -> Result<()> {
        let after = Self::look(tx, self.source, &self.keys).await?;
        let mut rows = Vec::new();
        for key in self.keys {
            let (was, became) = (self.before.get(&key), after.get(&key));
            if was == became {
                continue;
            }
            rows.push([
                self.run.0.into(),
                key.0.name().into(),
                key.1.into(),
                was.map(serde_json::to_string).transpose()?.into(),
                became.map(digest).transpose()?.into(),
            ]);
        }
        // What a run touches twice was what it was before the first time.
        db::bulk(tx, rows, |rows| {
            format!(
                "INSERT INTO run_beside (run_id, kind, key, was, became) VALUES {rows}
                ON CONFLICT (run_id, kind, key) DO UPDATE SET became = excluded.became"
            )
        })
        .await?;
        Ok(())
    }
}

impl Relations {
    /// The keys of those whose dotted lines or stand-ins are written.
    pub fn keys(&self) -> impl Iterator<Item = (Beside, String)> {
        let dotted = self.dotted.iter().map(|(id, _)| (Beside::DottedLines, id));
        let stand_ins = self.delegates.iter().map(|(id, _)| (Beside::StandIns, id));
        dotted
            .chain(stand_ins)
            .map(|(what, id)| (what, id.to_string()))
    }
}

impl Work {
    /// The keys of what is written after the last step of the plan.
    pub async fn keys_of_the_rest(
        &self,
        tx: &DatabaseTransaction,
        source: SourceId,
    ) -> Result<Keys> {
        let mut keys = Keys::new();
        for (what, find) in [
            (
                Beside::DottedLines,
                "SELECT employee_id, reference FROM dotted_lines
                WHERE source_id = $1 AND superior_id IS NULL AND to_at IS NULL",
            ),
            (
                Beside::StandIns,
                "SELECT manager_id, reference FROM delegations
                WHERE source_id = $1 AND delegate_id IS NULL AND ended_at IS NULL",
            ),
        ] {
            for row in tx
                .query_all_raw(db::sql(tx, find, [source.0.into()]))
                .await?
            {
                let reference: Option<String> = row.try_get_by_index(1)?;
                if reference.is_some_and(|reference| self.held.contains_key(&reference)) {
                    let id = EmployeeId(row.try_get_by_index(0)?);
                    keys.insert((what, id.to_string()));
                }
            }
        }
        let posts = self.vacancies.keys().chain(self.vacancies_before.keys());
        let other = |id: &&String| self.vacancies.get(*id) != self.vacancies_before.get(*id);
        let posts = posts.filter(other);
        keys.extend(posts.map(|id| (Beside::Vacancy, id.clone())));
        for (what, ids) in [
            (Beside::Scheduled, &self.no_longer_scheduled),
            (Beside::Returning, &self.no_longer_due),
            (Beside::Undecided, &self.no_longer_pending),
        ] {
            keys.extend(ids.iter().map(|id| (what, id.clone())));
        }
        Ok(keys)
    }
}

/// Puts things of one kind back as they were; what was not there is there no more.
pub(super) async fn put_back(
    tx: &DatabaseTransaction,
    source: SourceId,
    what: Beside,
    things: &[(String, Option<Image>)],
    at: DateTime<Utc>,
) -> Result<()> {
    let owned = tables(what)[0].manner == Manner::Owner;
    for (place, table) in tables(what).iter().enumerate() {
        let (mut clear, mut gone, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for (key, image) in things {
            match (image, table.manner) {
                (Some(image), _) => {
                    rows.extend(image.get(place).into_iter().flatten());
                    clear.push(key.as_str());
                }
                (None, Manner::Owner) => gone.push(key.as_str()),
                // What hangs on something that is marked as gone stays with it.
                (None, Manner::Anew) if !owned => clear.push(key.as_str()),
                (None, _) => {}
            }
        }
        for keys in gone.chunks(IN_MAX) {
            let (among, mut values) = table.among(source, keys)?;
            values.push(at.into());
            let update = format!(
                "UPDATE {} SET gone_at = ${} WHERE {among}",
                table.name,
                values.len()
            );
            tx.execute_raw(db::sql(tx, update, values)).await?;
        }
        if table.manner == Manner::Anew {
            for keys in clear.chunks(IN_MAX) {
                let (among, values) = table.among(source, keys)?;
                let delete = format!("DELETE FROM {} WHERE {among}", table.name);
                tx.execute_raw(db::sql(tx, delete, values)).await?;
            }
        }
        match table.manner {
            Manner::Part => change(tx, source, table, &rows).await?,
            Manner::Anew | Manner::Owner => insert(tx, table, &rows).await?,
        }
    }
    Ok(())
}

async fn insert(tx: &DatabaseTransaction, table: &Table, rows: &[&Vec<Json>]) -> Result<()> {
    let width = table.columns.len();
    for rows in rows.chunks(ROWS_AT_ONCE) {
        let mut values = Vec::with_capacity(rows.len() * width);
        for row in rows {
            for ((_, kind), cell) in table.columns.iter().zip(*row) {
                values.push(write(*kind, cell)?);
            }
        }
        let places: Vec<_> = (0..rows.len())
            .map(|row| format!("({})", db::places(row * width + 1, width)))
            .collect();
        let mut insert = format!(
            "INSERT INTO {} ({}) VALUES {}",
            table.name,
            table.names(),
            places.join(", ")
        );
        if table.manner == Manner::Owner {
            let columns = table.columns.iter().filter(|(name, _)| *name != table.key);
            let set: Vec<_> = columns
                .map(|(name, _)| format!("{name} = excluded.{name}"))
                .collect();
            insert += &format!(
                " ON CONFLICT ({}) DO UPDATE SET {}",
                table.key,
                set.join(", ")
            );
        }
        tx.execute_raw(db::sql(tx, insert, values)).await?;
    }
    Ok(())
}

/// Changes the rows' columns but the key.
async fn change(
    tx: &DatabaseTransaction,
    source: SourceId,
    table: &Table,
    rows: &[&Vec<Json>],
) -> Result<()> {
    for row in rows {
        let (mut set, mut values, mut key) = (Vec::new(), vec![source.0.into()], None);
        for ((name, kind), cell) in table.columns.iter().zip(*row) {
            if *name == table.key {
                key = Some(write(*kind, cell)?);
                continue;
            }
            values.push(write(*kind, cell)?);
            set.push(format!("{name} = ${}", values.len()));
        }
        values.extend(key);
        let update = format!(
            "UPDATE {} SET {} WHERE source_id = $1 AND {} = ${}",
            table.name,
            set.join(", "),
            table.key,
            values.len()
        );
        tx.execute_raw(db::sql(tx, update, values)).await?;
    }
    Ok(())
}

/// The text in `column` of what an image keeps.
pub(super) fn text<'a>(what: Beside, image: &'a Image, column: &str) -> Option<&'a str> {
    let table = &tables(what)[0];
    let place = table.columns.iter().position(|(name, _)| *name == column)?;
    image.first()?.first()?.get(place)?.as_str()
}
