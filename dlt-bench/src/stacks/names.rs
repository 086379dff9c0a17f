//! Addresses to function names, files and lines.

use std::collections::HashMap;

use blazesym::Pid;
use blazesym::symbolize::source::{Kernel, Process, Source};
use blazesym::symbolize::{CodeInfo, Input, Sym, Symbolized, Symbolizer};

use dlt_probe_ebpf::StackKind;

use super::gather::Sample;

/// A frame's functions: the function, and what was inlined into it, outermost first.
type Functions = Vec<Name>;

/// A function, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Demangled, without the hash.
    pub function: String,
    /// `file:line`, if the debug information says it.
    pub place: Option<String>,
}

/// Names addresses of this process and of the kernel; remembers what it has named.
#[derive(Debug)]
pub struct Names {
    symbolizer: Symbolizer,
    user: HashMap<u64, Functions>,
    kernel: HashMap<u64, Functions>,
    /// The kernel shows its symbols.
    pub kernel_is_named: bool,
}

impl Default for Names {
    fn default() -> Self {
        Self::new()
    }
}

impl Names {
    /// Nothing is read before the first address.
    pub fn new() -> Self {
        // Without privileges the kernel shows its symbols at address 0.
        let has_address =
            |line: &str| line.bytes().take_while(u8::is_ascii_hexdigit).any(|digit| digit != b'0');
        let kernel_is_named = std::fs::read_to_string("/proc/kallsyms")
            .is_ok_and(|text| text.lines().take(50).any(has_address));
        Self { symbolizer: Symbolizer::new(), user: HashMap::new(), kernel: HashMap::new(), kernel_is_named }
    }

    /// The frames of a sample, outermost first, user before kernel.
    pub fn frames(&mut self, sample: &Sample) -> Vec<Name> {
        let mut frames = Vec::new();
        for (depth, &address) in sample.user.iter().enumerate().rev() {
            frames.extend(self.user_frame(address, depth > 0));
        }
        frames.drain(..thread_start(&frames));
        if self.kernel_is_named {
            let first = frames.len();
            for (depth, &address) in sample.kernel.iter().enumerate().rev() {
                frames.extend(self.kernel_frame(address, depth > 0));
            }
            // Where a thread left the processor the probe itself was called: the innermost frames are its own.
            if sample.kind != StackKind::OnCpu
                && let Some(own) = frames[first..].iter().position(|name| is_of_probe(&name.function))
            {
                frames.truncate(first + own);
            }
        } else if !sample.kernel.is_empty() {
            frames.push(Name { function: "[kernel]".into(), place: None });
        }
        frames
    }

    /// The functions at an instruction of this process: the function, and what was inlined into it, outermost first.
    pub(crate) fn at(&mut self, address: u64) -> Vec<Name> {
        self.user_frame(address, false)
    }

    /// A return address lies behind its call: the byte before it is the call's.
    fn user_frame(&mut self, address: u64, is_return: bool) -> Functions {
        let address = address - u64::from(is_return);
        if let Some(known) = self.user.get(&address) {
            return known.clone();
        }
        let functions = self.user_functions(address);
        self.user.insert(address, functions.clone());
        functions
    }

    fn user_functions(&self, address: u64) -> Functions {
        // A library's detached debug information may be of a kind that cannot be read: its own symbols still can.
        for debug_syms in [true, false] {
            // By the paths in /proc/self/maps: the links in map_files need privileges that the probe does not.
            let process = Process { map_files: false, debug_syms, ..Process::new(Pid::Slf) };
            match self.symbolizer.symbolize_single(&Source::Process(process), Input::AbsAddr(address)) {
                Ok(Symbolized::Sym(symbol)) => return functions(&symbol),
                Ok(Symbolized::Unknown(_)) | Err(_) => {}
            }
        }
        vec![Name { function: mapped_file(address).unwrap_or_else(|| "[unknown]".into()), place: None }]
    }

    fn kernel_frame(&mut self, address: u64, is_return: bool) -> Functions {
        let address = address - u64::from(is_return);
        if let Some(known) = self.kernel.get(&address) {
            return known.clone();
        }
        let source = Source::Kernel(Kernel { debug_syms: false, ..Kernel::default() });
        let named = self.symbolizer.symbolize_single(&source, Input::AbsAddr(address));
        let mut functions = match named {
            Ok(Symbolized::Sym(symbol)) => functions(&symbol),
            Ok(Symbolized::Unknown(_)) | Err(_) => vec![Name { function: "[unknown]".into(), place: None }],
        };
        for name in &mut functions {
            name.function.push_str("_[k]");
            name.place = None;
        }
        self.kernel.insert(address, functions.clone());
        functions
    }
}

/// How a tracepoint calls the probe's program.
fn is_of_probe(function: &str) -> bool {
    function.starts_with("bpf_trace_run") || function.starts_with("__traceiter_")
}

/// Outermost frames that are the same in every thread: how the standard library starts one.
fn thread_start(frames: &[Name]) -> usize {
    let starts = [
        "[libc",
        "std::thread::",
        "std::panic",
        "core::panic",
        "core::ops::function::",
        "std::sys::backtrace::",
    ];
    let is_start = |name: &Name| {
        let function = name.function.as_str();
        starts.iter().any(|start| function.starts_with(start))
            || function.ends_with("::thread_start")
            || function.ends_with("FnOnce>::call_once")
            || matches!(function, "start_thread" | "clone3" | "__clone3")
    };
    frames.iter().take_while(|name| is_start(name)).count()
}

/// `[libc.so.6]` for an address in a file that names no function there: a static function of a stripped library.
fn mapped_file(address: u64) -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    file_at(&maps, address)
}

fn file_at(maps: &str, address: u64) -> Option<String> {
    maps.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (from, to) = fields.next()?.split_once('-')?;
        let range = u64::from_str_radix(from, 16).ok()?..u64::from_str_radix(to, 16).ok()?;
        let path = fields.nth(4).filter(|_| range.contains(&address))?;
        Some(format!("[{}]", path.rsplit('/').next().unwrap_or(path).trim_matches(['[', ']'])))
    })
}

fn functions(symbol: &Sym<'_>) -> Functions {
    let outer = name(&symbol.name, symbol.code_info.as_deref());
    let inlined = symbol.inlined.iter().map(|f| name(&f.name, f.code_info.as_ref()));
    std::iter::once(outer).chain(inlined).collect()
}

fn name(function: &str, info: Option<&CodeInfo<'_>>) -> Name {
    let file = info.map(|info| shortened(&info.to_path().display().to_string()));
    let mut function = without_generics(function).replace([';', '\n'], ":");
    // Inlined functions have no path in debug information of this kind: the file's name stands for the module's.
    if !function.contains("::")
        && let Some(module) = file.as_deref().and_then(module)
    {
        function = format!("{module}::{function}");
    }
    let line = |file: String| match info.and_then(|info| info.line) {
        Some(line) => format!("{file}:{line}"),
        None => file,
    };
    Name { function, place: file.map(line) }
}

/// The path within its package or within the standard library.
fn shortened(path: &str) -> String {
    let root = env!("CARGO_MANIFEST_DIR").trim_end_matches("dlt-bench");
    let path = path.strip_prefix(root).unwrap_or(path);
    let std = path.strip_prefix("/rustc/").and_then(|rest| rest.split_once('/')).map(|(_, rest)| rest);
    let registry =
        path.split_once("/registry/src/").and_then(|(_, rest)| rest.split_once('/')).map(|(_, rest)| rest);
    std.or(registry).unwrap_or(path).to_owned()
}

/// `dlt-logger/src/ring/lane.rs` is `dlt_logger::ring::lane`.
fn module(file: &str) -> Option<String> {
    let (package, path) = file.strip_suffix(".rs")?.rsplit_once("/src/")?;
    let package = package.rsplit('/').next().unwrap_or(package);
    // A registry's folders have versions: `name-1.2.3`.
    let version = |(_, end): &(&str, &str)| end.starts_with(|c: char| c.is_ascii_digit());
    let package = package.rsplit_once('-').filter(version).map_or(package, |(name, _)| name);
    let parts = path.split('/').filter(|part| !matches!(*part, "lib" | "main" | "mod"));
    Some(std::iter::once(package.replace('-', "_").as_str()).chain(parts).collect::<Vec<_>>().join("::"))
}

/// Without the arguments of generics, which are longer than everything else together: `chunk<Caller<MutexLock>>` is
/// `chunk`. The brackets of `<Type as Trait>::function` stay.
pub(crate) fn without_generics(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut skipped = 0_usize;
    let mut last = ' ';
    for c in name.chars() {
        match c {
            '<' if skipped > 0 => skipped += 1,
            '<' if last.is_alphanumeric() || matches!(last, '_' | ':' | '}') => {
                while text.ends_with(':') {
                    text.pop();
                }
                skipped = 1;
            }
            // The arrow of a function's result closes nothing.
            '>' if skipped > 0 && last != '-' => skipped -= 1,
            _ if skipped == 0 => text.push(c),
            _ => {}
        }
        last = c;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlt_probe_ebpf::Role;

    #[inline(never)]
    fn a_function_of_this_test() -> u64 {
        std::hint::black_box(7)
    }

    #[test]
    fn own_functions_have_names_and_places() {
        a_function_of_this_test();
        let sample = Sample {
            label: String::new(),
            kind: StackKind::OnCpu,
            role: Some(Role::Producer),
            in_call: false,
            user: vec![a_function_of_this_test as *const () as u64],
            kernel: Vec::new(),
        };
        let frames = Names::new().frames(&sample);
        assert!(frames[0].function.contains("a_function_of_this_test"), "{frames:?}");
        assert!(frames[0].place.as_ref().is_some_and(|place| place.contains("names.rs")), "{frames:?}");
    }

    #[test]
    fn functions_of_libraries_have_names() {
        // In a static binary it is one of this program's own.
        let frame = Names::new().user_functions(libc::sched_yield as *const () as u64 + 4);
        assert!(frame[0].function.contains("sched_yield"), "{frame:?}");
    }

    #[test]
    fn an_address_without_a_name_shows_its_file() {
        let maps =
            "7f00-7f80 r-xp 00000000 fe:00 123 /usr/lib/libc.so.6\n7f80-7fff rw-p 00000000 00:00 0 [stack]\n";
        assert_eq!(file_at(maps, 0x7f10).as_deref(), Some("[libc.so.6]"));
        assert_eq!(file_at(maps, 0x7f80).as_deref(), Some("[stack]"));
        assert_eq!(file_at(maps, 0x8000), None);
    }

    #[test]
    fn modules_are_named_by_files() {
        assert_eq!(module("dlt-logger/src/ring/lane.rs").as_deref(), Some("dlt_logger::ring::lane"));
        assert_eq!(
            module("library/std/src/sys/sync/mutex/futex.rs").as_deref(),
            Some("std::sys::sync::mutex::futex")
        );
        assert_eq!(module("crossbeam-queue-0.3.12/src/lib.rs").as_deref(), Some("crossbeam_queue"));
        assert_eq!(
            module("library/core/src/../../stdarch/crates/core_arch/src/x86/rdtsc.rs").as_deref(),
            Some("core_arch::x86::rdtsc")
        );
        assert_eq!(module("./nptl/pthread_create.c"), None);
    }

    #[test]
    fn arguments_of_generics_are_left_out() {
        let shorter = |long: &str| without_generics(long);
        assert_eq!(shorter("chunk<a::Caller<b::Lock<fn(u8) -> u16>>>"), "chunk");
        assert_eq!(shorter("{closure#0}<x::Y>"), "{closure#0}");
        assert_eq!(
            shorter("<alloc::boxed::Box<dyn FnOnce<(), Output = ()>> as FnOnce<()>>::call"),
            "<alloc::boxed::Box as FnOnce>::call"
        );
        assert_eq!(shorter("a::b::<c::D>::e"), "a::b::e");
        assert_eq!(shorter("main"), "main");
    }

    #[test]
    fn how_a_thread_starts_is_left_out() {
        let frames = |names: &[&str]| -> Vec<Name> {
            names.iter().map(|name| Name { function: (*name).to_owned(), place: None }).collect()
        };
        let start = [
            "[libc.so.6]",
            "<std::sys::thread::unix::Thread>::new::thread_start",
            "<alloc::boxed::Box as core::ops::function::FnOnce>::call_once",
            "std::thread::lifecycle::{closure#0}",
            "std::sys::backtrace::__rust_begin_short_backtrace",
        ];
        let all = [&start[..], &["dlt_logger::worker::run", "std::thread::park"]].concat();
        assert_eq!(thread_start(&frames(&all)), start.len());
        assert_eq!(thread_start(&frames(&["main", "[libc.so.6]"])), 0);
    }
}
