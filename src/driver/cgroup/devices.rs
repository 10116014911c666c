//! ◆ Which device nodes a task may open, as rules, and on cgroup v2 as the program that enforces them.
//!
//! cgroup v2 has no device controller: a BPF program of type `CGROUP_DEVICE`, attached to the cgroup, is asked at
//! every open and mknod. Ours loads the four facts of the request and tries one rule after the other:
//!
//! ```text
//! r2 = kind   r3 = wanted access   r4 = major   r5 = minor
//! rule: kind differs? access not within? major differs? minor differs? ──► next rule
//!       otherwise return 1
//! end:  return 0
//! ```

use serde::{Deserialize, Serialize};

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::driver) enum Kind {
    Block,
    Char,
}

impl Kind {
    /// The kernel's number (`BPF_DEVCG_DEV_…`).
    fn number(self) -> i32 {
        match self {
            Self::Block => 1,
            Self::Char => 2,
        }
    }
}

pub(in crate::driver) const MKNOD: i32 = 1;
pub(in crate::driver) const READ: i32 = 2;
pub(in crate::driver) const WRITE: i32 = 4;
const ALL: i32 = MKNOD | READ | WRITE;

/// Something that is allowed; all else is not. `None` stands for any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::driver) struct Rule {
    pub kind: Kind,
    pub major: Option<u32>,
    pub minor: Option<u32>,
    /// Sum of [`MKNOD`], [`READ`], [`WRITE`].
    pub access: i32,
}

impl Rule {
    const fn char(major: u32, minor: Option<u32>) -> Self {
        Self { kind: Kind::Char, major: Some(major), minor, access: ALL }
    }

    /// From the letters of the jobspec: `r`, `w`, `m`.
    pub(in crate::driver) fn new(kind: Kind, major: u32, minor: u32, letters: &str) -> Self {
        let bit = |letter, bit| if letters.contains(letter) { bit } else { 0 };
        let access = bit('m', MKNOD) | bit('r', READ) | bit('w', WRITE);
        Self { kind, major: Some(major), minor: Some(minor), access }
    }
}

/// Docker's list: any node may be made, but only these opened.
pub(in crate::driver) const STANDARD: [Rule; 11] = [
    Rule { kind: Kind::Char, major: None, minor: None, access: MKNOD },
    Rule { kind: Kind::Block, major: None, minor: None, access: MKNOD },
    Rule::char(1, Some(3)), // null
    Rule::char(1, Some(5)), // zero
    Rule::char(1, Some(7)), // full
    Rule::char(1, Some(8)), // random
    Rule::char(1, Some(9)), // urandom
    Rule::char(5, Some(0)), // tty
    Rule::char(5, Some(1)), // console
    Rule::char(5, Some(2)), // ptmx
    Rule::char(136, None),  // pts/*
];

/// One instruction of eBPF (linux/bpf.h, `struct bpf_insn`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub(super) struct Instruction {
    pub code: u8,
    /// Destination in the low half, source in the high half.
    pub registers: u8,
    pub offset: i16,
    pub immediate: i32,
}

const LOAD_WORD: u8 = 0x61;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const COPY: u8 = 0xbc;
const JUMP_UNLESS_EQUAL: u8 = 0x55;
const JUMP_UNLESS_SAME: u8 = 0x5d;
const SET: u8 = 0xb7;
const EXIT: u8 = 0x95;

const fn op(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: to | (from << 4), offset, immediate }
}

/// The program that allows what one of `rules` allows.
pub(super) fn program(rules: &[Rule]) -> Vec<Instruction> {
    let mut program = vec![
        op(LOAD_WORD, 2, 1, 0, 0),
        op(COPY, 3, 2, 0, 0),
        op(AND, 2, 0, 0, 0xffff),
        op(SHIFT_RIGHT, 3, 0, 0, 16),
        op(LOAD_WORD, 4, 1, 4, 0),
        op(LOAD_WORD, 5, 1, 8, 0),
    ];
    for rule in rules {
        // Each jump leaves over what follows it in the rule.
        let mut checks = vec![op(JUMP_UNLESS_EQUAL, 2, 0, 0, rule.kind.number())];
        if rule.access != ALL {
            checks.push(op(COPY, 1, 3, 0, 0));
            checks.push(op(AND, 1, 0, 0, rule.access));
            checks.push(op(JUMP_UNLESS_SAME, 1, 3, 0, 0));
        }
        for (register, number) in [(4, rule.major), (5, rule.minor)] {
            if let Some(number) = number {
                checks.push(op(JUMP_UNLESS_EQUAL, register, 0, 0, number.cast_signed()));
            }
        }
        let length = checks.len();
        for (at, check) in checks.iter_mut().enumerate() {
            if check.code == JUMP_UNLESS_EQUAL || check.code == JUMP_UNLESS_SAME {
                // The checks after it, and the two instructions that allow.
                check.offset = i16::try_from(length - at - 1 + 2).unwrap_or(i16::MAX);
            }
        }
        program.extend(checks);
        program.push(op(SET, 0, 0, 0, 1));
        program.push(op(EXIT, 0, 0, 0, 0));
    }
    program.push(op(SET, 0, 0, 0, 0));
    program.push(op(EXIT, 0, 0, 0, 0));
    program
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Runs the program as the kernel would.
    fn run(program: &[Instruction], kind: i32, access: i32, major: u32, minor: u32) -> bool {
        let context = [(access << 16 | kind).cast_unsigned(), major, minor];
        let mut registers = [0_u32; 11];
        let mut at = 0;
        loop {
            let Instruction { code, registers: both, offset, immediate } = program[at];
            let (to, from) = (usize::from(both & 15), usize::from(both >> 4));
            let jump = |taken: bool| if taken { usize::try_from(offset).unwrap() } else { 0 };
            at += 1;
            match code {
                LOAD_WORD => registers[to] = context[usize::try_from(offset).unwrap() / 4],
                COPY => registers[to] = registers[from],
                AND => registers[to] &= immediate.cast_unsigned(),
                SHIFT_RIGHT => registers[to] >>= immediate,
                SET => registers[to] = immediate.cast_unsigned(),
                JUMP_UNLESS_EQUAL => at += jump(registers[to] != immediate.cast_unsigned()),
                JUMP_UNLESS_SAME => at += jump(registers[to] != registers[from]),
                EXIT => return registers[0] == 1,
                other => panic!("unknown instruction {other:#x}"),
            }
        }
    }

    fn allows(rules: &[Rule], kind: Kind, access: i32, major: u32, minor: u32) -> bool {
        rules.iter().any(|rule| {
            rule.kind == kind
                && access & rule.access == access
                && rule.major.is_none_or(|number| number == major)
                && rule.minor.is_none_or(|number| number == minor)
        })
    }

    #[test]
    fn the_standard_list_is_dockers() {
        let program = program(&STANDARD);
        assert!(run(&program, 2, READ | WRITE, 1, 3));
        assert!(run(&program, 2, READ, 136, 77));
        assert!(run(&program, 1, MKNOD, 8, 0));
        assert!(!run(&program, 1, READ, 8, 0));
        assert!(!run(&program, 2, READ, 1, 11));
    }

    fn rule() -> impl Strategy<Value = Rule> {
        let kind = prop_oneof![Just(Kind::Char), Just(Kind::Block)];
        (kind, proptest::option::of(0_u32..4), proptest::option::of(0_u32..4), 1..8)
            .prop_map(|(kind, major, minor, access)| Rule { kind, major, minor, access })
    }

    proptest! {
        #[test]
        fn the_program_decides_as_the_rules_do(
            rules in proptest::collection::vec(rule(), 0..6),
            char in any::<bool>(), access in 1..8, major in 0_u32..5, minor in 0_u32..5,
        ) {
            let kind = if char { Kind::Char } else { Kind::Block };
            prop_assert_eq!(
                run(&program(&rules), kind.number(), access, major, minor),
                allows(&rules, kind, access, major, minor)
            );
        }
    }
}
