//! The portal as people see it: pages rendered on the server, and the few islands that wake in the
//! browser.
//!
//! With `ssr` the crate is a library of the server: handlers, pages and the document around them.
//! With `hydrate` it is the client, compiled to WebAssembly: islands alone.

#![recursion_limit = "256"]

pub mod chat;
pub mod source;
pub mod ui;
pub mod words;

#[cfg(feature = "ssr")]
pub mod account;
#[cfg(feature = "ssr")]
pub mod audit;
#[cfg(feature = "ssr")]
pub mod correction;
#[cfg(feature = "ssr")]
pub mod document;
#[cfg(feature = "ssr")]
pub mod edge;
#[cfg(feature = "ssr")]
pub mod home;
#[cfg(feature = "ssr")]
pub mod looked_at;
#[cfg(feature = "ssr")]
pub mod org;
#[cfg(feature = "ssr")]
pub mod people;
#[cfg(feature = "ssr")]
pub mod policy;
#[cfg(feature = "ssr")]
pub mod portal;
#[cfg(feature = "ssr")]
pub mod quality;
#[cfg(feature = "ssr")]
pub mod review;
#[cfg(feature = "ssr")]
pub mod roles;

/// Every page and form. The server adds its layers and its other doors.
#[cfg(feature = "ssr")]
pub fn routes() -> axum::Router<portal::Portal> {
    axum::Router::new()
        .merge(account::routes())
        .merge(home::routes())
        .merge(people::routes())
        .merge(org::routes())
        .merge(chat::routes())
        .merge(review::routes())
        .merge(looked_at::routes())
        .merge(policy::routes())
        .merge(correction::routes())
        .merge(quality::routes())
        .merge(source::routes())
        .merge(roles::routes())
        .merge(audit::routes())
}

/// Called once by the script of a page with islands, before it wakes them.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_islands();
}
