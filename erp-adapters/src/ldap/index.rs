//! The first pass: names and ids of everyone and everything, so that every name becomes an id.

use std::{collections::HashMap, sync::Arc};

use domain::{
    erp::{Fault, OrgUnit},
    mapping::{Field, Mapping, Target},
};

use super::{
    Ldap,
    cursor::Cursor,
    dn,
    entry::{PARENT, key, place, record},
    wire::Wire,
};
use crate::{Error, Structure, mapped::Mapper, words::quote};

/// Names and ids of everyone and everything.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Ids by the key of the name.
    pub(super) people: HashMap<String, String>,
    /// Names by id.
    pub(super) names: HashMap<String, String>,
    pub(super) units: HashMap<String, String>,
    pub(super) structure: Structure,
    pub(super) unreadable: usize,
}
impl Ldap {
    /// Names and ids; read anew if `fresh`, else as they were read before.
    pub(super) async fn index(&self, fresh: bool) -> Result<Arc<Index>, Error> {
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
                let record = record(self.preset, &entry, &self.wanted.index);
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
                let record = record(self.preset, &entry, &self.wanted.units);
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
    pub(super) fn climbs(&self, fields: &[Field], target: Target) -> bool {
        fields
            .iter()
            .any(|field| field.target == target && field.from == PARENT)
    }

    /// The unit that `text` names; or its name, if there is no such unit.
    pub(super) fn unit(
        &self,
        text: &str,
        index: &Index,
        climbs: bool,
    ) -> Result<Option<String>, String> {
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
}

/// The id of whom `text` names; or the name, if nobody of that name was read.
pub(super) fn person(text: &str, index: &Index) -> Result<String, String> {
    match dn::parts(text) {
        // Not a name but an id, by an attribute that holds ids.
        None => Ok(text.to_owned()),
        Some(parts) => match index.people.get(&dn::key(&parts)) {
            Some(id) => Ok(id.clone()),
            None => Err(text.to_owned()),
        },
    }
}
