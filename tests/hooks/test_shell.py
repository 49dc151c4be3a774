"""What a shell command writes, as far as its plain forms say; and what is honestly not seen."""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitcoord.hooks.patches import patched_files
from gitcoord.hooks.shell import effects
from support.guarded import lock, write
from support.program import run
from support.repo import git
from support.world import World

if TYPE_CHECKING:
    from pathlib import Path

PATHS: list[tuple[str, list[str]]] = [
    ("echo a > f", ["f"]),
    ("echo a >> f", ["f"]),
    ("echo a >| f", ["f"]),
    ("cmd &> f", ["f"]),
    ("cmd &>> f", ["f"]),
    ("cmd > f 2>&1", ["f"]),
    ("cmd 2> f", ["f"]),
    ("cmd >& f", ["f"]),
    ("cmd 2>&1 | tee f g", ["f", "g"]),
    ("tee -a 'a b' < in", ["a b"]),
    ('echo x > "a b"', ["a b"]),
    ("echo x > a\\ b", ["a b"]),
    ("cat > f <<EOF\nrm g\nEOF", ["f"]),
    ("cat <<'E' >f\n> not\nE\nrm h", ["f", "h"]),
    ("cat <<-E > f\n\tx\n\tE\nrm h", ["f", "h"]),
    ("sed -i s/a/b/ f g", ["f", "g"]),
    ("sed -i.bak -e s/a/b/ -e 's/c/d/' f", ["f"]),
    ("sed --in-place=.b s/a/b/ f", ["f"]),
    ("sed s/a/b/ f", []),
    ("perl -pi -e s/a/b/ f", ["f"]),
    ("mv f g", ["f", "g"]),
    ("mv -t d f", ["f", "d/f"]),
    ("mv f d/", ["f", "d/f"]),
    ("cp f g", ["g"]),
    ("cp -r f g d/", ["d/f", "d/g"]),
    ("rm -rf f 'g h'", ["f", "g h"]),
    ("rm -- -f", ["-f"]),
    ("rm src/*.py", ["src/*.py"]),
    ("touch f; truncate -s 0 g", ["f", "g"]),
    ("dd if=a of=f", ["f"]),
    ("ln -sf a f", ["f"]),
    ("cd sub && rm f", ["sub/f"]),
    ("cd sub; cd ..; rm f", ["f"]),
    ("(cd sub && echo > f)", ["sub/f"]),
    ("FOO=1 BAR='x y' rm f", ["f"]),
    ("sudo -n rm f", ["f"]),
    ("env A=b rm f", ["f"]),
    ("if true; then rm f; else rm g; fi", ["f", "g"]),
    ("for x in 1; do rm f; done", ["f"]),
    ("{ rm f; }", ["f"]),
    ("true && rm f || rm g", ["f", "g"]),
    ("rm f & rm g", ["f", "g"]),
    ("rm f # and not g", ["f"]),
    ("rm \\\n f", ["f"]),
    ("bash -c 'rm f && sh -c \"rm g\"'", ["f", "g"]),
    ("git rm -q f", ["f"]),
    ("git mv f g", ["f", "g"]),
    ("git -C sub rm f", ["sub/f"]),
    ("git rm --cached f", []),
    ("/usr/bin/rm f", ["f"]),
    ("! rm f", ["f"]),
    ("echo $(rm f)", ["f"]),
    ('echo "a `rm f`"', ["f"]),
    ("echo x > $(echo $(rm f))", ["f"]),
    ("eval 'rm f'", ["f"]),
    ("eval rm f", ["f"]),
    ("trap 'rm f' EXIT", ["f"]),
    ("sudo -u root rm f", ["f"]),
    ("env -u A -C sub rm f", ["sub/f"]),
    ("nice -n 5 timeout -s KILL 9 rm f", ["f"]),
    ("bash -xec 'rm f'", ["f"]),
    ("bash -o pipefail -c 'rm f'", ["f"]),
    ("echo g | xargs -n 1 rm -f f", ["f"]),
    ("find . -name x -exec rm f {} \\; -execdir touch g +", ["f", "g"]),
    ("(cd sub && rm f); rm g", ["sub/f", "g"]),
    ("pushd sub && rm f; popd; rm g", ["sub/f", "g"]),
    ("function a { rm f; }; until rm g; do :; done", ["f", "g"]),
    ("coproc rm f", ["f"]),
    ("rm {f,g}.py a{b{c,d},e}", ["f.py", "g.py", "abc", "ae", "abd"]),
    ("rm '{f,g}' {f} {}", ["{f,g}", "{f}"]),
    ("rm $'f' $\"g\"", ["f", "g"]),
    ('rm $PWD/f "${PWD}/g"', ["./f", "./g"]),
    ("cd sub && rm $PWD/f", ["sub/./f"]),
    ("rm $PWDX/f", []),
    ("sed -Ei s/a/b/ f", ["f"]),
    ("sed -ni s/a/b/p f", ["f"]),
    ("ruby -pi -e x f", ["f"]),
    ("cp --target-directory=d f", ["d/f"]),
    ("curl -so f http://x; wget -O g http://x; sort -og f", ["f", "g", "g"]),
    ("rsync -a f g; scp f host:g; scp host:f g", ["g", "g"]),
    ("patch f < p; shred -u g", ["f", "g"]),
    ("[[ a > f ]] && rm g", ["g"]),
    ("(( 1 > 0 )) && rm f; ((rm g) || (rm h))", ["f", "g", "h"]),
    ("git -C $X rm f", []),
    # Not seen, as the README says.
    ("rm $X", []),
    ("rm `echo f`", []),
    ('python -c \'open("f", "w")\'', []),
    ("make", []),
    ("cd $X && rm f", []),
    ("xargs rm < list", []),
    ("find . -delete", []),
    ("bash <<E\nrm f\nE", []),
    ("echo 'rm f' | sh", []),
    ("patch -p1 < f", []),
    ("git clean -fd", []),
    ("git apply f", []),
    # Nothing written.
    ("echo a", []),
    ("cat < f", []),
    ("cat f > /dev/null 2>&1", []),
    ("ls -l | grep '>' ", []),
    ("echo 'a > b'", []),
    ('echo "a > b"', []),
    ("echo a \\> b", []),
    ("git commit -m 'rm f'", []),
    ("git status", []),
    ("", []),
    ("'unfinished", []),
    ('"unfinished $(', []),
    ("rm", []),
    ("> ", []),
]


@pytest.mark.parametrize(("command", "paths"), PATHS, ids=[command for command, _ in PATHS])
def test_plain_forms_of_writing_are_seen(command: str, paths: list[str]) -> None:
    found = [effect for effect in effects(command, "/r") if effect.kind == "path"]
    prefix = [("/r/" + path if not path.startswith("/") else path) for path in paths]
    assert [f"{effect.base}/{effect.words[0]}" for effect in found] == prefix


@pytest.mark.parametrize(
    ("command", "kinds"),
    [
        ("git commit --no-verify -m x", ["commit"]),
        ("git commit -n", ["commit"]),
        ("git commit -anm x", ["commit"]),
        ("git commit -m n", []),
        ("git commit -mn", []),
        ("git commit --no-v", ["commit"]),
        ("git commit -- -n", []),
        ("git -c a=b checkout x", ["checkout"]),
        ("git -c core.hooksPath=/dev/null commit -m x", ["commit"]),
        ("git -C $X commit -n", []),
        ("git stash; git reset --hard; git switch main; git restore .", ["stash", "reset", "switch", "restore"]),
    ],
)
def test_forms_of_git_are_seen(command: str, kinds: list[str]) -> None:
    assert [effect.kind for effect in effects(command, "/r")] == kinds


def test_long_and_deep_commands_end() -> None:
    assert effects("rm f;" * 100_000, "/r")
    assert effects("(" * 50_000 + "rm f", "/r")
    command = "rm f"
    for _ in range(3):
        command = f"sh -c {shlex.quote(command)}"
    assert [effect.words for effect in effects(command, "/r")] == [("f",)]


@pytest.mark.parametrize(
    "piece",
    ["(", "((", "((;", "$(", "${", "`", '"$(', "{a,", "{a,b}", "<<E\n", "A=1 ", "sudo ", "find -exec ", "((a))"],
)
def test_whatever_is_repeated_ends(piece: str) -> None:
    text = piece * (60_000 // len(piece))
    assert isinstance(effects(text + "; rm f", "/r"), list)
    assert isinstance(effects(text + "))", "/r"), list)


@given(
    st.lists(
        st.sampled_from([*"\\\"'`$(){}<>|&;#!~*?[]=-\n\t\0 ", "rm", "git", "sh", "-c", "f", "cd", "eval", "<<", "))"])
    )
)
def test_no_command_line_is_too_odd(pieces: list[str]) -> None:
    for effect in effects("".join(pieces), "/r"):
        assert os.path.isabs(effect.base)


@pytest.fixture
def repo(tmp_path: Path) -> str:
    where = World(tmp_path / "repo", real_time=True).root
    git(where, "branch", "same")
    git(where, "checkout", "-q", "-b", "side")
    write(where, "src/app.py", "side\n")
    git(where, "commit", "-q", "-a", "-m", "Side")
    git(where, "checkout", "-q", "main")
    lock(where, "src/app.py", session="alice")
    return where


def denied(where: str, command: str, cwd: str = "") -> bool:
    payload = {"session_id": "a", "cwd": f"{where}{cwd}", "tool_name": "Bash", "tool_input": {"command": command}}
    done = run(where, "hook", "claude", "PreToolUse", stdin=json.dumps(payload).encode())
    assert done.code == 0
    return '"deny"' in done.out


@pytest.mark.parametrize(
    ("command", "verdict"),
    [
        ("git checkout side", True),
        ("git checkout same", False),
        ("git checkout -b new", False),
        ("git switch side", True),
        ("git switch -c new", False),
        ("git checkout side -- src", True),
        ("git checkout side -- README.md", False),
        ("git restore --source=side src/app.py", True),
        ("git restore .", False),
        ("git reset --hard side", True),
        ("git reset --soft side", False),
        ("git reset side", False),
        ("git stash", False),
        ("rm src/*.py", True),
        ("rm src/[a-c]pp.py", True),
        ("rm src/d?.py", False),
        ("rm -r src", True),
        ("cat x > src/db.py", False),
        ("cd src && echo > app.py", True),
        ("mv src/app.py /tmp/nowhere-at-all", True),
    ],
)
def test_commands_that_would_write_what_others_hold_are_denied(repo: str, command: str, verdict: bool) -> None:
    assert denied(repo, command) is verdict


@pytest.mark.parametrize(
    "command", ["git restore .", "git checkout -- src", "git stash", "git reset --hard", "git stash push"]
)
def test_what_would_put_changes_of_a_locked_file_aside_is_denied(repo: str, command: str) -> None:
    write(repo, "src/app.py", "changed\n")
    assert denied(repo, command)


def test_a_commit_that_skips_its_hooks_is_judged_here(repo: str) -> None:
    write(repo, "src/app.py", "changed\n")
    assert not denied(repo, "git commit -nm x")
    assert denied(repo, "git commit -anm x")
    git(repo, "add", "-A")
    assert denied(repo, "git commit --no-verify -m x")
    assert not denied(repo, "git commit -m x")


def test_a_stash_that_would_be_put_back_is_judged(repo: str) -> None:
    write(repo, "src/app.py", "changed\n")
    git(repo, "stash", "-q")
    assert denied(repo, "git stash pop")
    assert not denied(repo, "git stash list")


def test_a_command_locks_only_files_that_it_overwrites(repo: str) -> None:
    assert not denied(repo, "echo x > new.log; echo y > src/db.py; rm build/*; git checkout same")
    locked = run(repo, "locks", "--json").json["locks"]
    assert {one["path"]: one["session"] for one in locked} == {"src/app.py": "alice", "src/db.py": "claude-code-a"}


def test_a_patch_names_its_files() -> None:
    text = (
        "apply_patch <<'EOF'\n*** Begin Patch\n*** Add File: a b.py\n+x\n*** Update File: src/c.py\n"
        "*** Move to: src/d.py\n@@\n-*** Delete File: no\n*** Delete File: e\n*** End Patch\nEOF"
    )
    assert patched_files(text) == ["a b.py", "src/c.py", "src/d.py", "e"]
