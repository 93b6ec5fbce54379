"""Silence for native code that logs harmless notices past Python's logging."""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send what is written to the process's stderr nowhere, and ignore warnings (protobuf's deprecation notices).

    MediaPipe writes its notices while a graph is made and at its first use: wrap those, not more, since other threads'
    output is lost meanwhile.
    """
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


__all__ = ["quiet_stderr"]
