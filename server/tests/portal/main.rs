//! The portal from outside: a real listener, real clients, SQLite and PostgreSQL.

mod app;
mod commands;
mod corrections;
mod deciding;
mod doors;
mod durability;
mod nodes;
mod rest;
mod safety;
mod scim;
mod socket;
mod tables;
