//! The pure crates for wasm32: proof that they need no system below them.
//!
//! The ordinary way is rustup's target. Where rustup cannot fetch it,
//! Debian's `rustc-web` builds the standard library from `rust-web-src`. Both
//! work in target folders of their own, because two compilers that share one
//! would evict each other's results.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Failure, Outcome, cargo, command, output, run, target_dir, works};

const TARGET: &str = "wasm32-unknown-unknown";
const PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// What is given up to make what a phone downloads smaller: a panic says
/// nothing before it stops the engine, debug output is empty, the library sorts
/// more slowly, and a receipt's signature is checked with rounds in a loop.
const SMALL_LIBRARY: &str = "build-std-features=optimize_for_size";
const SMALL_CODE: &str = "-Zunstable-options -Cpanic=immediate-abort -Zlocation-detail=none -Zfmt-debug=none \
                          --cfg=sha2_backend_soft=\"compact\"";

/// How much the size matters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Only that it builds.
    Any,
    /// As small as the compiler at hand can.
    Small,
}

/// The crates that do no I/O and know no clock (DESIGN: invariant 1).
pub const PURE: [&str; 4] = ["duxue-document", "duxue-protocol", "duxue-standards", "duxue-client-core"];

/// Builds the pure crates, by rustup's target where possible and else by the
/// distribution's compiler. `XTASK_WASM=distribution` forces the second.
///
/// # Errors
/// [`Failure`] that says exactly what to install, or what did not compile.
pub fn step() -> Outcome {
    build(&PURE.iter().flat_map(|name| ["-p", name]).collect::<Vec<_>>(), Size::Any).map(drop)
}

/// Builds for wasm32 what the arguments say, and gives the folder below which
/// cargo has put it. Where the size matters the distribution's compiler goes
/// first, if it is there.
///
/// # Errors
/// As for [`step`].
pub fn build(arguments: &[&str], size: Size) -> Outcome<PathBuf> {
    let forced = std::env::var("XTASK_WASM").is_ok_and(|way| way == "distribution");
    // Only a library that is built here can be built small.
    let forced = forced || (size == Size::Small && installed().is_some());
    if !forced && rustup_target() {
        println!("compiler: rustup's, with its target {TARGET}");
        let target = target_dir().join("wasm");
        run(&mut command_for(arguments, &target))?;
        return Ok(target.join(TARGET));
    }
    let compiler = distribution()?;
    println!("compiler: {}, with the standard library built from source", compiler.display());
    let target = target_dir().join(match size {
        Size::Any => "wasm-distribution",
        Size::Small => "wasm-small",
    });
    let mut build = command_for(arguments, &target);
    if size == Size::Small {
        build.args(["-Z", SMALL_LIBRARY]).env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", SMALL_CODE);
    }
    build
        .args(["-Z", "build-std=std,panic_abort"])
        .env("RUSTC", &compiler)
        // The distribution's compiler is a stable one; building its own
        // library is what this switch exists for.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker()?);
    run(&mut build)?;
    Ok(target.join(TARGET))
}

fn command_for(arguments: &[&str], target: &Path) -> Command {
    let mut build = cargo(&["build", "--locked", "--target", TARGET]);
    build.args(arguments).arg("--target-dir").arg(target);
    build
}

/// Whether rustup has the target, after asking for it if need be.
fn rustup_target() -> bool {
    if has_library() {
        return true;
    }
    println!("rustup has no {TARGET} yet: trying `rustup target add {TARGET}`");
    works(&mut command("rustup", &["target", "add", TARGET])) && has_library()
}

fn has_library() -> bool {
    sysroot().is_ok_and(|root| root.join("lib/rustlib").join(TARGET).join("lib").is_dir())
}

fn sysroot() -> Outcome<PathBuf> {
    let text = output(&mut command("rustc", &["--print", "sysroot"]))?;
    Ok(PathBuf::from(text.trim()))
}

/// The distribution's compiler, installed first where this process may.
fn distribution() -> Outcome<PathBuf> {
    if let Some(compiler) = installed() {
        return Ok(compiler);
    }
    let how = format!(
        "the target {TARGET} is not installed and rustup could not fetch it; install it with \
         `rustup target add {TARGET}`, or on Debian and Ubuntu with `apt-get update && apt-get install {}`",
        PACKAGES.join(" ")
    );
    if !works(&mut command("apt-get", &["--version"])) || !is_root() {
        return Err(Failure(how));
    }
    println!("installing {} with apt-get", PACKAGES.join(" and "));
    let update = run(&mut command("apt-get", &["update", "-q"]));
    let mut install = command("apt-get", &["install", "-q", "-y", "--no-install-recommends"]);
    install.args(PACKAGES).env("DEBIAN_FRONTEND", "noninteractive");
    update
        .and_then(|()| run(&mut install))
        .map_err(|Failure(problem)| Failure(format!("{problem}\n{how}")))?;
    installed().ok_or(Failure(how))
}

/// The distribution's compiler if it and the library's source are there.
fn installed() -> Option<PathBuf> {
    let compiler = PathBuf::from("/usr/bin/rustc");
    let text = output(command("/usr/bin/rustc", &["--print", "sysroot"]).stderr(std::process::Stdio::null()));
    let library = PathBuf::from(text.ok()?.trim()).join("lib/rustlib/src/rust/library/std/Cargo.toml");
    library.is_file().then_some(compiler)
}

/// Whether this process may install packages.
pub fn is_root() -> bool {
    output(&mut command("id", &["-u"])).is_ok_and(|id| id.trim() == "0")
}

/// `rust-lld` of the toolchain, or whichever linker for wasm is on the path.
fn linker() -> Outcome<PathBuf> {
    let host = output(&mut command("rustc", &["-vV"]))?;
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let ours = sysroot()?.join("lib/rustlib").join(host).join("bin/rust-lld");
    if ours.is_file() {
        return Ok(ours);
    }
    let others = ["rust-lld", "wasm-ld", "wasm-ld-19", "wasm-ld-16", "wasm-ld-14"];
    others.into_iter().find(|name| works(&mut command(name, &["--version"]))).map(PathBuf::from).ok_or_else(
        || {
            Failure(
                "no linker for wasm32: the toolchain has no rust-lld; install lld (`apt-get install lld`)"
                    .into(),
            )
        },
    )
}
