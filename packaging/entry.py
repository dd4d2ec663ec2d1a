"""Where the built program starts. Kept tiny: what is defined here cannot be found by worker processes."""

from __future__ import annotations

import multiprocessing
import os
import sys


def give_output_somewhere_to_go() -> None:
    """A program without a console has no stdout and no stderr; libraries that write to them must not die of it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 -- lives as long as the program
        elif hasattr(stream, "reconfigure"):
            # A Windows console in another code page must not turn Chinese output into an error.
            stream.reconfigure(encoding="utf-8", errors="replace")


if __name__ == "__main__":
    multiprocessing.freeze_support()
    give_output_somewhere_to_go()
    from localcrm.__main__ import main

    main()
