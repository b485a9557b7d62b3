//! The portal from outside: a real listener, real clients, SQLite and PostgreSQL.

mod app;
mod commands;
mod doors;
mod durability;
mod nodes;
mod rest;
mod safety;
mod socket;
