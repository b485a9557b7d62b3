//! Builds what the browser loads into `site/`, the folder that the server embeds:
//!
//! - `pkg/optimus.js` and `pkg/optimus_bg.wasm`, the client: cargo, then wasm-bindgen, then wasm-opt;
//! - `pkg/optimus.css`, the files of `style/` in the order of `style/index`;
//! - every file of `app/static/`, as it is.
//!
//! `bundle` builds for size, `bundle --dev` builds fast. A file whose content would not change is not written, so that
//! nothing downstream is rebuilt for it.
#![expect(
    clippy::print_stdout,
    reason = "a build program reports to its terminal"
)]

mod client;
mod site;
mod style;

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::client::Mode;
use crate::site::{Site, files_under, read};

fn main() -> anyhow::Result<()> {
    let mode = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => Mode::Small,
        [flag] if flag == "--dev" => Mode::Dev,
        _ => bail!("usage: bundle [--dev]"),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("app/bundle lies two levels below the workspace")?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);

    let mut site = Site::open(root.join("site"));
    let client = client::build(root, &target.join("client"), mode)?;
    for file in files_under(&client)? {
        site.put(
            &Path::new("pkg").join(file.strip_prefix(&client)?),
            &read(&file)?,
        )?;
    }
    site.put(
        Path::new("pkg/optimus.css"),
        style::sheet(&root.join("style"))?.as_bytes(),
    )?;
    let statics = root.join("app/static");
    for file in files_under(&statics)? {
        site.put(file.strip_prefix(&statics)?, &read(&file)?)?;
    }
    site.finish()
}
