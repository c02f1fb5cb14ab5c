"""Files to upload."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from eyeline._files import Counter, Source, pictures_of
from eyeline._types import FileSource
from eyeline._uploads import sources_of

CONTENT = bytes(range(256)) * 3000


def test_a_path_bytes_and_an_open_file_are_read_alike_and_again(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(CONTENT)
    with path.open("rb") as opened:
        opened.seek(10)
        sources: list[tuple[FileSource, str]] = [
            (path, "a.jpg"),
            (str(path), "a.jpg"),
            (CONTENT, "upload"),
            (opened, "a.jpg"),
        ]
        for given, name in sources:
            source = Source(given)
            assert (source.filename, source.size) == (name, len(CONTENT))
            for _ in range(2):
                assert b"".join(source.blocks()) == CONTENT
            assert b"".join(source.blocks(1000, 300_000)) == CONTENT[1000:301_000]
            assert b"".join(source.blocks(len(CONTENT))) == b""
            assert source.sha256() == hashlib.sha256(CONTENT).hexdigest()
    assert Source(io.BytesIO(b"x"), "named.png").filename == "named.png"
    with pytest.raises(FileNotFoundError):
        Source(tmp_path / "none.jpg")


def test_a_file_that_shrinks_is_an_error_and_not_a_short_upload(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(CONTENT)
    source = Source(path)
    path.write_bytes(b"short")
    with pytest.raises(OSError, match="shorter"):
        b"".join(source.blocks())


def test_progress_takes_a_failed_attempt_back() -> None:
    told: list[tuple[int, int]] = []
    source = Source(CONTENT)
    counter = Counter(source.size, lambda sent, total: told.append((sent, total)))
    attempt = counter.counted(source.blocks)
    broken = attempt()
    next(broken), next(broken)
    assert b"".join(attempt()) == CONTENT
    assert told[-1] == (source.size, source.size)
    assert max(sent for sent, _ in told) == source.size


def test_a_folder_is_searched_for_pictures(tmp_path: Path) -> None:
    for name in ("b.JPG", "sub/a.png", "sub/.hidden.jpg", ".git/c.jpg", "notes.txt", "d.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.jpg").mkdir()
    found = [str(path.relative_to(tmp_path)) for path in pictures_of(tmp_path)]
    assert found == ["b.JPG", "d.webp", "sub/a.png"]
    assert sources_of(str(tmp_path)) == pictures_of(tmp_path)
    assert sources_of(tmp_path / "b.JPG") == [tmp_path / "b.JPG"]
    assert sources_of([b"1", b"2"]) == [b"1", b"2"]
    assert sources_of(b"1") == [b"1"]
