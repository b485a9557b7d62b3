//! `/api/v1`: who, what, answer. What is allowed is the verbs' to say.

use std::sync::Arc;

use app::edge::AppError;
use axum::{Json, Router, extract::DefaultBodyLimit, http::StatusCode};
use utoipa::{
    OpenApi,
    openapi::{
        Content, Ref, RefOr, ResponseBuilder,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouterExt as _},
    routes,
};

use crate::http::{COOKIE, PHOTO_BODY_MAX, ProblemBody, Server};

mod audit;
mod caller;
mod conversations;
mod corrections;
mod delegations;
mod employees;
mod history;
mod input;
mod leavers;
mod matching;
mod me;
mod policies;
mod priority;
mod quality;
mod reading;
mod reviews;
mod shapes;
mod sources;
mod tokens;
mod undo;

pub use caller::Caller;
pub use input::{Id, Ids, Input, InputOr, Params};

/// What a handler answers.
type Answer<T> = Result<Json<T>, AppError>;
/// What a handler answers that has made something.
type Made<T> = Result<(StatusCode, Json<T>), AppError>;
/// What a handler answers that has nothing more to say.
type Done = Result<StatusCode, AppError>;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "OPTIMUS",
        version = "1",
        description = "Names of attributes follow SCIM 2.0 (RFC 7643). Lists are `{items, next_cursor}` with an opaque \
                       cursor. What is not there and what is not for the caller are one answer: 404 `not_found`. Errors \
                       are `application/problem+json` (RFC 9457) with a stable `code`."
    ),
    components(schemas(ProblemBody)),
    security(("bearer" = []), ("session" = []))
)]
struct Document;

/// The routes, and the document that describes them.
pub fn routes() -> (Router<Server>, utoipa::openapi::OpenApi) {
    let api = OpenApiRouter::new()
        .routes(routes!(tokens::create))
        .routes(routes!(tokens::ticket))
        .routes(routes!(me::show))
        .routes(routes!(me::looked_at))
        .routes(routes!(me::sign_ins, me::end_others))
        .routes(routes!(me::end_sign_in))
        .routes(routes!(employees::list))
        .routes(routes!(employees::show, employees::edit))
        .routes(routes!(employees::set_photo).layer(DefaultBodyLimit::max(PHOTO_BODY_MAX)))
        .routes(routes!(employees::chain))
        .routes(routes!(history::show))
        .routes(routes!(employees::reports))
        .routes(routes!(employees::units))
        .routes(routes!(delegations::delegations, delegations::set_delegate))
        .routes(routes!(delegations::end_delegation))
        .routes(routes!(conversations::list, conversations::start))
        .routes(routes!(conversations::show))
        .routes(routes!(conversations::messages, conversations::send))
        .routes(routes!(conversations::add_members))
        .routes(routes!(conversations::leave))
        .routes(routes!(conversations::mark_read))
        .routes(routes!(policies::rules, policies::set_rules))
        .routes(routes!(policies::preview))
        .routes(routes!(policies::rules_history))
        .routes(routes!(policies::roll_rules_back))
        .routes(routes!(policies::oversight, policies::set_oversight))
        .routes(routes!(policies::oversight_history))
        .routes(routes!(policies::roll_oversight_back))
        .routes(routes!(priority::priority, priority::set_priority))
        .routes(routes!(priority::priority_history))
        .routes(routes!(priority::roll_priority_back))
        .routes(routes!(corrections::policy, corrections::set_policy))
        .routes(routes!(corrections::policy_history))
        .routes(routes!(corrections::roll_policy_back))
        .routes(routes!(corrections::list, corrections::propose))
        .routes(routes!(corrections::show))
        .routes(routes!(corrections::accept))
        .routes(routes!(corrections::decline))
        .routes(routes!(corrections::retry))
        .routes(routes!(corrections::withdraw))
        .routes(routes!(sources::list, sources::add))
        .routes(routes!(sources::show))
        .routes(routes!(reading::schedule, reading::set_schedule))
        .routes(routes!(reading::mapping, reading::set_mapping))
        .routes(routes!(matching::undecided))
        .routes(routes!(matching::decide))
        .routes(routes!(matching::linked))
        .routes(routes!(matching::unlink))
        .routes(routes!(matching::correlation, matching::set_correlation))
        .routes(routes!(leavers::leavers))
        .routes(routes!(leavers::decide))
        .routes(routes!(quality::quality))
        .routes(routes!(sources::runs, sources::start_run))
        .routes(routes!(sources::run))
        .routes(routes!(sources::steps))
        .routes(routes!(sources::approve))
        .routes(routes!(sources::cancel))
        .routes(routes!(undo::preview, undo::undo))
        .routes(routes!(undo::set_limits))
        .routes(routes!(undo::pause, undo::resume))
        .routes(routes!(reviews::list, reviews::open))
        .routes(routes!(reviews::show))
        .routes(routes!(reviews::messages))
        .routes(routes!(reviews::end))
        .routes(routes!(audit::list))
        .routes(routes!(audit::verify));
    let (router, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .nest("/api/v1", api)
        .split_for_parts();
    complete(&mut document);
    (router, document)
}

/// Says once what holds for every operation: how to sign in, and what errors look like.
fn complete(document: &mut utoipa::openapi::OpenApi) {
    let components = document.components.get_or_insert_default();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    components.add_security_scheme(
        "session",
        SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(COOKIE))),
    );
    let problem = ResponseBuilder::new()
        .description("What went wrong, with a stable `code`.")
        .content(
            "application/problem+json",
            Content::new(Some(RefOr::<utoipa::openapi::Schema>::Ref(
                Ref::from_schema_name("Problem"),
            ))),
        )
        .build();
    for item in document.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
        ];
        for operation in operations.into_iter().flatten() {
            operation
                .responses
                .responses
                .insert("default".into(), RefOr::T(problem.clone()));
        }
    }
}

/// `GET /api/v1/openapi.json`: open to everybody, as it says nothing of anybody.
pub async fn document(document: Arc<utoipa::openapi::OpenApi>) -> Json<utoipa::openapi::OpenApi> {
    Json((*document).clone())
}

fn made<T>(value: T) -> (StatusCode, Json<T>) {
    (StatusCode::CREATED, Json(value))
}
