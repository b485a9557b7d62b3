//! Lets the server compile before the client was ever built: the folder that it embeds must exist.

use std::path::Path;
use std::{env, fs};

fn main() {
    let site = Path::new(env!("CARGO_MANIFEST_DIR")).join("../site");
    fs::create_dir_all(site.join("pkg")).expect("the workspace folder is writable");
    println!("cargo::rerun-if-changed=build.rs");
    // A release embeds the files; other builds read them from disk and need not be built again.
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo::rerun-if-changed={}", site.display());
    }
}
