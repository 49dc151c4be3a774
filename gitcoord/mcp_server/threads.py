"""The way from the event loop to a desk, which blocks: a worker thread, and no surprise on the way back."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

import anyio.to_thread

from gitcoord.errors import CoordError

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio import CapacityLimiter

T = TypeVar("T")

logger = logging.getLogger(__name__)


async def off_loop(call: Callable[[], T], limiter: CapacityLimiter | None = None) -> T:
    """Run a blocking call on a worker thread and return its value.

    A cancelled caller does not wait for the thread: what the call does goes on to its end.

    Args:
        call: what to run.
        limiter: bounds how many such calls run at once.

    Raises:
        CoordError: the call's own, or one that stands for an error that nobody foresaw, which is logged.
    """
    return await anyio.to_thread.run_sync(_contained, call, abandon_on_cancel=True, limiter=limiter)


def _contained(call: Callable[[], T]) -> T:
    try:
        return call()
    except CoordError:
        raise
    except Exception as fault:
        logger.exception("a call failed that should have been answered or refused")
        raise CoordError(
            f"an unexpected error ({type(fault).__name__}); the server's standard error tells more",
            next="gitcoord doctor",
        ) from fault
