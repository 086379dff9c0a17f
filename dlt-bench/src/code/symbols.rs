//! Functions of this process: where they are, what they are called, and from which source lines they come.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Endianness, Object, ObjectSymbol, SymbolKind};

use crate::error::Error;
use crate::stacks::names::{Name, Names, without_generics};

/// A function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Address of its first instruction.
    pub start: u64,
    /// Length of its code; padding behind it is not part of it.
    pub bytes: u64,
    /// Demangled, without the hash and the arguments of generics.
    pub name: String,
}

impl Function {
    /// Is this one of its addresses?
    pub const fn contains(&self, address: u64) -> bool {
        address >= self.start && address - self.start < self.bytes
    }

    /// Address behind its last instruction.
    pub const fn end(&self) -> u64 {
        self.start + self.bytes
    }
}

/// Where an instruction comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The innermost function that is not the standard library's; inlined functions count.
    pub function: String,
    /// `file:line` in it, if the debug information says it.
    pub file_line: Option<String>,
    /// File name of the program or library.
    pub module: String,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.file_line {
            Some(line) => write!(f, "{} ({line})", self.function),
            None => write!(f, "{} [{}]", self.function, self.module),
        }
    }
}

/// A mapping that can be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Text {
    start: u64,
    end: u64,
    offset: u64,
    path: String,
}

/// All functions of this process that symbol tables name.
#[derive(Debug)]
pub struct Symbols {
    /// Sorted by address.
    functions: Vec<Function>,
    texts: Vec<Text>,
    /// Path of the program.
    program: String,
    /// Folder in which it lies, with a slash at the end.
    folder: String,
    names: RefCell<Names>,
}

impl Symbols {
    /// Reads the symbol tables of the program and of what is mapped now.
    ///
    /// # Errors
    /// The program's own file or /proc cannot be read. A library that cannot be read has no names.
    pub fn of_this_process() -> Result<Self, Error> {
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            Error::cannot_run(format!("failed to read {what}: {error}"))
        };
        let maps =
            std::fs::read_to_string("/proc/self/maps").map_err(|error| failed("/proc/self/maps", &error))?;
        let program =
            std::fs::read_link("/proc/self/exe").map_err(|error| failed("/proc/self/exe", &error))?;
        let texts = executable(&maps);
        let program = program.to_string_lossy().into_owned();
        let mut symbols = Self {
            functions: Vec::new(),
            folder: folder(&program).to_owned(),
            program,
            names: RefCell::new(Names::new()),
            texts: Vec::new(),
        };
        let mut read: Vec<&str> = Vec::new();
        for text in texts.iter().filter(|text| text.path.starts_with('/')) {
            // A file with two executable mappings has one bias.
            if read.contains(&text.path.as_str()) {
                continue;
            }
            read.push(&text.path);
            let is_program = text.path == symbols.program;
            // The program's file may have been replaced since it was started: its own link still leads to it.
            let file = if is_program { Path::new("/proc/self/exe") } else { Path::new(&text.path) };
            match std::fs::read(file)
                .map_err(|error| error.to_string())
                .and_then(|bytes| functions(&bytes, text))
            {
                Ok(functions) => symbols.functions.extend(functions),
                Err(error) if is_program => return Err(failed("the program's symbols", &error)),
                Err(_) => {}
            }
        }
        symbols.texts = texts;
        symbols.functions.sort_by(|a, b| (a.start, b.bytes, &a.name).cmp(&(b.start, a.bytes, &b.name)));
        // Several names of one address: aliases.
        symbols.functions.dedup_by_key(|function| function.start);
        if !symbols.functions.iter().any(|function| symbols.is_own(function.start)) {
            return Err(Error::cannot_run("the program has no symbol table")
                .with_hint("it was stripped: build it with `cargo build --release`"));
        }
        Ok(symbols)
    }

    /// The function that has this address.
    pub fn function_at(&self, address: u64) -> Option<&Function> {
        let behind = self.functions.partition_point(|function| function.start <= address);
        self.functions[..behind].last().filter(|function| function.contains(address))
    }

    /// Functions with this name, as [`Function::name`] has it.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Function> {
        self.functions.iter().filter(move |function| function.name == name)
    }

    /// Is this address in the program's own code? A shared library that lies beside the program was built with it.
    pub fn is_own(&self, address: u64) -> bool {
        self.text_at(address)
            .is_some_and(|text| text.path == self.program || folder(&text.path) == self.folder)
    }

    /// Can the memory at this address be executed?
    pub fn is_code(&self, address: u64) -> bool {
        self.text_at(address).is_some()
    }

    /// Where the instruction at this address comes from.
    pub fn place(&self, address: u64) -> Place {
        let frames = self.frames(address);
        let innermost = frames.iter().rev().find(|frame| !is_of_std(frame)).or(frames.last());
        Place {
            function: innermost.map_or_else(|| format!("{address:#x}"), |frame| frame.function.clone()),
            file_line: innermost.and_then(|frame| frame.place.clone()),
            module: self.module_at(address),
        }
    }

    /// The functions at this address: the function, and what was inlined into it, outermost first.
    pub fn frames(&self, address: u64) -> Vec<Name> {
        // Nothing that is called here comes back to this: the cell is free.
        self.names.borrow_mut().at(address)
    }

    /// What a call to this address is called: the function's name, with `+0x10` if it is not its start.
    pub fn label(&self, address: u64) -> String {
        match self.function_at(address) {
            Some(function) if function.start == address => function.name.clone(),
            Some(function) => format!("{}+{:#x}", function.name, address - function.start),
            None => format!("[{}]", self.module_at(address)),
        }
    }

    /// File name of the program or library that has this address; `anonymous` for other memory.
    pub fn module_at(&self, address: u64) -> String {
        self.text_at(address).map_or_else(
            || "anonymous".to_owned(),
            |text| text.path.rsplit('/').next().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
        )
    }

    fn text_at(&self, address: u64) -> Option<&Text> {
        self.texts.iter().find(|text| (text.start..text.end).contains(&address))
    }
}

/// Is it a function of the standard library? Its files are remapped to `library/…`.
fn is_of_std(frame: &Name) -> bool {
    frame.place.as_ref().is_some_and(|place| place.starts_with("library/"))
}

/// The folder of a path, with the slash at its end; nothing if there is none.
fn folder(path: &str) -> &str {
    path.rfind('/').map_or("", |slash| &path[..=slash])
}

/// The mappings that can be executed.
fn executable(maps: &str) -> Vec<Text> {
    let text = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let flags = fields.next()?;
        let offset = u64::from_str_radix(fields.next()?, 16).ok()?;
        let path = fields.skip(2).collect::<Vec<_>>().join(" ");
        let path = path.strip_suffix(" (deleted)").unwrap_or(&path).to_owned();
        let address = |text| u64::from_str_radix(text, 16).ok();
        flags.contains('x').then_some(Text { start: address(start)?, end: address(end)?, offset, path })
    };
    maps.lines().filter_map(text).collect()
}

/// The functions in a file's symbol tables, at the addresses at which `text` has put them.
fn functions(file: &[u8], text: &Text) -> Result<Vec<Function>, String> {
    let elf = ElfFile64::<Endianness>::parse(file).map_err(|error| error.to_string())?;
    let bias = bias(&elf, text).ok_or("no segment of the file is mapped there")?;
    let mut names: HashMap<u64, Function> = HashMap::new();
    for symbol in elf.symbols().chain(elf.dynamic_symbols()) {
        if symbol.kind() != SymbolKind::Text || symbol.size() == 0 || !symbol.is_definition() {
            continue;
        }
        let Ok(name) = symbol.name() else { continue };
        let name = without_generics(&format!("{:#}", rustc_demangle::demangle(name)));
        let start = symbol.address().wrapping_add(bias);
        names.entry(start).or_insert(Function { start, bytes: symbol.size(), name });
    }
    Ok(names.into_values().collect())
}

/// What is added to the addresses in the file.
fn bias(elf: &ElfFile64<'_, Endianness>, text: &Text) -> Option<u64> {
    let endian = elf.endian();
    let of_segment = |header: &object::elf::ProgramHeader64<Endianness>| {
        let (offset, bytes) = (header.p_offset(endian), header.p_filesz(endian));
        // The kernel maps whole pages: a mapping may begin before its segment.
        let page = 4096;
        let is_here = header.p_type(endian) == object::elf::PT_LOAD
            && header.p_flags(endian) & object::elf::PF_X != 0
            && (offset & !(page - 1)..offset + bytes).contains(&text.offset);
        let mapped = header.p_vaddr(endian).wrapping_sub(offset).wrapping_add(text.offset);
        is_here.then(|| text.start.wrapping_sub(mapped))
    };
    elf.elf_program_headers().iter().find_map(of_segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn marked() -> u32 {
        std::hint::black_box(line!())
    }

    #[test]
    fn own_functions_are_found_by_address_and_name() {
        let symbols = Symbols::of_this_process().unwrap();
        let address = marked as *const () as u64;
        let function = symbols.function_at(address).unwrap();
        assert_eq!(function.start, address);
        assert!(function.name.ends_with("symbols::tests::marked"), "{function:?}");
        assert!(function.bytes > 0 && function.bytes < 500, "{function:?}");
        assert!(symbols.is_own(address) && symbols.is_code(address));
        assert!(symbols.named(&function.name).any(|found| found.start == address));
        assert_eq!(symbols.label(address + 1), format!("{}+0x1", function.name));
        // The line is that of the function, or one within it.
        let place = symbols.place(address);
        let line: u32 = place.file_line.as_ref().unwrap().rsplit_once(':').unwrap().1.parse().unwrap();
        assert!((marked() - 2..=marked()).contains(&line), "{place:?}, marked in {}", marked());
        assert!(place.file_line.unwrap().starts_with("dlt-bench/src/code/symbols.rs:"));
    }

    #[test]
    fn functions_of_libraries_have_the_addresses_that_the_loader_gave_them() {
        let symbols = Symbols::of_this_process().unwrap();
        // What the dynamic loader resolved, against the symbol table and the mapping.
        let address = libc::sched_yield as *const () as u64;
        let function = symbols.function_at(address).unwrap();
        assert!(function.name.contains("sched_yield"), "{function:?}");
        if !symbols.is_own(address) {
            assert_eq!(function.start, address);
            assert!(symbols.module_at(address).starts_with("libc"));
        }
    }

    #[test]
    fn folders_end_with_a_slash() {
        assert_eq!(folder("/a b/release/program"), "/a b/release/");
        assert_eq!(folder("[vdso]"), "");
    }

    #[test]
    fn data_is_not_code() {
        let symbols = Symbols::of_this_process().unwrap();
        let local = 0_u64;
        let address = &raw const local as u64;
        assert!(!symbols.is_code(address) && symbols.function_at(address).is_none());
        assert_eq!(symbols.module_at(address), "anonymous");
    }

    #[test]
    fn mappings_are_read_with_their_offsets_and_paths() {
        let maps = "55d0000-55d1000 r--p 00000000 fe:00 7 /a b/program\n\
                    55d1000-55d3000 r-xp 00001000 fe:00 7 /a b/program (deleted)\n\
                    7ffc000-7ffd000 r-xp 00000000 00:00 0 [vdso]\n";
        let text = |start, end, offset, path: &str| Text { start, end, offset, path: path.into() };
        assert_eq!(
            executable(maps),
            [text(0x55d_1000, 0x55d_3000, 0x1000, "/a b/program"), text(0x7ff_c000, 0x7ff_d000, 0, "[vdso]")]
        );
    }
}
