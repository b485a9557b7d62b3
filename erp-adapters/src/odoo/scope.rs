//! The companies of an Odoo, and which of them are read.
//!
//! Where there are several, each is a unit at the top of the chart and the
//! departments without a parent hang under theirs. A division would be a text
//! on a profile; a unit can be looked at and can have rules of its own, which
//! is what a company is set up for. With one company there is no such unit: it
//! would be a second name for the whole.

use serde_json::{Value as Json, json};

use super::{Odoo, Row, id, link};
use crate::{Error, words::quote};

/// A company of the organization.
#[derive(Debug, Clone)]
pub(super) struct Company {
    pub(super) id: i64,
    pub(super) name: String,
    /// The company that this one is a branch of.
    pub(super) parent: Option<i64>,
    pub(super) currency: Option<i64>,
}

/// The companies that are read.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) companies: Vec<Company>,
}

impl Scope {
    /// The unit that stands for the company, if there are several.
    pub(super) fn unit(&self, company: i64) -> Option<String> {
        let several = self.companies.len() > 1;
        (several && self.get(company).is_some()).then(|| format!("company:{company}"))
    }

    pub(super) fn get(&self, company: i64) -> Option<&Company> {
        self.companies.iter().find(|one| one.id == company)
    }

    /// The company whose books `company`'s entries stand in: Odoo adds up what
    /// a client owes over all branches.
    pub(super) fn books(&self, mut company: i64) -> i64 {
        for _ in 0..self.companies.len() {
            let parent = self.get(company).and_then(|one| one.parent);
            match parent.filter(|parent| self.get(*parent).is_some()) {
                Some(parent) => company = parent,
                None => break,
            }
        }
        company
    }

    pub(super) fn ids(&self) -> Vec<i64> {
        self.companies.iter().map(|company| company.id).collect()
    }
}

impl Odoo {
    /// # Errors
    /// [`Error::Setting`] for a company that the key does not see.
    pub(super) async fn scope(&self) -> Result<&Scope, Error> {
        self.scope
            .get_or_try_init(|| async {
                // Whoever administers Odoo sees companies whose records are closed to them.
                let user = self.transport.user().await?;
                let body = json!({"domain": [["id", "=", user]], "fields": ["company_ids"]});
                let users = self.rows("res.users", body).await?;
                let own = users.first().and_then(|user| user.get("company_ids"));
                let own: Vec<i64> = own
                    .and_then(Json::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(Json::as_i64)
                    .collect();
                let body = json!({
                    "domain": [["id", "in", own]], "fields": ["name", "parent_id", "currency_id"], "order": "id asc",
                });
                let rows = self.rows("res.company", body).await?;
                choose(rows.iter().filter_map(company).collect(), &self.companies)
            })
            .await
    }
}

impl Odoo {
    /// What rows have to be like to be of the companies that are read.
    ///
    /// Leaving it to Odoo will not do: a user finds the own manager and reports
    /// in companies that are closed to them, is refused their contracts, and
    /// with them the whole answer. A narrower `allowed_company_ids` does that to
    /// administrators as well.
    pub(super) async fn within(&self) -> Result<Vec<Json>, Error> {
        let ids = self.scope().await?.ids();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![
            json!("|"),
            json!(["company_id", "in", ids]),
            json!(["company_id", "=", false]),
        ])
    }
}

fn company(row: &Row) -> Option<Company> {
    Some(Company {
        id: id(row)?,
        name: row.get("name").and_then(Json::as_str)?.trim().to_owned(),
        parent: row.get("parent_id").and_then(link),
        currency: row.get("currency_id").and_then(link),
    })
}

/// Those of `all` that `wanted` names, by id or by name; all where it names none.
fn choose(all: Vec<Company>, wanted: &[String]) -> Result<Scope, Error> {
    if wanted.is_empty() {
        return Ok(Scope { companies: all });
    }
    let mut companies: Vec<Company> = Vec::new();
    for name in wanted {
        let number = name.parse().ok();
        let found = all.iter().find(|company| {
            number == Some(company.id) || company.name.to_lowercase() == name.to_lowercase()
        });
        let Some(found) = found else {
            let seen: Vec<_> = all.iter().map(|company| company.name.as_str()).collect();
            let what = format!(
                "names {}, which this key does not see; it sees {}",
                quote(name),
                seen.join(", ")
            );
            return Err(Error::setting("companies", what));
        };
        if !companies.iter().any(|company| company.id == found.id) {
            companies.push(found.clone());
        }
    }
    Ok(Scope { companies })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn company(id: i64, name: &str, parent: Option<i64>) -> Company {
        Company {
            id,
            name: name.into(),
            parent,
            currency: None,
        }
    }

    fn all() -> Vec<Company> {
        vec![
            company(1, "Northwind Forge", None),
            company(2, "Northwind Foundry Ltd", None),
            company(5, "Bergen branch", Some(2)),
        ]
    }

    #[test]
    fn companies_are_named_by_id_or_name_and_others_are_told() {
        let chosen = |wanted: &[&str]| {
            let wanted: Vec<_> = wanted.iter().map(|name| (*name).to_owned()).collect();
            choose(all(), &wanted)
                .map(|scope| scope.ids())
                .map_err(|error| error.to_string())
        };
        assert_eq!(chosen(&[]), Ok(vec![1, 2, 5]));
        assert_eq!(chosen(&["northwind foundry ltd", "1", "2"]), Ok(vec![2, 1]));
        assert_eq!(
            chosen(&["Acme"]),
            Err(
                "companies names “Acme”, which this key does not see; it sees \
                 Northwind Forge, Northwind Foundry Ltd, Bergen branch"
                    .into()
            )
        );
    }

    #[test]
    fn only_one_of_several_companies_is_a_unit_and_a_branch_has_its_parents_books() {
        let scope = choose(all(), &[]).expect("all");
        assert_eq!(scope.unit(5), Some("company:5".into()));
        assert_eq!(scope.unit(9), None);
        assert_eq!((scope.books(5), scope.books(1)), (2, 1));
        let one = choose(all(), &["5".into()]).expect("one");
        assert_eq!((one.unit(5), one.books(5)), (None, 5));
    }
}
