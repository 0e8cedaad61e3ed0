"""`analyses serve`: a server until Ctrl-C, and another one when its code was edited.

serve ──► a source file was edited ──► it can be read, no job is under way ──► the same command again, on the same port
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from pathlib import Path

from analyses.workbench.jobs import Jobs
from analyses.workbench.server import create_app, serve
from analyses.workbench.sources import can_be_read, loaded

LOOK_EVERY = 1.0
"""Seconds between two looks at the source files; 200 of them take a millisecond."""


def serve_until(folder: Path, host: str, port: int) -> int:
    """Serve until Ctrl-C; the return is the exit status."""
    jobs = Jobs()
    app = create_app(folder, jobs, sources := loaded())
    server = serve(app, host, port)
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{server.server_port}/  (Ctrl-C ends it)", flush=True)
    over, anew = threading.Event(), threading.Event()

    def watch() -> None:
        """End the server once its code was edited, and another one can take its place."""
        while not over.wait(LOOK_EVERY):
            sources.look()
            if sources.edited and can_be_read(sources.edited) and not jobs.under_way():
                anew.set()
                server.shutdown()
                return

    threading.Thread(target=watch, daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()  # Begun once, it takes Ctrl-C for `shutdown`.
    over.set()
    if anew.is_set():
        print(f"Edited: {', '.join(sources.edited)}. Beginning anew.", flush=True)
        jobs.leave()
        again = ["--port", str(server.server_port)]
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:], *again])
    for job in jobs.leave():
        names = ", ".join(job.analyses)
        print(f"{names} of {job.run} goes on; `kill -INT {job.process.pid}` stops it.")
    return 0
