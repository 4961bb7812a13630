"""Takes from a process whatever it does not need to compute: files, network, other processes, and boundless memory.

Linux only, by `prctl`, Landlock and seccomp through libc; nothing is installed for it. A process confines itself, and
there is no way back. It keeps the memory, the threads and the open descriptors that it has.
"""

from __future__ import annotations

import ctypes
import math
import os
import platform
import resource
import struct
from pathlib import Path

from detection.lifecycle.syscalls import ARCHITECTURES, ENOSYS, EPERM, Architecture

NOBODY = 65_534
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446  # the same on every architecture
_SECCOMP_FILTER, _SECCOMP_AVAILABLE, _TSYNC = 1, 2, 1
_KILL, _ALLOW, _ERRNO = 0x8000_0000, 0x7FFF_0000, 0x0005_0000
_LOAD, _EQUAL, _GREATER, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_NR, _ARCH, _FIRST_ARGUMENT = 0, 4, 16  # offsets in `struct seccomp_data`, little-endian
_CLONE_THREAD = 0x0001_0000
_CLONE_MORE = 0x7E02_0000 | 0x0080_0000 | 0x4000 | 0x2000
"""New namespaces, untraced, vfork, ptrace: what no thread of a computation asks for."""


class UnconfinedError(Exception):
    """The process could not be confined; the message says why."""


def unable() -> str | None:
    """Why this machine cannot confine a process, or None when it can. The process itself stays as it is."""
    if platform.system() != "Linux":
        return f"{platform.system()} has neither seccomp nor Landlock"
    architecture = ARCHITECTURES.get(platform.machine())
    if architecture is None:
        return f"the system calls of {platform.machine()} are not known here"
    action = ctypes.c_uint32(_ALLOW)
    if _libc().syscall(architecture.seccomp, _SECCOMP_AVAILABLE, 0, ctypes.byref(action)) != 0:
        return "this kernel, or the container, does not let a process set a seccomp filter"
    if _landlock_version() < 1 and os.geteuid() != 0:
        return "this kernel has no Landlock, and only root can become an unprivileged user instead"
    return None


def enter(memory: int) -> tuple[str, ...]:
    """Confine this process for good and say by what: some of `user`, `landlock`, `seccomp`.

    `memory` is how many bytes more than now it may map. Libraries have threads of their own by now: the filter and the
    user hold for all of them, Landlock for the calling one and those that it starts. Raises UnconfinedError when
    seccomp, or both of Landlock and another user, are not to be had.
    """
    reason = unable()
    if reason is not None:
        raise UnconfinedError(reason)
    limit_memory(memory)
    libc = _libc()
    by = ["user"] if _become_nobody() else []
    libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    _done(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    if _landlock(libc):
        by.append("landlock")
    if not by:
        raise UnconfinedError("neither Landlock nor another user could be had")
    _seccomp(libc, ARCHITECTURES[platform.machine()])
    return (*by, "seccomp")


def limit_memory(memory: int) -> None:
    """Let this process map at most so many bytes more than now."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        mapped = int(statm.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        _lower(resource.RLIMIT_AS, mapped + memory)


def limit_time(seconds: int) -> None:
    """Allow this process so many more seconds of processor time, no files to write, and few descriptors."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _lower(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime) + seconds)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_NOFILE, 64)


def _lower(what: int, value: int) -> None:
    """Set a limit that cannot be raised again; a lower one that is there stays."""
    _, hard = resource.getrlimit(what)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _done(returned: int, what: str) -> None:
    if returned != 0:
        raise UnconfinedError(f"{what}: {os.strerror(ctypes.get_errno())}")


def _become_nobody() -> bool:
    """Leave root for the user that owns nothing, where that is possible."""
    if os.geteuid() != 0:
        return False
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError:  # a container without CAP_SETUID: Landlock and seccomp hold without it
        return False
    return True


def _landlock_version() -> int:
    return int(_libc().syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))


def _landlock(libc: ctypes.CDLL) -> bool:
    """Forbid every access to files, TCP, abstract sockets and signals that this kernel's Landlock knows."""
    version = _landlock_version()
    if version < 1:
        return False
    rights = {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)
    words = [(1 << rights) - 1]
    words += [0b11] if version >= 4 else []
    words += [0b11] if version >= 6 else []
    attributes = struct.pack(f"<{len(words)}Q", *words)
    ruleset = int(
        libc.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    )
    if ruleset < 0:
        raise UnconfinedError(f"Landlock: {os.strerror(ctypes.get_errno())}")
    _done(libc.syscall(_LANDLOCK_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint32(0)), "Landlock")
    os.close(ruleset)
    return True


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _seccomp(libc: ctypes.CDLL, architecture: Architecture) -> None:
    code = program(architecture)
    loaded = _Program(len(code) // 8, code)
    done = libc.syscall(architecture.seccomp, _SECCOMP_FILTER, _TSYNC, ctypes.byref(loaded))
    _done(done, "seccomp")


def program(architecture: Architecture) -> bytes:
    """The filter as BPF: another architecture is killed, what is kept passes, threads pass, the rest fails."""
    refuse, allow = _ERRNO | EPERM, _ALLOW
    code = [
        _step(_LOAD, _ARCH),
        _step(_EQUAL, architecture.audit, yes=1),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NR),
        _step(_GREATER, architecture.highest, no=1),
        _step(_RETURN, refuse),
        _step(_EQUAL, architecture.clone3, no=1),
        _step(_RETURN, _ERRNO | ENOSYS),  # its flags lie in memory, unseen: libc falls back to clone
        _step(_EQUAL, architecture.clone, no=5),
        _step(_LOAD, _FIRST_ARGUMENT),
        _step(_ANY_BIT, _CLONE_MORE, yes=2),
        _step(_ANY_BIT, _CLONE_THREAD, no=1),
        _step(_RETURN, allow),
        _step(_RETURN, refuse),
    ]
    for number in architecture.kept:
        code += [_step(_EQUAL, number, no=1), _step(_RETURN, allow)]
    return b"".join([*code, _step(_RETURN, refuse)])


def _step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("<HBBI", code, yes, no, value)
