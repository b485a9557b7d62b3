//! What the server can do and what it serves (RFC 7644, section 4).

use axum::{
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use domain::scim::TYPES;
use serde_json::{Value, json};
use store::scim::PAGE_MAX;

use super::{Answer, Client, Failure, bulk, document, list};
use crate::http::{BODY_MAX, Server};

/// `GET /scim/v2/ServiceProviderConfig`
pub(super) async fn config(State(server): State<Server>, _client: Client) -> Response {
    let config = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": { "supported": true },
        "bulk": { "supported": true, "maxOperations": bulk::OPERATIONS_MAX, "maxPayloadSize": BODY_MAX },
        "filter": { "supported": true, "maxResults": PAGE_MAX },
        "changePassword": { "supported": false },
        "sort": { "supported": true },
        "etag": { "supported": true },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "The token of a source, made in the portal's console.",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{}/ServiceProviderConfig", server.scim()),
        },
    });
    document(StatusCode::OK, &config)
}

/// `GET /scim/v2/ResourceTypes`
pub(super) async fn types(State(server): State<Server>, _client: Client, uri: Uri) -> Answer {
    whole(&uri, type_documents(&server))
}

/// `GET /scim/v2/ResourceTypes/{id}`
pub(super) async fn one_type(
    State(server): State<Server>,
    _client: Client,
    Path(id): Path<String>,
) -> Answer {
    one(&id, type_documents(&server))
}

/// `GET /scim/v2/Schemas`
pub(super) async fn schemas(State(server): State<Server>, _client: Client, uri: Uri) -> Answer {
    whole(&uri, schema_documents(&server))
}

/// `GET /scim/v2/Schemas/{id}`
pub(super) async fn schema(
    State(server): State<Server>,
    _client: Client,
    Path(id): Path<String>,
) -> Answer {
    one(&id, schema_documents(&server))
}

/// All of them; a filter here is refused (RFC 7644, section 4).
fn whole(uri: &Uri, documents: Vec<Value>) -> Answer {
    if uri.query().is_some_and(|query| query.contains("filter=")) {
        return Err(Failure::new(403, "What is served here takes no filter."));
    }
    Ok(list(documents.len() as u64, 1, documents))
}

fn one(id: &str, documents: Vec<Value>) -> Answer {
    let found = documents.into_iter().find(|one| {
        one["id"]
            .as_str()
            .is_some_and(|known| known.eq_ignore_ascii_case(id))
    });
    let found = found.ok_or_else(Failure::not_found)?;
    Ok(document(StatusCode::OK, &found).into_response())
}

fn located(mut document: Value, kind: &str, location: String) -> Value {
    document["meta"] = json!({ "resourceType": kind, "location": location });
    document
}

fn type_documents(server: &Server) -> Vec<Value> {
    let document = |kind: &domain::scim::ResourceType| {
        let location = format!("{}/ResourceTypes/{}", server.scim(), kind.name);
        located(kind.document(), "ResourceType", location)
    };
    TYPES.into_iter().map(document).collect()
}

fn schema_documents(server: &Server) -> Vec<Value> {
    let schemas = TYPES
        .into_iter()
        .flat_map(|kind| [Some(kind.schema), kind.extension])
        .flatten();
    schemas
        .map(|schema| {
            let location = format!("{}/Schemas/{}", server.scim(), schema.id);
            located(schema.document(), "Schema", location)
        })
        .collect()
}
