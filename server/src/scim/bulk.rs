//! Several requests in one (RFC 7644, section 3.7). Each is done and told for itself; what one makes,
//! others can name before it has an id.

use std::collections::HashMap;

use axum::{extract::State, http::StatusCode, response::IntoResponse as _};
use domain::scim::{ResourceType, TYPES};
use serde_json::{Value, json};
use store::scim::Resource;

use super::{Answer, Body, Client, Failure, create, delete, document, patch, replace};
use crate::http::Server;

/// Most operations of one request.
pub(super) const OPERATIONS_MAX: usize = 100;

/// How a resource is named that has no id yet.
const PREFIX: &str = "bulkId:";

/// One operation.
struct Operation {
    method: String,
    path: String,
    bulk_id: Option<String>,
    version: Option<String>,
    data: Value,
}

/// `POST /scim/v2/Bulk`
pub(super) async fn run(State(server): State<Server>, client: Client, Body(body): Body) -> Answer {
    let operations = read(&body)?;
    let most_errors = body["failOnErrors"].as_u64().filter(|most| *most > 0);
    let mut answers: Vec<Option<Value>> = vec![None; operations.len()];
    let mut made: HashMap<String, String> = HashMap::new();
    let mut errors = 0;
    while most_errors.is_none_or(|most| errors < most) {
        let waits: Vec<usize> = (0..operations.len())
            .filter(|at| answers[*at].is_none())
            .collect();
        // Whoever is named by others comes before them.
        let to_come = |id: &str| {
            let mut makers = waits.iter().map(|at| &operations[*at].bulk_id);
            makers.any(|bulk_id| bulk_id.as_deref() == Some(id))
        };
        let ready = |at: &&usize| {
            let operation = &operations[**at];
            let mut names = Vec::new();
            named(&operation.data, &mut names);
            named(&Value::from(operation.path.as_str()), &mut names);
            !names.iter().any(|id| !made.contains_key(id) && to_come(id))
        };
        let Some(first) = waits.first() else { break };
        let (at, outcome) = match waits.iter().find(ready) {
            Some(at) => (*at, one(&server, &client, &operations[*at], &made).await),
            None => (
                *first,
                Err(Failure::new(409, "Operations name each other in a circle.")),
            ),
        };
        let operation = &operations[at];
        let mut answer = json!({ "method": operation.method });
        if let Some(bulk_id) = &operation.bulk_id {
            answer["bulkId"] = bulk_id.as_str().into();
        }
        match outcome {
            Ok((status, location, resource)) => {
                answer["status"] = status.to_string().into();
                answer["location"] = location.into();
                if let Some(resource) = resource {
                    answer["version"] = format!("W/\"{}\"", resource.version).into();
                    if let Some(bulk_id) = &operation.bulk_id {
                        made.insert(bulk_id.clone(), resource.id.to_string());
                    }
                }
            }
            Err(failure) => {
                errors += 1;
                answer["status"] = failure.status.to_string().into();
                answer["response"] = failure.body();
                if operation.method != "POST" {
                    answer["location"] = format!("{}{}", server.scim(), operation.path).into();
                }
                // What failed inside is logged with its reference, as everywhere.
                drop(failure.into_response());
            }
        }
        answers[at] = Some(answer);
    }
    let told: Vec<_> = answers.into_iter().flatten().collect();
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkResponse"],
        "Operations": told,
    });
    Ok(document(StatusCode::OK, &body))
}

fn read(body: &Value) -> Result<Vec<Operation>, Failure> {
    let list = body["Operations"]
        .as_array()
        .ok_or_else(|| Failure::syntax("A bulk request has a list called Operations."))?;
    if list.len() > OPERATIONS_MAX {
        return Err(Failure::new(
            413,
            format!("A bulk request has at most {OPERATIONS_MAX} operations."),
        ));
    }
    let text = |one: &Value, name: &str| one[name].as_str().map(str::to_owned);
    list.iter()
        .map(|one| {
            let method = text(one, "method").unwrap_or_default().to_ascii_uppercase();
            let path = text(one, "path").unwrap_or_default();
            let bulk_id = text(one, "bulkId").filter(|id| !id.is_empty());
            if !matches!(method.as_str(), "POST" | "PUT" | "PATCH" | "DELETE") || path.is_empty() {
                return Err(Failure::syntax(
                    "An operation has a path, and POST, PUT, PATCH or DELETE as its method.",
                ));
            }
            if method == "POST" && bulk_id.is_none() {
                return Err(Failure::syntax("A POST in a bulk request has a bulkId."));
            }
            let version = text(one, "version")
                .map(|tag| tag.trim_start_matches("W/").trim_matches('"').to_owned());
            Ok(Operation {
                method,
                path,
                bulk_id,
                version,
                data: one["data"].clone(),
            })
        })
        .collect()
}

/// Which resources without an id a value names.
fn named(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            let at = text.rsplit('/').next().unwrap_or(text);
            names.extend(at.strip_prefix(PREFIX).map(str::to_owned));
        }
        Value::Array(items) => items.iter().for_each(|item| named(item, names)),
        Value::Object(members) => members.values().for_each(|value| named(value, names)),
        _ => {}
    }
}

/// The value with ids in the place of names.
fn resolved(value: &Value, made: &HashMap<String, String>) -> Result<Value, Failure> {
    Ok(match value {
        Value::String(text) => {
            let (before, last) = match text.rsplit_once('/') {
                Some((before, last)) => (format!("{before}/"), last),
                None => (String::new(), text.as_str()),
            };
            match last.strip_prefix(PREFIX) {
                None => value.clone(),
                Some(name) => {
                    let id = made.get(name).ok_or_else(|| {
                        Failure::syntax(format!("bulkId {name:?} was not made in this request."))
                    })?;
                    format!("{before}{id}").into()
                }
            }
        }
        Value::Array(items) => items
            .iter()
            .map(|item| resolved(item, made))
            .collect::<Result<Vec<_>, _>>()?
            .into(),
        Value::Object(members) => {
            let mut object = serde_json::Map::new();
            for (key, value) in members {
                object.insert(key.clone(), resolved(value, made)?);
            }
            object.into()
        }
        other => other.clone(),
    })
}

/// Does one operation: its status, where the resource is, and the resource.
async fn one(
    server: &Server,
    client: &Client,
    operation: &Operation,
    made: &HashMap<String, String>,
) -> Result<(u16, String, Option<Resource>), Failure> {
    let data = resolved(&operation.data, made)?;
    let path = resolved(&Value::from(operation.path.as_str()), made)?;
    let path = path.as_str().unwrap_or_default();
    let (kind, id) = target(path).ok_or_else(Failure::not_found)?;
    let version = operation.version.clone();
    Ok(match (operation.method.as_str(), id) {
        ("POST", None) => {
            let resource = create(server, client, kind, data).await?;
            (201, server.location(&resource), Some(resource))
        }
        ("PUT", Some(id)) => {
            let resource = replace(server, client, kind, id, version, data).await?;
            (200, server.location(&resource), Some(resource))
        }
        ("PATCH", Some(id)) => {
            let resource = patch(server, client, kind, id, version, data).await?;
            (200, server.location(&resource), Some(resource))
        }
        ("DELETE", Some(id)) => {
            delete(server, client, kind, id, version).await?;
            (
                204,
                format!("{}{}/{id}", server.scim(), kind.endpoint),
                None,
            )
        }
        _ => return Err(Failure::new(405, "The path does not take this method.")),
    })
}

/// The kind and the id that a path means: `/Users`, `/Users/{id}`.
fn target(path: &str) -> Option<(&'static ResourceType, Option<&str>)> {
    TYPES.into_iter().find_map(|kind| {
        let rest = path.strip_prefix(kind.endpoint)?;
        match rest.strip_prefix('/') {
            None if rest.is_empty() => Some((kind, None)),
            Some(id) if !id.is_empty() && !id.contains('/') => Some((kind, Some(id))),
            _ => None,
        }
    })
}
