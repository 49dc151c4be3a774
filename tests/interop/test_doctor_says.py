"""What `doctor` says of what it cannot mend, or not yet: not that it could be fixed, nor to run it again in vain."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from gitcoord.service import doctor, initialise, open_desk
from support.program import COMMAND, program_env
from support.repo import LOG_REF, fsck, git, make_repo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(name="repo")
def made_repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("GITCOORD_FSYNC", "0")
    repo = make_repo(tmp_path / "repo")
    assert initialise(repo)["created"]
    for name in ("a", "b"):
        assert open_desk(repo, session="me").lock_files([name])["granted"]
    return repo


def newest_pack(repo: str) -> str:
    where = f"{repo}/.git/gitcoord/objects/pack"
    packs = [os.path.join(where, name) for name in os.listdir(where) if name.endswith(".pack")]
    return max(packs, key=lambda path: os.stat(path).st_mtime_ns)


def test_a_pack_that_nothing_mends_needs_somebody_and_there_is_a_way_to_go_on(repo: str) -> None:
    older = git(repo, "rev-parse", f"{LOG_REF}~1")
    os.truncate(newest_pack(repo), 60)
    os.unlink(f"{repo}/.git/gitcoord/spool")
    found = doctor(repo, fix=True)
    damaged = next(one for one in found["findings"] if one["code"] == "pack_damaged")
    assert (damaged["fixable"], damaged["fixed"]) == (False, False)
    assert "no good copy" in damaged["message"]
    assert "doctor" not in found["error"]["next"]
    assert f"git update-ref -d {LOG_REF}, then: gitcoord init" in found["error"]["next"]
    verified = open_desk(repo).verify()["error"]["message"]
    assert "rule object: object" in verified
    git(repo, "update-ref", "-d", LOG_REF)
    assert initialise(repo)["restored"]
    assert git(repo, "rev-parse", LOG_REF) == older
    assert [lock["path"] for lock in open_desk(repo).get_locked_files()["locks"]] == ["a"]


def test_what_was_written_last_is_mended_from_what_it_was_built_from(repo: str) -> None:
    os.truncate(newest_pack(repo), 60)
    assert not doctor(repo)["ok"]
    assert doctor(repo, fix=True)["ok"]
    assert fsck(repo) == []
    assert open_desk(repo).verify()["ok"]


def test_without_the_log_s_objects_there_is_a_way_to_begin_anew(repo: str) -> None:
    shutil.rmtree(f"{repo}/.git/gitcoord")
    for fix in (False, True):
        found = doctor(repo, fix=fix)
        assert not found["ok"]
        assert found["findings"]
    assert f"git update-ref -d {LOG_REF}, then: gitcoord init" in found["error"]["next"]
    git(repo, "update-ref", "-d", LOG_REF)
    assert initialise(repo)["created"]
    assert open_desk(repo, session="me").lock_files(["a"])["granted"]


def test_a_lock_file_that_is_too_fresh_to_go_says_when_it_will(repo: str) -> None:
    lock = f"{repo}/.git/{LOG_REF}.lock"
    with open(lock, "wb"):
        pass
    found = doctor(repo, fix=True)["findings"][0]
    assert (found["code"], found["fixed"]) == ("leftover_lock", False)
    assert "at work may hold it" in found["message"]
    then = os.stat(lock).st_mtime - 600
    os.utime(lock, (then, then))
    assert doctor(repo, fix=True)["findings"][0]["fixed"]
    assert not os.path.exists(lock)


def test_a_setting_that_was_not_understood_is_named(repo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITCOORD_FSYNC", "maybe")
    git(repo, "config", "gitcoord.offline", "banana")
    found = doctor(repo)
    said = [one["message"] for one in found["findings"] if one["code"] == "unclear_setting"]
    assert [line.split("=")[0] for line in said] == ["GITCOORD_FSYNC", "gitcoord.offline"]
    assert found["ok"]


def test_what_settings_may_say_is_told_and_what_stops_the_hooks_is_an_error(
    repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in (("timeout", "soon"), ("interval", "-1"), ("sign", "pgp"), ("hokMode", "deny")):
        git(repo, "config", f"gitcoord.{key}", value)
    found = doctor(repo)
    said = [one["message"] for one in found["findings"] if one["code"] == "unclear_setting"]
    assert found["ok"]
    assert "gitcoord.timeout='soon' is no number of seconds above 0 and below 86400" in said[0]
    assert "gitcoord.interval='-1' is no number" in said[1]
    assert "gitcoord.sign='pgp' is none of gpg, ssh" in said[2]
    assert "gitcoord.hokmode is no setting of gitcoord's; there are gitcoord.fsync, gitcoord.hookErrors" in said[3]
    for key in ("timeout", "interval", "sign", "hokMode"):
        git(repo, "config", "--unset", f"gitcoord.{key}")
    monkeypatch.setenv("GITCOORD_HOOK_OWN", "Deny")
    for key in ("hookMode", "hookErrors", "hookOwn", "hookProof"):
        git(repo, "config", f"gitcoord.{key}", "strict")
    found = doctor(repo)
    said = [one["message"] for one in found["findings"] if one["code"] == "unclear_setting"]
    assert not found["ok"]
    assert "gitcoord.hookMode='strict' is none of warn, deny, claim" in " ".join(said)
    names = [line.split("=")[0] for line in said]
    hooks = ["hookMode", "hookErrors", "hookOwn", "hookProof"]
    assert names == ["GITCOORD_HOOK_OWN", *(f"gitcoord.{key}" for key in hooks)]


def test_all_settings_that_there_are_are_known(repo: str) -> None:
    said = {"fsync": "false", "offline": "no", "restore": "on", "timeout": "2.5", "interval": "5", "sign": "ssh"}
    said |= {"hookMode": "claim", "hookErrors": "closed", "hookOwn": "deny", "hookProof": "claimed"}
    said |= {"root": "SHA256:x", "signingKey": "~/.ssh/id", "mirrors": "one two"}
    for key, value in said.items():
        git(repo, "config", f"gitcoord.{key}", value)
    assert not [one for one in doctor(repo)["findings"] if one["code"] == "unclear_setting"]


def program(repo: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the program as somebody whom rights bind: root has to lay down what lets it pass over them."""
    bound = [] if os.geteuid() else ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    return subprocess.run(
        [*bound, *COMMAND, *words], cwd=repo, env=program_env(), capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("where", ["gitcoord", "gitcoord/tmp", "gitcoord/objects/pack", "refs/gitcoord"])
def test_what_cannot_be_written_is_found_before_somebody_needs_it(repo: str, where: str) -> None:
    os.chmod(f"{repo}/.git/{where}", 0o500)
    assert program(repo, "lock", "x").returncode == 5
    found = program(repo, "doctor")
    assert found.returncode == 5
    assert f"{repo}/.git/{where} " in found.stdout
    if where == "gitcoord":
        assert program(repo, "doctor", "--fix").returncode == 0
    os.chmod(f"{repo}/.git/{where}", 0o700)
    assert program(repo, "doctor").returncode == 0
    assert program(repo, "lock", "x").returncode == 0
    assert os.listdir(f"{repo}/.git/gitcoord/tmp") == []
