//! Addresses to function names, files and lines.

use std::collections::HashMap;

use blazesym::Pid;
use blazesym::symbolize::source::{Kernel, Process, Source};
use blazesym::symbolize::{Input, Symbolized, Symbolizer};

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
        if self.kernel_is_named {
            for (depth, &address) in sample.kernel.iter().enumerate().rev() {
                frames.extend(self.kernel_frame(address, depth > 0));
            }
        } else if !sample.kernel.is_empty() {
            frames.push(Name { function: "[kernel]".into(), place: None });
        }
        frames
    }

    /// A return address lies behind its call: the byte before it is the call's.
    fn user_frame(&mut self, address: u64, is_return: bool) -> Functions {
        let address = address - u64::from(is_return);
        if let Some(known) = self.user.get(&address) {
            return known.clone();
        }
        // By the paths in /proc/self/maps: the links in map_files need privileges that the probe does not.
        let process = Process { map_files: false, ..Process::new(Pid::Slf) };
        let source = Source::Process(process);
        let named = self.symbolizer.symbolize_single(&source, Input::AbsAddr(address));
        let functions =
            named.ok().as_ref().map_or_else(|| unknown(address), |symbol| functions(symbol, address));
        self.user.insert(address, functions.clone());
        functions
    }

    fn kernel_frame(&mut self, address: u64, is_return: bool) -> Functions {
        let address = address - u64::from(is_return);
        if let Some(known) = self.kernel.get(&address) {
            return known.clone();
        }
        let source = Source::Kernel(Kernel { debug_syms: false, ..Kernel::default() });
        let named = self.symbolizer.symbolize_single(&source, Input::AbsAddr(address));
        let mut functions =
            named.ok().as_ref().map_or_else(|| unknown(address), |symbol| functions(symbol, address));
        for name in &mut functions {
            name.function.push_str("_[k]");
            name.place = None;
        }
        self.kernel.insert(address, functions.clone());
        functions
    }
}

fn unknown(address: u64) -> Functions {
    vec![Name { function: format!("[unknown {address:#x}]"), place: None }]
}

fn functions(symbol: &Symbolized<'_>, address: u64) -> Functions {
    let Symbolized::Sym(symbol) = symbol else { return unknown(address) };
    let place = |info: Option<&blazesym::symbolize::CodeInfo<'_>>| {
        let info = info?;
        let file = shortened(&info.to_path().display().to_string());
        Some(info.line.map_or_else(|| file.clone(), |line| format!("{file}:{line}")))
    };
    let mut functions =
        vec![Name { function: clean(&symbol.name), place: place(symbol.code_info.as_deref()) }];
    let inlined = symbol.inlined.iter();
    functions.extend(inlined.map(|f| Name { function: clean(&f.name), place: place(f.code_info.as_ref()) }));
    functions
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

/// Names without what would break a folded line.
fn clean(name: &str) -> String {
    name.replace([';', '\n'], ":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlt_probe_ebpf::{Role, StackKind};

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
}
