//! What one machine instruction is and does.

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Formatter, InstructionInfoFactory, IntelFormatter, MemorySize,
    Mnemonic, OpAccess, OpKind, Register,
};

use crate::stop::registers::Registers;

/// The longest instruction that there is.
pub(super) const LONGEST_BYTES: usize = 15;

/// Where execution goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// At the next instruction.
    Next,
    /// At this address.
    Jump(u64),
    /// At this address, or at the next instruction.
    Branch(u64),
    /// Where a register or a word of memory says: a jump table, a tail call through a pointer.
    IndirectJump,
    /// In the function at this address, then at the next instruction.
    Call(u64),
    /// In the function that a register or a word of memory names, then at the next instruction.
    IndirectCall,
    /// Behind the call that led here.
    Return,
    /// In the kernel, then at the next instruction.
    SystemCall,
    /// Nowhere: `ud2`, `int3`, `hlt`.
    Trap,
}

/// How memory is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read.
    Read,
    /// Written.
    Write,
    /// Read and written.
    ReadWrite,
}

impl Access {
    /// It is read.
    pub const fn is_read(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    /// It is written.
    pub const fn is_write(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }
}

/// Memory that an instruction uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Its address.
    pub address: u64,
    /// Its size; 0 if it is not known.
    pub bytes: u64,
    /// How it is used.
    pub access: Access,
}

/// A decoded instruction.
#[derive(Debug, Clone, Copy)]
pub struct Instruction {
    inner: iced_x86::Instruction,
}

impl Instruction {
    /// Decodes the instruction that these bytes begin with; `None` if there is none.
    pub fn decode(address: u64, bytes: &[u8]) -> Option<Self> {
        let inner = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE).decode();
        (!inner.is_invalid()).then_some(Self { inner })
    }

    /// Its address.
    pub fn address(&self) -> u64 {
        self.inner.ip()
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.inner.len() as u64
    }

    /// Address of the instruction behind it.
    pub fn end(&self) -> u64 {
        self.inner.next_ip()
    }

    /// As the Intel manuals write it.
    pub fn text(&self) -> String {
        let mut formatter = IntelFormatter::new();
        let options = formatter.options_mut();
        options.set_hex_prefix("0x");
        options.set_hex_suffix("");
        options.set_uppercase_hex(false);
        options.set_space_after_operand_separator(true);
        options.set_rip_relative_addresses(false);
        options.set_branch_leading_zeros(false);
        let mut text = String::new();
        formatter.format(&self.inner, &mut text);
        text
    }

    /// Does it lock a cache line? A `lock` prefix, or `xchg` with memory, which implies it.
    pub fn is_locked(&self) -> bool {
        self.inner.has_lock_prefix()
            || (self.inner.mnemonic() == Mnemonic::Xchg && self.explicit_memory().is_some())
    }

    /// Is it a fence? These wait for this processor's own loads and stores, not for another's.
    pub fn is_fence(&self) -> bool {
        matches!(self.inner.mnemonic(), Mnemonic::Mfence | Mnemonic::Lfence | Mnemonic::Sfence)
    }

    /// Does it enter the kernel?
    pub fn is_system_call(&self) -> bool {
        let is_int80 = self.inner.mnemonic() == Mnemonic::Int && self.inner.immediate8() == 0x80;
        is_int80 || matches!(self.inner.mnemonic(), Mnemonic::Syscall | Mnemonic::Sysenter)
    }

    /// Does it repeat itself? Single-stepped, it traps once for each repetition.
    pub fn is_repeated(&self) -> bool {
        self.inner.is_string_instruction() && (self.inner.has_rep_prefix() || self.inner.has_repne_prefix())
    }

    /// Does nothing, or is `int3`: what stands between functions and in front of loops.
    pub fn is_filler(&self) -> bool {
        // `xchg ax, ax` is how a longer nop is written.
        let is_nop = matches!(self.inner.mnemonic(), Mnemonic::Nop | Mnemonic::Int3 | Mnemonic::Fnop);
        let registers = (self.inner.op0_register(), self.inner.op1_register());
        is_nop || (self.inner.mnemonic() == Mnemonic::Xchg && registers == (Register::AX, Register::AX))
    }

    /// Where execution goes on.
    pub fn flow(&self) -> Flow {
        let target = self.inner.near_branch_target();
        match self.inner.flow_control() {
            FlowControl::UnconditionalBranch => Flow::Jump(target),
            FlowControl::ConditionalBranch | FlowControl::XbeginXabortXend => Flow::Branch(target),
            FlowControl::IndirectBranch => Flow::IndirectJump,
            FlowControl::Return => Flow::Return,
            // The decoder counts system calls among the calls.
            _ if self.is_system_call() => Flow::SystemCall,
            FlowControl::Call => Flow::Call(target),
            FlowControl::IndirectCall => Flow::IndirectCall,
            FlowControl::Interrupt | FlowControl::Exception => Flow::Trap,
            FlowControl::Next if self.inner.mnemonic() == Mnemonic::Hlt => Flow::Trap,
            FlowControl::Next => Flow::Next,
        }
    }

    /// Address of the function that it calls, if that stands in the instruction.
    pub fn call_target(&self) -> Option<u64> {
        match self.flow() {
            Flow::Call(target) => Some(target),
            _ => None,
        }
    }

    /// Does it go on at the next instruction, at least sometimes?
    pub fn falls_through(&self) -> bool {
        !matches!(self.flow(), Flow::Jump(_) | Flow::IndirectJump | Flow::Return | Flow::Trap)
    }

    /// Address of the word that names the target of an indirect call or jump, if that address stands in the instruction: a
    /// slot that the dynamic loader has filled.
    pub fn slot(&self) -> Option<u64> {
        let is_indirect = matches!(self.flow(), Flow::IndirectCall | Flow::IndirectJump);
        (is_indirect && self.inner.is_ip_rel_memory_operand()).then(|| self.inner.ip_rel_memory_address())
    }

    /// The memory that it uses when it is executed with these registers, the stack and what is implied included; of a
    /// repeated instruction, that of one repetition.
    pub fn memory(&self, registers: &Registers) -> Vec<Memory> {
        let mut factory = InstructionInfoFactory::new();
        let info = factory.info(&self.inner);
        let memory = |used: &iced_x86::UsedMemory| {
            let access = access(used.access())?;
            let address = used.virtual_address(0, |register, _, _| value(registers, register))?;
            // Of a repeated instruction the decoder leaves it open: one repetition counts here.
            let bytes = match used.memory_size() {
                MemorySize::Unknown if self.is_repeated() => self.inner.memory_size().size(),
                size => size.size(),
            };
            Some(Memory { address, bytes: bytes as u64, access })
        };
        info.used_memory().iter().filter_map(memory).collect()
    }

    /// Index of the operand that is memory.
    fn explicit_memory(&self) -> Option<u32> {
        (0..self.inner.op_count()).find(|&operand| self.inner.op_kind(operand) == OpKind::Memory)
    }
}

/// `None` if the memory is not touched: `lea`, prefetches, long nops.
fn access(access: OpAccess) -> Option<Access> {
    match access {
        OpAccess::Read | OpAccess::CondRead => Some(Access::Read),
        OpAccess::Write | OpAccess::CondWrite => Some(Access::Write),
        OpAccess::ReadWrite | OpAccess::ReadCondWrite => Some(Access::ReadWrite),
        OpAccess::None | OpAccess::NoMemAccess => None,
    }
}

/// The value of an address register; `None` for what no address is made of.
fn value(registers: &Registers, register: Register) -> Option<u64> {
    let value = match register.full_register() {
        Register::RAX => registers.rax,
        Register::RBX => registers.rbx,
        Register::RCX => registers.rcx,
        Register::RDX => registers.rdx,
        Register::RSI => registers.rsi,
        Register::RDI => registers.rdi,
        Register::RBP => registers.rbp,
        Register::RSP => registers.rsp,
        Register::R8 => registers.r8,
        Register::R9 => registers.r9,
        Register::R10 => registers.r10,
        Register::R11 => registers.r11,
        Register::R12 => registers.r12,
        Register::R13 => registers.r13,
        Register::R14 => registers.r14,
        Register::R15 => registers.r15,
        Register::RIP => registers.rip,
        Register::FS => return Some(registers.fs_base),
        Register::GS => return Some(registers.gs_base),
        // In 64-bit code their base is zero.
        Register::CS | Register::DS | Register::ES | Register::SS => return Some(0),
        _ => return None,
    };
    match register.size() {
        8 => Some(value),
        4 => Some(value & 0xffff_ffff),
        2 => Some(value & 0xffff),
        _ => Some(value & 0xff),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: u64 = 0x1000;

    fn decoded(bytes: &[u8]) -> Instruction {
        let instruction = Instruction::decode(ADDRESS, bytes).unwrap();
        assert_eq!(instruction.bytes(), bytes.len() as u64, "{}", instruction.text());
        instruction
    }

    fn registers() -> Registers {
        // SAFETY: a structure of integers.
        #[expect(unsafe_code, reason = "the C structure has no constructor")]
        let mut registers: Registers = unsafe { std::mem::zeroed() };
        registers.rax = 0x10_0000;
        registers.rcx = 3;
        registers.rsi = 0x20_0000;
        registers.rdi = 0x30_0000;
        registers.rsp = 0x7000;
        registers.fs_base = 0x9_0000;
        registers
    }

    // The encodings are those of the processor manuals' opcode tables (Intel SDM volume 2), assembled by hand.

    #[test]
    fn text_in_intel_syntax() {
        // mov qword ptr [rax+8], rcx: REX.W 89 /r, mod 01, reg 001, rm 000.
        assert_eq!(decoded(&[0x48, 0x89, 0x48, 0x08]).text(), "mov [rax+8], rcx");
        // F0 REX.W 0F C1 /r.
        assert_eq!(decoded(&[0xf0, 0x48, 0x0f, 0xc1, 0x08]).text(), "lock xadd [rax], rcx");
    }

    #[test]
    fn what_locks() {
        let is_locked = |bytes: &[u8]| decoded(bytes).is_locked();
        assert!(is_locked(&[0xf0, 0x48, 0x0f, 0xb1, 0x08]), "lock cmpxchg [rax], rcx");
        assert!(is_locked(&[0xf0, 0x83, 0x0c, 0x24, 0x00]), "lock or dword ptr [rsp], 0");
        assert!(is_locked(&[0x48, 0x87, 0x08]), "xchg [rax], rcx");
        assert!(!is_locked(&[0x48, 0x87, 0xc8]), "xchg rax, rcx");
        assert!(!is_locked(&[0x48, 0x0f, 0xc1, 0x08]), "xadd [rax], rcx");
        assert!(!is_locked(&[0x0f, 0xae, 0xf0]), "mfence");
    }

    #[test]
    fn fences_and_system_calls() {
        for fence in [[0x0f, 0xae, 0xf0], [0x0f, 0xae, 0xe8], [0x0f, 0xae, 0xf8]] {
            assert!(decoded(&fence).is_fence());
        }
        let system_call = decoded(&[0x0f, 0x05]);
        assert!(system_call.is_system_call() && !system_call.is_fence());
        assert_eq!(system_call.flow(), Flow::SystemCall);
        assert!(decoded(&[0xcd, 0x80]).is_system_call(), "int 0x80");
        assert!(!decoded(&[0xcd, 0x03]).is_system_call(), "int 3");
        assert!(!decoded(&[0x0f, 0x31]).is_system_call(), "rdtsc");
    }

    #[test]
    fn where_execution_goes_on() {
        let flow = |bytes: &[u8]| decoded(bytes).flow();
        assert_eq!(flow(&[0xe8, 0x10, 0, 0, 0]), Flow::Call(ADDRESS + 5 + 0x10));
        assert_eq!(decoded(&[0xe8, 0xf0, 0xff, 0xff, 0xff]).call_target(), Some(ADDRESS + 5 - 0x10));
        assert_eq!(flow(&[0xeb, 0xfe]), Flow::Jump(ADDRESS));
        assert_eq!(flow(&[0x74, 0x02]), Flow::Branch(ADDRESS + 4));
        assert_eq!(flow(&[0x0f, 0x87, 0, 1, 0, 0]), Flow::Branch(ADDRESS + 6 + 0x100));
        assert_eq!(flow(&[0xff, 0xe0]), Flow::IndirectJump);
        assert_eq!(flow(&[0xff, 0xd0]), Flow::IndirectCall);
        assert_eq!(flow(&[0xc3]), Flow::Return);
        assert_eq!(flow(&[0x0f, 0x0b]), Flow::Trap);
        assert_eq!(flow(&[0xcc]), Flow::Trap);
        assert_eq!(flow(&[0xf4]), Flow::Trap, "hlt");
        assert_eq!(flow(&[0x90]), Flow::Next);
    }

    #[test]
    fn the_slot_of_an_indirect_call_is_relative_to_the_next_instruction() {
        // FF /2 with mod 00, rm 101.
        assert_eq!(decoded(&[0xff, 0x15, 0x00, 0x02, 0, 0]).slot(), Some(ADDRESS + 6 + 0x200));
        assert_eq!(decoded(&[0xff, 0xd0]).slot(), None);
        // A load from there is no call.
        assert_eq!(decoded(&[0x48, 0x8b, 0x05, 0, 2, 0, 0]).slot(), None);
    }

    #[test]
    fn fillers() {
        for nop in [&[0x90][..], &[0x66, 0x90], &[0x0f, 0x1f, 0x44, 0, 0], &[0xcc]] {
            assert!(decoded(nop).is_filler());
        }
        assert!(!decoded(&[0x48, 0x89, 0xc8]).is_filler());
    }

    #[test]
    fn memory_that_is_used() {
        let memory = |bytes: &[u8]| decoded(bytes).memory(&registers());
        let used = |address, bytes, access| Memory { address, bytes, access };
        // mov [rax+8], rcx; mov ecx, [rax+rcx*4]; add dword ptr [rax], 1.
        assert_eq!(memory(&[0x48, 0x89, 0x48, 0x08]), [used(0x10_0008, 8, Access::Write)]);
        assert_eq!(memory(&[0x8b, 0x0c, 0x88]), [used(0x10_000c, 4, Access::Read)]);
        assert_eq!(memory(&[0x83, 0x00, 0x01]), [used(0x10_0000, 4, Access::ReadWrite)]);
        // mov rax, [rip+0x100]; mov rax, fs:[0].
        assert_eq!(memory(&[0x48, 0x8b, 0x05, 0, 1, 0, 0]), [used(ADDRESS + 7 + 0x100, 8, Access::Read)]);
        assert_eq!(memory(&[0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0]), [used(0x9_0000, 8, Access::Read)]);
        // push rax and ret use the stack below and at its top.
        assert_eq!(memory(&[0x50]), [used(0x7000 - 8, 8, Access::Write)]);
        assert_eq!(memory(&[0xc3]), [used(0x7000, 8, Access::Read)]);
        // lea touches nothing; vmovups [rdi], ymm0 writes 32 bytes.
        assert_eq!(memory(&[0x48, 0x8d, 0x48, 0x08]), []);
        assert_eq!(memory(&[0xc5, 0xfc, 0x11, 0x07]), [used(0x30_0000, 32, Access::Write)]);
    }

    #[test]
    fn repeated_string_instructions() {
        // rep movsb; movsb.
        let repeated = decoded(&[0xf3, 0xa4]);
        assert!(repeated.is_repeated() && !decoded(&[0xa4]).is_repeated());
        // pause has the same prefix.
        assert!(!decoded(&[0xf3, 0x90]).is_repeated());
        let memory = repeated.memory(&registers());
        assert!(
            memory.contains(&Memory { address: 0x20_0000, bytes: 1, access: Access::Read }),
            "{memory:?}"
        );
        assert!(
            memory.contains(&Memory { address: 0x30_0000, bytes: 1, access: Access::Write }),
            "{memory:?}"
        );
    }

    #[test]
    fn what_is_no_instruction() {
        assert!(Instruction::decode(ADDRESS, &[0x06]).is_none(), "push es is not 64-bit code");
        assert!(Instruction::decode(ADDRESS, &[0x48]).is_none());
    }
}
