"""The cache of model files."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from loquent.errors import DependencyError, InputError
from loquent.face.models import FACE_LANDMARKER
from loquent.pretrained import CACHE_VARIABLE, cache_folder, cached_model, need_model

SMALL = replace(FACE_LANDMARKER, name="small.task", sha256=hashlib.sha256(b"weights").hexdigest())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_folder_follows_the_environment(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == cache
    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere/cache")
    assert cache_folder() == Path("/somewhere/cache/loquent")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "loquent"


def test_what_is_not_there_is_none(cache: Path) -> None:
    assert cached_model(SMALL) is None
    assert not cache.exists()


def test_a_whole_file_is_found_and_another_content_refused(cache: Path) -> None:
    cache.mkdir()
    (cache / SMALL.name).write_bytes(b"weights")
    assert cached_model(SMALL) == cache / SMALL.name
    assert need_model(SMALL) == cache / SMALL.name
    (cache / SMALL.name).write_bytes(b"half")
    with pytest.raises(InputError, match="sha256"):
        cached_model(SMALL)


def test_needing_what_is_not_there_says_which_file_to_put_where(cache: Path) -> None:
    with pytest.raises(DependencyError, match=SMALL.sha256) as caught:
        need_model(SMALL)
    assert str(cache / SMALL.name) in str(caught.value)
    assert SMALL.url in str(caught.value)
