//! Registers and breakpoints of a seized thread that stands.
#![expect(unsafe_code, reason = "offsets in the kernel's user area")]

use nix::sys::ptrace;

use super::Tracee;
use crate::error::Error;

/// Breakpoints that a thread can have: the processor's debug registers 0 to 3.
pub const BREAKPOINTS: usize = 4;

/// The registers of a thread, as the kernel hands them out.
pub type Registers = libc::user_regs_struct;

impl Tracee {
    /// Its registers.
    ///
    /// # Errors
    /// It does not stand.
    pub fn registers(&self) -> Result<Registers, Error> {
        ptrace::getregs(self.tid()).map_err(|errno| self.failed("read the registers of", errno))
    }

    /// Address of the instruction that it is about to execute.
    ///
    /// # Errors
    /// It does not stand.
    pub fn position(&self) -> Result<u64, Error> {
        Ok(self.registers()?.rip)
    }

    /// A word of its memory.
    ///
    /// # Errors
    /// It does not stand, or nothing is mapped there.
    pub fn read_word(&self, address: u64) -> Result<u64, Error> {
        let word = ptrace::read(self.tid(), address as usize as *mut libc::c_void);
        word.map(i64::cast_unsigned).map_err(|errno| self.failed("read the memory of", errno))
    }

    /// Has it stop before it executes the instruction at any of these addresses; replaces what was set before. It stands
    /// when this is called. Stepping off a breakpoint does not trap again: the kernel sets the resume flag.
    ///
    /// # Errors
    /// More than [`BREAKPOINTS`] addresses, or the system has no debug registers.
    pub fn set_breakpoints(&mut self, addresses: &[u64]) -> Result<(), Error> {
        if addresses.len() > BREAKPOINTS {
            return Err(Error::failed(format!(
                "{} breakpoints, of {BREAKPOINTS} there are",
                addresses.len()
            )));
        }
        // Off before an address changes: the kernel checks the two against each other.
        self.poke_debug_register(7, 0)?;
        let mut enabled = 0;
        for (index, &address) in addresses.iter().enumerate() {
            self.poke_debug_register(index, address)?;
            // Execution, one byte (R/W and LEN zero), local enable.
            enabled |= 1 << (2 * index);
        }
        self.poke_debug_register(7, enabled)
    }

    /// Its instruction pointer and return addresses, innermost first, as far as frame pointers lead.
    ///
    /// # Errors
    /// It does not stand.
    pub fn stack(&self) -> Result<Vec<u64>, Error> {
        const MOST_FRAMES: usize = 64;
        let registers = self.registers()?;
        let mut stack = vec![registers.rip];
        let mut frame = registers.rbp;
        while stack.len() < MOST_FRAMES && frame != 0 {
            let (Ok(next), Ok(back)) = (self.read_word(frame), self.read_word(frame + 8)) else { break };
            if back == 0 {
                break;
            }
            stack.push(back);
            // Callers lie above: anything else is no frame.
            if next <= frame {
                break;
            }
            frame = next;
        }
        Ok(stack)
    }

    fn poke_debug_register(&self, index: usize, value: u64) -> Result<(), Error> {
        let offset = std::mem::offset_of!(libc::user, u_debugreg) + 8 * index;
        // SAFETY: PTRACE_POKEUSER takes an offset in place of an address and touches no memory of this process.
        let poked = unsafe {
            libc::ptrace(libc::PTRACE_POKEUSER, self.tid().as_raw(), offset as *mut libc::c_void, value)
        };
        if poked == -1 {
            return Err(Error::cannot_run(format!(
                "failed to set a hardware breakpoint: {}",
                std::io::Error::last_os_error()
            ))
            .with_hint("the sweep needs the processor's debug registers; some emulators have none"));
        }
        Ok(())
    }
}
