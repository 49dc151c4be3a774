"""Where the server looks for its repository, and that it never guesses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import mcp_types
import pytest

from gitcoord.mcp_server.desks import Finder, Place
from support.mcp_face import ask, connected, coordinated_repo
from support.repo import add_worktree, make_repo

if TYPE_CHECKING:
    from pathlib import Path

    from mcp.client.session import ClientRequestContext


@pytest.fixture(name="repo")
def made_repo(tmp_path: Path) -> str:
    return coordinated_repo(tmp_path / "repo")


def roots_of(*paths: Any) -> Any:
    async def tell(_: ClientRequestContext) -> mcp_types.ListRootsResult:
        roots = [mcp_types.Root.model_validate({"uri": f"file://{path}"}) for path in paths]
        return mcp_types.ListRootsResult(roots=roots)

    return tell


async def project(finder: Finder, mode: str = "legacy", **options: Any) -> str:
    """Return the name of the project that a client finds itself in, or the code of the error."""
    async with connected(finder, mode, **options) as client:
        answer = await ask(client, "sign_on")
        return answer["error"]["code"] if "error" in answer else answer["project"]


def finder(*, named: Any = None, by: str = "--repo", project_dir: Any = None, working: Any = "/") -> Finder:
    return Finder(
        Place(str(named), by) if named else None,
        Place(str(project_dir), "the client's project directory") if project_dir else None,
        Place(str(working), "the working directory"),
    )


def test_what_is_named_outright_decides_alone(repo: str, tmp_path: Path) -> None:
    other = coordinated_repo(tmp_path / "other")

    async def body() -> None:
        assert await project(finder(named=repo, project_dir=other, working=other)) == "repo"
        assert await project(finder(named=tmp_path / "nowhere", project_dir=other, working=other)) == "not_a_repository"

    anyio.run(body)


def test_the_clients_project_comes_before_its_roots_and_they_before_the_working_directory(
    repo: str, tmp_path: Path
) -> None:
    second, third = coordinated_repo(tmp_path / "second"), coordinated_repo(tmp_path / "third")

    async def body() -> None:
        tell = roots_of(second)
        assert await project(finder(project_dir=repo, working=third), list_roots_callback=tell) == "repo"
        assert await project(finder(project_dir=tmp_path, working=third), list_roots_callback=tell) == "second"
        assert await project(finder(working=third), list_roots_callback=tell) == "second"
        assert await project(finder(working=third)) == "third"

    anyio.run(body)


def test_of_several_roots_the_first_with_a_log_counts(repo: str, tmp_path: Path) -> None:
    plain, empty = make_repo(tmp_path / "plain"), tmp_path / "with space"
    empty.mkdir()

    async def body() -> None:
        tell = roots_of(str(empty).replace(" ", "%20"), plain, repo)
        assert await project(finder(), list_roots_callback=tell) == "repo"
        assert await project(finder(working=repo), list_roots_callback=roots_of(plain)) == "not_initialised"

    anyio.run(body)


def test_a_client_of_the_newest_protocol_is_not_asked_for_roots(repo: str, tmp_path: Path) -> None:
    other = coordinated_repo(tmp_path / "other")

    async def body() -> None:
        assert await project(finder(working=repo), "auto", list_roots_callback=roots_of(other)) == "repo"

    anyio.run(body)


def test_a_client_that_refuses_to_tell_its_roots_is_served_from_the_working_directory(repo: str) -> None:
    async def refuse(_: ClientRequestContext) -> mcp_types.ErrorData:
        return mcp_types.ErrorData(code=1, message="no")

    async def body() -> None:
        assert await project(finder(working=repo), list_roots_callback=refuse) == "repo"

    anyio.run(body)


def test_without_any_repository_the_answer_names_what_was_tried(tmp_path: Path) -> None:
    async def body() -> None:
        looking = finder(project_dir=tmp_path / "a", working=tmp_path)
        async with connected(looking, "legacy", list_roots_callback=roots_of(tmp_path / "b")) as client:
            for _ in range(2):
                answer = await ask(client, "lock_files", files=["x"])
                assert (answer["ok"], answer["granted"], answer["error"]["code"]) == (False, False, "not_a_repository")
                for tried in (tmp_path / "a", tmp_path / "b", tmp_path):
                    assert f"{tried} (" in answer["error"]["message"]
                assert "--repo" in answer["error"]["next"]
            coordinated_repo(tmp_path / "b")  # made later, it is found without a restart
            assert (await ask(client, "lock_files", files=["x"]))["granted"] is True

    anyio.run(body)


def test_paths_are_relative_to_the_worktrees_root_wherever_the_server_was_pointed(repo: str, tmp_path: Path) -> None:
    side = add_worktree(repo, tmp_path / "side")

    async def body() -> None:
        async with connected(finder(named=f"{repo}/src")) as one, connected(finder(named=f"{side}/src")) as two:
            granted = await ask(one, "lock_files", files=["src/app.py"])
            assert [lock["path"] for lock in granted["locks"]] == ["src/app.py"]
            refused = await ask(two, "lock_files", files=["./src//app.py"])
            assert refused["error"]["code"] == "lock_held"
            refused = await ask(two, "lock_files", files=[f"{repo}/src/app.py"])
            assert refused["error"]["code"] == "lock_held"

    anyio.run(body)


def test_the_environment_is_read_in_the_promised_order(
    repo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second, third = coordinated_repo(tmp_path / "second"), coordinated_repo(tmp_path / "third")
    monkeypatch.chdir(third)

    async def body() -> None:
        assert await project(Finder.from_environment(None)) == "third"
        monkeypatch.setenv("CLAUDE_PROJECT_DIR", second)
        assert await project(Finder.from_environment(None)) == "second"
        monkeypatch.setenv("GITCOORD_REPO", repo)
        assert await project(Finder.from_environment(None)) == "repo"
        assert await project(Finder.from_environment(third)) == "third"

    anyio.run(body)
