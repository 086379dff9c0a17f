use super::*;

// Written by hand, so that every address, padding and way through it is known. `int3` and `nop` behind the first
// return, behind the trap, and behind the panic are padding; the `nop` in front of label 5 is executed.
#[expect(unsafe_code, reason = "code whose instructions are known")]
mod by_hand {
    std::arch::global_asm!(
        ".pushsection .text.dlt_bench_coverage, \"ax\", @progbits",
        ".globl dlt_bench_coverage, dlt_bench_callee, dlt_bench_tail",
        ".type dlt_bench_coverage, @function",
        "dlt_bench_coverage:",
        "test edi, edi",          // 0
        "je 2f",                  // 2
        "cmp edi, 7",             // 4
        "je 3f",                  // 7
        "cmp edi, 9",             // 9
        "je 4f",                  // 12
        "nop",                    // 14
        "5: mov eax, 1",          // 15
        "ret",                    // 20
        "int3",                   // 21: padding
        "nop",                    // 22: padding
        "2: mov eax, 2",          // 23
        "call dlt_bench_callee",  // 28
        "ret",                    // 33
        "3: xor eax, eax",        // 34
        "ud2",                    // 36
        "nop",                    // 38: padding
        "4: cmp edi, 10",         // 39
        "je 6f",                  // 42
        "jmp dlt_bench_tail",     // 44; rel32, because the symbol is another function
        "6: call dlt_bench_ends", // 49
        "int3",                   // 54: padding
        ".size dlt_bench_coverage, . - dlt_bench_coverage",
        ".type dlt_bench_callee, @function",
        "dlt_bench_callee: inc eax", // two bytes
        "ret",
        ".size dlt_bench_callee, . - dlt_bench_callee",
        ".type dlt_bench_tail, @function",
        "dlt_bench_tail: mov eax, 3",
        "call [rip + 7f]",
        "ret",
        ".size dlt_bench_tail, . - dlt_bench_tail",
        ".type dlt_bench_ends, @function",
        "dlt_bench_ends: mov eax, 4",
        "ud2",
        ".size dlt_bench_ends, . - dlt_bench_ends",
        "7: .quad 0",
        ".popsection",
    );

    unsafe extern "C" {
        pub(super) fn dlt_bench_coverage(way: u32) -> u32;
        pub(super) fn dlt_bench_callee(number: u32) -> u32;
        pub(super) fn dlt_bench_tail() -> u32;
    }

    pub(super) fn call(way: u32) -> u32 {
        // SAFETY: for these ways it sets a register and returns.
        unsafe { dlt_bench_coverage(way) }
    }
}

fn start() -> u64 {
    by_hand::dlt_bench_coverage as *const () as u64
}

fn executed(offsets: &[u64]) -> BTreeSet<u64> {
    offsets.iter().map(|offset| start() + offset).collect()
}

/// Offset, number of instructions and reason of what was not executed.
fn uncovered(function: &FunctionCoverage) -> Vec<(u64, u64, usize, String)> {
    let line = |u: &Uncovered| {
        let because = match &u.because {
            Because::BranchNotTaken { branch, .. } => format!("branch {}", branch - function.start),
            other => other.to_string(),
        };
        (u.start - function.start, u.end - function.start, u.instructions, because)
    };
    function.uncovered.iter().map(line).collect()
}

const WAY_1: [u64; 9] = [0, 2, 4, 7, 9, 12, 14, 15, 20];

#[test]
fn padding_is_no_code_and_everything_else_is() {
    assert_eq!(by_hand::call(1), 1);
    let image = Image::of_this_process().unwrap();
    let code = image.function(start() + 7).unwrap();
    let offsets: Vec<_> = code.instructions.iter().map(|i| i.address() - start()).collect();
    assert_eq!(offsets, [&WAY_1[..], &[23, 28, 33, 34, 36, 39, 42, 44, 49]].concat());
    let callees: Vec<_> =
        code.callees.iter().map(|c| (c.from - start(), c.name.as_str(), c.is_tail, c.returns)).collect();
    assert_eq!(
        callees,
        [
            (28, "dlt_bench_callee", false, true),
            (44, "dlt_bench_tail", true, true),
            (49, "dlt_bench_ends", false, false)
        ]
    );
    let tail = image.function(by_hand::dlt_bench_tail as *const () as u64).unwrap();
    assert!(tail.callees[0].is_indirect && tail.callees[0].target.is_none(), "{:?}", tail.callees);
}

#[test]
fn what_was_not_executed_is_explained_by_the_code() {
    let image = Image::of_this_process().unwrap();
    let coverage = cover(&image, start(), &executed(&WAY_1)).unwrap();
    assert_eq!((coverage.functions[0].covered, coverage.functions[0].total), (9, 18));
    let reasons = |rows: &[(u64, u64, usize, &str)]| -> Vec<(u64, u64, usize, String)> {
        rows.iter().map(|&(start, end, count, text)| (start, end, count, text.to_owned())).collect()
    };
    assert_eq!(
        uncovered(&coverage.functions[0]),
        reasons(&[
            (23, 34, 3, "branch 2"),
            (34, 38, 2, "leads only to a trap (ud2)"),
            (39, 49, 3, "branch 12"),
            (49, 54, 1, "leads only to dlt_bench_ends"),
        ])
    );
    assert_eq!(coverage.never_return, ["dlt_bench_ends"]);
    let others: Vec<_> =
        coverage.functions[1..].iter().map(|f| (f.name.as_str(), f.covered, f.total)).collect();
    assert_eq!(others, [("dlt_bench_callee", 0, 2), ("dlt_bench_tail", 0, 3)]);
    let never_called = &coverage.functions[1].uncovered[0].because;
    assert_eq!(*never_called, Because::NeverCalled(vec![start() + 28]));
    assert_eq!(coverage.functions[2].indirect.len(), 1);
}

#[test]
fn callees_that_were_executed_count() {
    let image = Image::of_this_process().unwrap();
    let callee = by_hand::dlt_bench_callee as *const () as u64;
    let mut all = executed(&[0, 2, 23, 28, 33]);
    all.extend([callee, callee + 2]);
    let coverage = cover(&image, start(), &all).unwrap();
    assert_eq!((coverage.covered(), coverage.total()), (5 + 2, 18 + 2 + 3));
    assert!(coverage.functions[1].uncovered.is_empty());
}

#[test]
fn a_function_of_the_compiler_reads_as_code_to_its_end() {
    #[inline(never)]
    fn indexed(values: &[u64], index: usize) -> u64 {
        std::hint::black_box(values)[std::hint::black_box(index)]
    }
    assert_eq!(indexed(&[1, 2], 1), 2);
    let image = Image::of_this_process().unwrap();
    let code = image.function(indexed as *const () as u64).unwrap();
    let panics: Vec<_> = code.callees.iter().filter(|callee| !callee.returns).collect();
    assert!(panics.iter().any(|callee| callee.name.contains("panic_bounds_check")), "{panics:?}");
    assert!(code.instructions.iter().any(|instruction| instruction.flow() == Flow::Return));
}
