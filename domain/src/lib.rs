//! What OPTIMUS knows: pure rules and types, one noun a file.
//!
//! Nothing here is async, does input or output, or asks for the time or for
//! randomness: they come in as arguments. The crate compiles for the server
//! and for WebAssembly alike.

pub mod access;
pub mod attribute;
pub mod audit;
pub mod chat;
pub mod client;
pub mod correction;
pub mod delegation;
pub mod erp;
pub mod ids;
pub mod leaving;
pub mod mapping;
pub mod org;
pub mod password;
pub mod policy;
pub mod review;
pub mod scim;
pub mod sourcing;
pub mod sync;
pub mod text;
pub mod violation;

pub use access::{Action, Relation, Role, Roles, Viewer};
pub use attribute::{Attribute, Audience, Value};
pub use ids::*;
pub use violation::Violation;
