"""The host of dynamic providers: Pulumi's own `pulumi.dynamic`, ended together with the engine and when that interrupts it.

Started as a file, by the Python of the project's virtualenv; nothing of this package stays importable in it.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    lifetime = runpy.run_path(str(Path(__file__).with_name("lifetime.py")))
    # Waited for, not handled, before any thread begins: Pulumi's own code waits for a KeyboardInterrupt, for which the main
    # thread does not always wake, and then for every call. After five seconds the engine ends it by force, and has none left for
    # the next plugin's answer to a Cancel: it reports that one as broken ("exited prematurely").
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    lifetime["start_watch"](lambda: signal.sigwait([signal.SIGINT]), lambda: os._exit(0))
    lifetime["when_engine_ends"](lambda: os._exit(0))
    runpy.run_path(str(Path(__file__).with_name("later.py")))
    # As `python -m` does: the project's directory comes first, the directory of this file is nowhere.
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [str(Path.cwd()), *(entry for entry in sys.path if entry != here)]
    runpy.run_module("pulumi.dynamic", run_name="__main__", alter_sys=True)
