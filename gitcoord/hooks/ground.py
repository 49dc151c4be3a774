"""What a hook stands on: the repository, its log, and as whom it asks."""

from __future__ import annotations

from gitcoord.service.access import Access, open_access
from gitcoord.service.callers import Callers
from gitcoord.service.project import repository_config
from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gitcoord.model import Session
    from gitcoord.model_time import Stamp
    from gitcoord.runtime.displaced import Displaced
    from gitcoord.state import State


class Ground(NamedTuple):
    """An opened repository that has a log, and who asks.

    Attributes:
        access: the repository.
        callers: as whom.
        me: the session's id, or None where nobody in particular asks.
    """

    access: Access
    callers: Callers
    me: str | None

    def now(self) -> tuple[State, Stamp]:
        """Return the state at the log's tip and what the clocks say."""
        return self.access.state(), self.access.now()

    def asker(self, state: State) -> str | None:
        """Return the id of the session that asks; None where another clone has it: then whoever asks here is nobody."""
        return None if self.me is None else self.callers.me(state, None)

    def record(self, state: State) -> Session | None:
        """Return the record of who asks; None where they are not signed on."""
        asker = self.asker(state)
        return None if asker is None else state.session(asker)

    def displaced(self) -> list[Displaced]:
        """Return what whoever asks lost together with its place on the log."""
        return [] if self.me is None else self.callers.displaced(None)

    def config(self) -> dict[str, str]:
        """Return the repository's own git config."""
        return repository_config(self.access.repository)


def stand(
    start: str, me: str | None, *, base: str | None = None, hint: str = "git", may_number: bool = False
) -> Ground | None:
    """Return the ground around a directory; None where the repository has no log, and nothing is to be guarded.

    Args:
        start: a directory in a worktree, or a git directory.
        me: as whom.
        base: what relative paths are relative to; None is the worktree's root.
        hint: what asks.
        may_number: nobody chose the id: where another clone has it, it is meant with a number behind.

    Raises:
        NotARepository: there is no repository.
    """
    access = open_access(start, base)
    if not access.log.exists():
        return None
    callers = Callers(access, wished=me, hint=hint, process=False, may_number=may_number)
    if may_number:
        callers.settle(access.state())
    return Ground(access, callers, callers.wished)
