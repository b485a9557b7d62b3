//! Between HTTP and the verbs: who asks, what went wrong, what a form brings back.

mod error;
mod flash;
mod form;
mod visit;

pub(crate) use error::id;
pub use error::{AppError, Problem, pages};
pub use flash::{Flash, Kept};
pub use form::{Posted, answer};
pub(crate) use visit::theme;
pub use visit::{Nonce, SIGN_IN, Visit, face};
