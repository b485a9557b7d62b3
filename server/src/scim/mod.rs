//! `/scim/v2` (RFC 7644): identity providers and HR systems push people.
//!
//! A client is known by its source's bearer token and sees what it pushed, and nothing else. What is
//! done with it is [`store::scim`]'s.

use app::edge::AppError;
use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, get, post},
};
use domain::scim::{Filter, GROUP, ResourceType, TYPES, USER, Wanted, clean, operations};
use serde_json::{Value, json};
use store::{
    Error,
    scim::{Found, LOOKED_THROUGH, PAGE_MAX, Refused, Resource, Search},
};
use uuid::Uuid;

use crate::http::Server;

mod answer;
mod ask;
mod bulk;
mod client;
mod discovery;

pub(crate) use answer::dress;
use answer::{Failure, document};
use ask::{Ask, Body};
use client::Client;

/// What a handler answers.
type Answer = Result<Response, Failure>;

static USERS: [&ResourceType; 1] = [&USER];
static GROUPS: [&ResourceType; 1] = [&GROUP];

/// The doors.
pub fn routes() -> Router<Server> {
    Router::new()
        .route("/scim/v2/ServiceProviderConfig", get(discovery::config))
        .route("/scim/v2/ResourceTypes", get(discovery::types))
        .route("/scim/v2/ResourceTypes/{id}", get(discovery::one_type))
        .route("/scim/v2/Schemas", get(discovery::schemas))
        .route("/scim/v2/Schemas/{id}", get(discovery::schema))
        .route("/scim/v2/Bulk", post(bulk::run))
        .route("/scim/v2/.search", search(&TYPES))
        .merge(resources(&USERS))
        .merge(resources(&GROUPS))
}

/// The doors of one kind of resource.
fn resources(kinds: &'static [&'static ResourceType; 1]) -> Router<Server> {
    let [kind] = *kinds;
    let home = format!("/scim/v2{}", kind.endpoint);
    let list = async move |State(server): State<Server>, client: Client, ask: Ask| {
        find(&server, &client, kinds, ask).await
    };
    let create =
        async move |State(server): State<Server>, client: Client, ask: Ask, Body(body): Body| {
            let made = create(&server, &client, kind, body).await?;
            let mut response = tell(&server, &made, &ask.wanted, StatusCode::CREATED);
            if let Ok(location) = server.location(&made).parse() {
                response.headers_mut().insert(header::LOCATION, location);
            }
            Ok::<_, Failure>(response)
        };
    let show = async move |State(server): State<Server>,
                           client: Client,
                           Path(id): Path<String>,
                           ask: Ask,
                           headers: HeaderMap| {
        let store = &server.portal.store;
        let found = store
            .scim_resource(&client.viewer, client.source, kind, known(&id)?)
            .await?;
        if ask::versions(&headers, header::IF_NONE_MATCH)
            .is_some_and(|known| known.has(&found.version))
        {
            return Ok(StatusCode::NOT_MODIFIED.into_response());
        }
        Ok::<_, Failure>(tell(&server, &found, &ask.wanted, StatusCode::OK))
    };
    let replace = async move |State(server): State<Server>,
                              client: Client,
                              Path(id): Path<String>,
                              ask: Ask,
                              headers: HeaderMap,
                              Body(body): Body| {
        let version = ask::expected(&headers);
        let now = replace(&server, &client, kind, &id, version, body).await?;
        Ok::<_, Failure>(tell(&server, &now, &ask.wanted, StatusCode::OK))
    };
    let change = async move |State(server): State<Server>,
                             client: Client,
                             Path(id): Path<String>,
                             ask: Ask,
                             headers: HeaderMap,
                             Body(body): Body| {
        let version = ask::expected(&headers);
        let now = patch(&server, &client, kind, &id, version, body).await?;
        Ok::<_, Failure>(tell(&server, &now, &ask.wanted, StatusCode::OK))
    };
    let remove = async move |State(server): State<Server>,
                             client: Client,
                             Path(id): Path<String>,
                             headers: HeaderMap| {
        delete(&server, &client, kind, &id, ask::expected(&headers)).await?;
        Ok::<_, Failure>(StatusCode::NO_CONTENT)
    };
    Router::new()
        .route(&home, get(list).post(create))
        .route(&format!("{home}/.search"), search(kinds))
        .route(
            &format!("{home}/{{id}}"),
            get(show).put(replace).patch(change).delete(remove),
        )
}

/// `POST …/.search`: a query in a body, so that it stands in no log of addresses.
fn search(kinds: &'static [&'static ResourceType]) -> MethodRouter<Server> {
    post(
        async move |State(server): State<Server>, client: Client, Body(body): Body| {
            find(&server, &client, kinds, Ask::of_body(&body)?).await
        },
    )
}

/// An id in an address. One that is none names nothing that is there.
fn known(id: &str) -> Result<Uuid, Failure> {
    id.parse().map_err(|_| Failure::not_found())
}

/// Does it to its end, even if the client hangs up meanwhile: a push that was broken off in its
/// middle would keep its source from the next one.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refused>> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::spawn(work).await {
        Ok(done) => Ok(done?),
        Err(broken) => Err(Error::Internal(format!("a push broke off: {broken}")).into()),
    }
}

async fn create(
    server: &Server,
    client: &Client,
    kind: &'static ResourceType,
    body: Value,
) -> Result<Resource, Failure> {
    let body = clean(kind, body)?;
    let (store, Client { viewer, source }) = (server.portal.store.clone(), client.clone());
    to_the_end(async move { store.scim_create(&viewer, source, kind, body).await }).await
}

async fn replace(
    server: &Server,
    client: &Client,
    kind: &'static ResourceType,
    id: &str,
    version: Option<String>,
    body: Value,
) -> Result<Resource, Failure> {
    let id = known(id)?;
    let body = clean(kind, body)?;
    let (store, Client { viewer, source }) = (server.portal.store.clone(), client.clone());
    to_the_end(async move {
        let version = version.as_deref();
        store
            .scim_replace(&viewer, source, kind, id, version, body)
            .await
    })
    .await
}

async fn patch(
    server: &Server,
    client: &Client,
    kind: &'static ResourceType,
    id: &str,
    version: Option<String>,
    body: Value,
) -> Result<Resource, Failure> {
    let id = known(id)?;
    let list = operations(kind, &body)?;
    let (store, Client { viewer, source }) = (server.portal.store.clone(), client.clone());
    to_the_end(async move {
        let version = version.as_deref();
        store
            .scim_patch(&viewer, source, kind, id, version, list)
            .await
    })
    .await
}

async fn delete(
    server: &Server,
    client: &Client,
    kind: &'static ResourceType,
    id: &str,
    version: Option<String>,
) -> Result<(), Failure> {
    let id = known(id)?;
    let (store, Client { viewer, source }) = (server.portal.store.clone(), client.clone());
    to_the_end(async move {
        let version = version.as_deref();
        store.scim_delete(&viewer, source, kind, id, version).await
    })
    .await
}

async fn find(
    server: &Server,
    client: &Client,
    kinds: &'static [&'static ResourceType],
    ask: Ask,
) -> Answer {
    let filter = ask.filter.as_deref().map(Filter::parse).transpose()?;
    let search = Search {
        kinds: kinds.to_vec(),
        filter,
        sort: ask.sort,
        start: ask.start,
        count: ask.count.min(PAGE_MAX),
        look_through: LOOKED_THROUGH,
    };
    let store = &server.portal.store;
    let Found { total, resources } = store
        .scim_search(&client.viewer, client.source, &search)
        .await?;
    let shown: Vec<_> = resources
        .iter()
        .map(|one| server.present(one, &ask.wanted))
        .collect();
    Ok(list(total, ask.start, shown).into_response())
}

/// A list (RFC 7644, section 3.4.2).
fn list(total: u64, start: u64, resources: Vec<Value>) -> Response {
    let list = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    });
    document(StatusCode::OK, &list)
}

/// A resource with its version.
fn tell(server: &Server, resource: &Resource, wanted: &Wanted, status: StatusCode) -> Response {
    let mut response = document(status, &server.present(resource, wanted));
    if let Ok(tag) = format!("W/\"{}\"", resource.version).parse() {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

impl Server {
    /// Where `/scim/v2` is.
    fn scim(&self) -> String {
        let url = &self.portal.site.public_url;
        format!("{}/scim/v2", url.trim_end_matches('/'))
    }

    fn location(&self, resource: &Resource) -> String {
        format!("{}{}/{}", self.scim(), resource.kind.endpoint, resource.id)
    }

    /// What a client reads of a resource.
    fn present(&self, resource: &Resource, wanted: &Wanted) -> Value {
        let mut object = resource.object();
        if let Some(meta) = object.get_mut("meta") {
            meta["location"] = self.location(resource).into();
        }
        let groups = object.get_mut("groups").and_then(Value::as_array_mut);
        for group in groups.into_iter().flatten() {
            let id = group["value"].as_str().unwrap_or_default();
            group["$ref"] = format!("{}{}/{id}", self.scim(), GROUP.endpoint).into();
        }
        wanted.of(resource.kind, object).into()
    }
}

impl From<AppError> for Failure {
    fn from(AppError(error): AppError) -> Self {
        error.into()
    }
}
