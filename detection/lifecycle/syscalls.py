"""The system calls that a confined process keeps, by architecture.

Numbers are those of the kernel's tables (`asm/unistd_64.h` for x86-64, `asm-generic/unistd.h` for AArch64). What is
kept lets a process compute with the memory, threads and descriptors that it has, and end. Whatever opens, names,
connects, signals, traces or starts anything is not kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ENOSYS = 38
EPERM = 1


@dataclass(frozen=True)
class Architecture:
    """What a filter has to know of a machine: its audit number, the calls kept, and how threads are started."""

    audit: int
    kept: tuple[int, ...]
    clone: int
    clone3: int
    seccomp: int
    highest: int
    """Numbers above this are another table's (x32), and refused."""


_X86_64 = {
    "read": 0,
    "write": 1,
    "close": 3,
    "lseek": 8,
    "mmap": 9,
    "mprotect": 10,
    "munmap": 11,
    "brk": 12,
    "rt_sigaction": 13,
    "rt_sigprocmask": 14,
    "rt_sigreturn": 15,
    "readv": 19,
    "writev": 20,
    "sched_yield": 24,
    "mremap": 25,
    "madvise": 28,
    "nanosleep": 35,
    "getpid": 39,
    "exit": 60,
    "uname": 63,
    "gettimeofday": 96,
    "getrusage": 98,
    "times": 100,
    "getuid": 102,
    "getgid": 104,
    "geteuid": 107,
    "getegid": 108,
    "sigaltstack": 131,
    "gettid": 186,
    "futex": 202,
    "sched_getaffinity": 204,
    "clock_gettime": 228,
    "clock_getres": 229,
    "clock_nanosleep": 230,
    "exit_group": 231,
    "set_robust_list": 273,
    "getcpu": 309,
    "getrandom": 318,
    "rseq": 334,
}

_AARCH64 = {
    "close": 57,
    "lseek": 62,
    "read": 63,
    "write": 64,
    "readv": 65,
    "writev": 66,
    "exit": 93,
    "exit_group": 94,
    "futex": 98,
    "set_robust_list": 99,
    "nanosleep": 101,
    "clock_gettime": 113,
    "clock_getres": 114,
    "clock_nanosleep": 115,
    "sched_getaffinity": 123,
    "sched_yield": 124,
    "sigaltstack": 132,
    "rt_sigaction": 134,
    "rt_sigprocmask": 135,
    "rt_sigreturn": 139,
    "times": 153,
    "uname": 160,
    "getrusage": 165,
    "getcpu": 168,
    "gettimeofday": 169,
    "getpid": 172,
    "getuid": 174,
    "geteuid": 175,
    "getgid": 176,
    "getegid": 177,
    "gettid": 178,
    "brk": 214,
    "munmap": 215,
    "mremap": 216,
    "mmap": 222,
    "mprotect": 226,
    "madvise": 233,
    "getrandom": 278,
    "rseq": 293,
}

ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "x86_64": Architecture(
            audit=0xC000003E,
            kept=tuple(sorted(_X86_64.values())),
            clone=56,
            clone3=435,
            seccomp=317,
            highest=0x3FFFFFFF,
        ),
        "aarch64": Architecture(
            audit=0xC00000B7,
            kept=tuple(sorted(_AARCH64.values())),
            clone=220,
            clone3=435,
            seccomp=277,
            highest=0x3FFFFFFF,
        ),
    }
)
"""By `platform.machine()`."""
