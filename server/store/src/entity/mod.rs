//! The tables, an entity each.

pub mod account;
pub mod browser_session;
pub mod conversation;
pub mod invitation;
pub mod member;
pub mod message;
pub mod review;
pub mod sign_in;
