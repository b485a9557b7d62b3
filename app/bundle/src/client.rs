//! The WebAssembly client: cargo builds it, wasm-bindgen wraps it, wasm-opt shrinks it.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};
use wasm_bindgen_cli_support::Bindgen;

use crate::site::{files_under, read};

const TARGET: &str = "wasm32-unknown-unknown";

/// What Rust's own output uses, and no more: browsers refuse some of what `--all-features` turns on.
const WASM_OPT: [&str; 9] = [
    "-Oz",
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
    "--enable-call-indirect-overlong",
];

/// What a build is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The smallest client, minutes to build.
    Small,
    /// An unoptimised client, seconds to rebuild.
    Dev,
}

impl Mode {
    /// The cargo profile and the folder that cargo names after it.
    fn profile(self) -> (&'static str, &'static str) {
        match self {
            Self::Small => ("wasm-release", "wasm-release"),
            Self::Dev => ("dev", "debug"),
        }
    }
}

/// Builds the client below `work` and returns the folder with `optimus.js`, `optimus_bg.wasm` and what these import.
/// When neither source nor tools changed since the last build there, that one is returned.
///
/// # Errors
/// When no toolchain has the WebAssembly target, or one of the three tools fails.
pub fn build(root: &Path, work: &Path, mode: Mode) -> anyhow::Result<PathBuf> {
    let (profile, folder) = mode.profile();
    let out = work.join("pkg").join(folder);
    let stamp = work.join("pkg").join(format!("{folder}.inputs"));
    let toolchain = Toolchain::find()?;
    let wasm_opt = Some(root.join("e2e/node_modules/binaryen/bin/wasm-opt"))
        .filter(|program| mode == Mode::Small && program.exists());
    let inputs = inputs(root, &toolchain, wasm_opt.is_some())?;
    if out.exists() && fs::read_to_string(&stamp).is_ok_and(|last| last == inputs) {
        return Ok(out);
    }
    let started = Instant::now();
    println!("bundle: building the client ({profile})");

    let built = toolchain
        .cargo()
        .current_dir(root)
        .args([
            "build",
            "--locked",
            "-p",
            "app",
            "--lib",
            "--features",
            "hydrate",
        ])
        .args(["--target", TARGET, "--profile", profile])
        .arg("--target-dir")
        .arg(work)
        .status()
        .context("cannot start cargo")?;
    ensure!(built.success(), "the client did not compile");

    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("cannot empty {}", out.display()))?;
    }
    Bindgen::new()
        .input_path(work.join(TARGET).join(folder).join("app.wasm"))
        .web(true)?
        .typescript(false)
        .out_name("optimus")
        .remove_name_section(mode == Mode::Small)
        .remove_producers_section(mode == Mode::Small)
        .generate(&out)
        .context("wasm-bindgen failed")?;

    match wasm_opt {
        Some(program) => shrink(&program, &out.join("optimus_bg.wasm"))?,
        None if mode == Mode::Small => {
            println!("bundle: no wasm-opt in e2e/node_modules, the client stays larger")
        }
        None => {}
    }
    let bytes = fs::metadata(out.join("optimus_bg.wasm"))?.len();
    println!(
        "bundle: client of {} kB in {} s",
        bytes / 1000,
        started.elapsed().as_secs()
    );
    fs::write(&stamp, inputs).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(out)
}

fn shrink(program: &Path, wasm: &Path) -> anyhow::Result<()> {
    let done = Command::new("node")
        .arg(program)
        .args(WASM_OPT)
        .arg("-o")
        .arg(wasm)
        .arg(wasm)
        .status()
        .context("no node")?;
    ensure!(done.success(), "wasm-opt failed on {}", wasm.display());
    Ok(())
}

/// A digest of all that decides what the client becomes.
fn inputs(root: &Path, toolchain: &Toolchain, shrunk: bool) -> anyhow::Result<String> {
    let mut files = vec![
        root.join("Cargo.toml"),
        root.join("Cargo.lock"),
        root.join("app/Cargo.toml"),
        root.join("domain/Cargo.toml"),
    ];
    for dir in ["app/src", "app/bundle/src", "domain/src"] {
        files.extend(files_under(&root.join(dir))?);
    }
    let mut digest = DefaultHasher::new();
    (&toolchain.version, shrunk, WASM_OPT).hash(&mut digest);
    for file in files {
        file.strip_prefix(root)?.hash(&mut digest);
        read(&file)?.hash(&mut digest);
    }
    Ok(format!("{:016x}", digest.finish()))
}

/// The Rust that can compile for the browser.
struct Toolchain {
    version: String,
    debian: bool,
}

impl Toolchain {
    /// The usual toolchain if it has the target, else the one that `bin/setup` prepared from Debian's packages.
    fn find() -> anyhow::Result<Self> {
        let has_target = |sysroot: &str| {
            Path::new(sysroot.trim())
                .join("lib/rustlib")
                .join(TARGET)
                .join("lib")
                .is_dir()
        };
        if has_target(&output("rustc", &["--print", "sysroot"])?) {
            return Ok(Self {
                version: output("rustc", &["-V"])?,
                debian: false,
            });
        }
        ensure!(
            has_target("/usr"),
            "no Rust here has the target {TARGET}; bin/setup installs it"
        );
        Ok(Self {
            version: output("/usr/bin/rustc", &["-V"])?,
            debian: true,
        })
    }

    fn cargo(&self) -> Command {
        if !self.debian {
            return Command::new("cargo");
        }
        let mut cargo = Command::new("/usr/bin/cargo");
        cargo
            .env("RUSTC", "/usr/bin/rustc")
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld-22")
            // `cargo run` points these at the other toolchain.
            .env_remove("CARGO")
            .env_remove("LD_LIBRARY_PATH");
        cargo
    }
}

fn output(program: &str, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(args)
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    ensure!(
        output.status.success(),
        "{program} {} failed",
        args.join(" ")
    );
    Ok(String::from_utf8(output.stdout)?)
}
