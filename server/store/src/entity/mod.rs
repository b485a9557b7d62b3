//! The tables, an entity each.
