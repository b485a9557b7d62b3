//! The server of OPTIMUS: commands, router, REST, sockets and jobs around the verbs of [`store`].
//!
//! A library so that tests can start a whole portal in their own process; the program is `main.rs`.

pub mod bus;
pub mod clock;
pub mod commands;
pub mod config;
pub mod data_dir;
pub mod demo;
pub mod http;
pub mod jobs;
pub mod rest;
pub mod scim;
pub mod seed;
pub mod serve;
pub mod socket;
pub mod tokens;
