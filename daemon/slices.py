"""A short time slice for the thread of the event loop: it asks for little at a time, and so it goes first.

Linux lets a thread that has the core keep it to the end of its slice, some 3 ms, though a quote waits for another.
Since Linux 6.12 a thread that has asked for a shorter slice goes before those with longer ones (sched_setattr(2),
EEVDF). It takes no privilege, and costs nobody his share.
"""

import ctypes
import os
import platform
import struct

SLICE_NS = 100_000  # the shortest there is
NUMBERS = {"x86_64": 314, "aarch64": 274}
"""sched_setattr(2) on 64-bit Linux; neither Python nor older C libraries know it."""
ATTRIBUTES = struct.Struct("IIQiIQQQ")
"""sched_attr: its size, policy, flags, niceness, priority, runtime (as usual: the slice), deadline, period."""
USUAL, RESET_ON_FORK = 0, 1


def go_first() -> bool:
    """Ask for it, for this thread alone; whether it was granted. An older kernel or a sandbox may not.

    A policy that somebody has chosen for the daemon, such as a real-time one, stays as it is.
    """
    number = NUMBERS.get(platform.machine())
    if os.uname().sysname != "Linux" or number is None:
        return False
    if os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    wanted = ATTRIBUTES.pack(ATTRIBUTES.size, USUAL, RESET_ON_FORK, nice, 0, SLICE_NS, 0, 0)
    granted: int = ctypes.CDLL(None).syscall(number, 0, ctypes.create_string_buffer(wanted), 0)
    return granted == 0
