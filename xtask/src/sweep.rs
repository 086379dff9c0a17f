//! The stop sweep in several builds of the same sources: which instructions there are to stop at is the compiler's choice.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::Ordering::Relaxed;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::shell::{self, cargo, say};

/// The case, also the name under which a user runs the default build alone.
const CASE: &str = "suspend-sweep";
/// Stops per state in the layouts besides the default one.
const SAMPLE: &str = "60";
const INTERRUPTED: u8 = 130;

/// Options of `cargo xtask sweep`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Layouts:
  default  the release build: one unit, link-time optimisation
  opt2     opt-level 2 instead of 3
  no-lto   16 units, no link-time optimisation: functions that the default build inlines are called
  shared   dlt-logger and what calls it as Rust shared libraries: thread-locals are found by __tls_get_addr

Each is built in target/sweep/LAYOUT (the default one where `cargo build --release` puts it) and swept by
`dlt-bench -c suspend-sweep`: the default one at every instruction, the others at a sample of 60 stops a state. Reports
go to a folder of their own under runs/, one for each layout. The exit code is the worst one of dlt-bench.

Examples:
  cargo xtask sweep                                     all layouts
  cargo xtask sweep --layout shared --full              every instruction of one of them
  cargo xtask sweep --layout no-lto -- --only overwrite   the subjects with this in their name")]
pub(crate) struct Options {
    /// Which build to sweep.
    #[arg(long, value_enum, default_value_t = Choice::All)]
    layout: Choice,
    /// Stop at every instruction in all layouts.
    #[arg(long)]
    full: bool,
    /// Folder for the reports. Default: runs/DATE-TIME.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// More arguments for dlt-bench, after `--`.
    #[arg(last = true, value_name = "ARGS")]
    more: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    Default,
    Opt2,
    NoLto,
    Shared,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Default,
    Opt2,
    NoLto,
    Shared,
}

impl Choice {
    fn layouts(self) -> Vec<Layout> {
        match self {
            Self::Default => vec![Layout::Default],
            Self::Opt2 => vec![Layout::Opt2],
            Self::NoLto => vec![Layout::NoLto],
            Self::Shared => vec![Layout::Shared],
            Self::All => vec![Layout::Default, Layout::Opt2, Layout::NoLto, Layout::Shared],
        }
    }
}

impl Layout {
    const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Opt2 => "opt2",
            Self::NoLto => "no-lto",
            Self::Shared => "shared",
        }
    }
}

/// A layout that was swept.
struct Swept {
    layout: Layout,
    code: u8,
    /// The line in which dlt-bench sums up.
    line: String,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let interrupts = shell::note_interrupts()?;
    let target = shell::target_folder()?;
    let mut programs = Vec::new();
    // All before the first sweep: what does not compile is found at once.
    for layout in options.layout.layouts() {
        say(&format!("building  {}", layout.name()));
        let program = build(layout, &target);
        if interrupts.load(Relaxed) {
            return Ok(INTERRUPTED.into());
        }
        programs.push((layout, program?));
    }
    let out = match &options.out {
        Some(out) => out.clone(),
        None => shell::new_run_folder()?,
    };
    let mut swept = Vec::new();
    for (layout, program) in programs {
        say(&format!("\nlayout    {}: {}", layout.name(), program.display()));
        if layout == Layout::Shared {
            say(&linkage(&program)?);
        }
        swept.push(sweep(layout, &program, &out, options)?);
        if interrupts.load(Relaxed) {
            break;
        }
    }
    let lines: Vec<_> = swept.iter().map(line).collect();
    shell::print(&format!("\n{}\nreports   {}", lines.join("\n"), out.display()));
    Ok(swept.iter().map(|swept| swept.code).fold(0, worse).into())
}

fn sweep(layout: Layout, program: &Path, out: &Path, options: &Options) -> Result<Swept> {
    let out = out.join(layout.name());
    fs::create_dir_all(&out).with_context(|| format!("failed to make `{}`", out.display()))?;
    let mut command = Command::new(program);
    command.args(arguments(layout, options)).arg("--out").arg(&out).args(&options.more);
    let mut summed_up = None;
    let status = shell::follow(&mut command, |line| {
        if line.starts_with(['✓', '✗']) {
            summed_up = Some(line.to_owned());
        }
    })?;
    let line = summed_up.unwrap_or_else(|| "no result".into());
    Ok(Swept { layout, code: shell::exit_code(status), line })
}

/// What dlt-bench is to do.
fn arguments(layout: Layout, options: &Options) -> Vec<&'static str> {
    let is_chosen = options.more.iter().any(|word| word == "--sample" || word.starts_with("--sample="));
    let mut arguments = vec!["-c", CASE];
    if layout != Layout::Default && !options.full && !is_chosen {
        arguments.extend(["--sample", SAMPLE]);
    }
    arguments
}

/// A layout's line of the summary.
fn line(swept: &Swept) -> String {
    let outcome = match swept.code {
        0 => "in order".to_owned(),
        1 => "VIOLATION".to_owned(),
        3 => "INCONCLUSIVE".to_owned(),
        shell::CANNOT_RUN => "cannot run".to_owned(),
        INTERRUPTED => "interrupted".to_owned(),
        code => format!("exit code {code}"),
    };
    format!("{:9} {outcome:13} {}", swept.layout.name(), swept.line)
}

/// The exit code that says more against a run, in the order that dlt-bench has for its cases.
fn worse(one: u8, other: u8) -> u8 {
    let weight = |code| match code {
        0 => 0,
        3 => 1,
        shell::CANNOT_RUN => 2,
        1 => 3,
        INTERRUPTED => 5,
        _ => 4,
    };
    if weight(other) > weight(one) { other } else { one }
}

/// Builds a layout. Returns the program.
fn build(layout: Layout, target: &Path) -> Result<PathBuf> {
    let folder = match layout {
        Layout::Default => target.to_owned(),
        _ => target.join("sweep").join(layout.name()),
    };
    let mut command = cargo();
    command
        .args(["build", "--release", "--package", "dlt-bench", "--bin", "dlt-bench", "--target-dir"])
        .arg(&folder);
    if layout != Layout::Default {
        // Only the logger's own calls are swept there.
        command.arg("--no-default-features");
    }
    match layout {
        Layout::Default => {}
        Layout::Opt2 => {
            command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "2");
        }
        Layout::NoLto => without_lto(&mut command),
        Layout::Shared => {
            // Of a shared library nothing is known at link time.
            without_lto(&mut command);
            command
                .arg("--locked")
                .current_dir(shared_workspace(&folder.join("workspace"))?)
                .env("CARGO_ENCODED_RUSTFLAGS", shared_flags()?);
            // The report names the revision also where the target folder lies outside of the repository.
            let mut git = Command::new("git");
            git.args(["rev-parse", "--absolute-git-dir"]).current_dir(shell::root());
            if let Ok(folder) = shell::output(&mut git) {
                command.env("GIT_DIR", folder);
            }
        }
    }
    shell::run(&mut command)?;
    Ok(folder.join("release/dlt-bench"))
}

fn without_lto(command: &mut Command) {
    command.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
}

/// Flags with which programs and libraries find each other, and the standard library, where they were built.
fn shared_flags() -> Result<String> {
    let standard_library = shell::output(Command::new("rustc").args(["--print", "target-libdir"]))?;
    let given = std::env::var("RUSTFLAGS").unwrap_or_default();
    let mut flags: Vec<&str> = given.split_ascii_whitespace().collect();
    let search = format!("link-arg=-Wl,-rpath,$ORIGIN,-rpath,{standard_library}");
    // Frame pointers as in `.cargo/config.toml`, which the variable replaces.
    flags.extend(["-C", "force-frame-pointers=yes", "-C", "prefer-dynamic", "-C", &search]);
    Ok(flags.join("\u{1f}"))
}

/// The repository once more, by links, but with dlt-logger and the library of dlt-bench as shared libraries: cargo has no
/// option for that, and in the packages' own manifests it would be so for everybody.
///
/// Both, since the log call is inlined into what calls it. In a program's own code a thread-local is found without a call;
/// in a library's, by `__tls_get_addr`.
fn shared_workspace(folder: &Path) -> Result<PathBuf> {
    const SHARED: [&str; 2] = ["dlt-logger", "dlt-bench"];
    let failed = || format!("failed to lay out `{}`", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(failed)?;
    }
    fs::create_dir_all(folder).with_context(failed)?;
    for name in ["Cargo.toml", "Cargo.lock"] {
        symlink(shell::root().join(name), folder.join(name)).with_context(failed)?;
    }
    for entry in fs::read_dir(shell::root()).with_context(failed)? {
        let package = entry?.path();
        let manifest = package.join("Cargo.toml");
        let Some(name) = package.file_name().filter(|_| manifest.is_file()) else { continue };
        let copy = folder.join(name);
        if !SHARED.iter().any(|shared| name == *shared) {
            symlink(&package, copy).with_context(failed)?;
            continue;
        }
        fs::create_dir(&copy).with_context(failed)?;
        for part in fs::read_dir(&package).with_context(failed)? {
            let part = part?;
            if part.file_name() != "Cargo.toml" {
                symlink(part.path(), copy.join(part.file_name())).with_context(failed)?;
            }
        }
        let text = fs::read_to_string(&manifest).with_context(failed)?;
        ensure!(
            !text.contains("[lib]"),
            "`{}` has a section [lib] that was not foreseen",
            manifest.display()
        );
        fs::write(copy.join("Cargo.toml"), format!("{text}\n[lib]\ncrate-type = [\"dylib\"]\n"))
            .with_context(failed)?;
    }
    Ok(folder.to_owned())
}

/// Makes sure that the program loads the shared libraries, and says what lies in which.
fn linkage(program: &Path) -> Result<String> {
    // The dynamic loader's own answer; this is what ldd asks for.
    let loaded = shell::output(Command::new(program).env("LD_TRACE_LOADED_OBJECTS", "1"))?;
    let folder = program.parent().context("the program lies in a folder")?;
    for library in ["libdlt_logger.so", "libdlt_bench.so"] {
        let here = format!("{library} => {}/{library} ", folder.display());
        ensure!(loaded.contains(&here), "`{}` does not load {library}:\n{loaded}", program.display());
    }
    let mut text = String::from(
        "· libdlt_bench.so: what makes the log call, and the call itself, which is inlined into it\n\
         · libdlt_logger.so: the rest of dlt-logger: first calls of threads, ends of threads, workers, sinks, closing",
    );
    let anatomy = Command::new(program).args(["anatomy", "--mode", "overwrite"]).output()?;
    for line in String::from_utf8_lossy(&anatomy.stdout).lines() {
        if line.contains(": calls ") || line.contains(": instructions: ") {
            text.push('\n');
            text.push_str(line);
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(full: bool, more: &[&str]) -> Options {
        Options { layout: Choice::All, full, out: None, more: more.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn only_the_default_layout_is_swept_whole_unless_it_is_said() {
        assert_eq!(arguments(Layout::Default, &options(false, &[])), ["-c", CASE]);
        assert_eq!(arguments(Layout::Opt2, &options(false, &[])), ["-c", CASE, "--sample", "60"]);
        assert_eq!(arguments(Layout::Shared, &options(true, &[])), ["-c", CASE]);
        for sample in [&["--sample", "5"][..], &["--sample=5"]] {
            assert_eq!(arguments(Layout::NoLto, &options(false, sample)), ["-c", CASE]);
        }
    }

    #[test]
    fn a_violation_outweighs_what_is_inconclusive_and_an_interrupt_outweighs_both() {
        let worst = |codes: &[u8]| codes.iter().copied().fold(0, worse);
        assert_eq!(worst(&[0, 0]), 0);
        assert_eq!(worst(&[0, 3, 4, 3]), 4);
        assert_eq!(worst(&[3, 1, 4, 0]), 1);
        assert_eq!(worst(&[1, 139, 3]), 139);
        assert_eq!(worst(&[1, INTERRUPTED, 2]), INTERRUPTED);
    }
}
