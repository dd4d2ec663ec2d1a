"""An exchange file in parts: any order, one at a time or all at once, and no part that is not the sender's."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from localcrm.kernel.errors import AppError
from localcrm.sync import node_sync, parts
from tests.factories import Company, Installation

PART = 5_000


def refusal(action: Callable[[], object]) -> AppError:
    with pytest.raises(AppError) as refused:
        action()
    return refused.value


def packed(node: Installation, path: Path, *, count: int = 120, for_code: str | None = None) -> list[Path]:
    """Work that does not compress, in parts."""
    for _number in range(count):
        node.new("customer", name="客户", address=os.urandom(95).hex())
    node_sync.pack(node.store, node.keys, path, for_code=for_code)
    made = node_sync.split(node.store, node.keys, path, for_code=for_code, part_bytes=PART)
    assert len(made) > 3
    assert not path.exists()
    assert all(part.stat().st_size <= PART for part in made)
    return made


def read(node: Installation, *paths: Path) -> dict[str, object]:
    return node_sync.unpack_all(node.store, node.keys, paths)


def test_parts_are_read_in_any_order_all_at_once_and_from_a_folder(company: Company, hq, one, two, tmp_path: Path) -> None:
    made = packed(one, tmp_path / "f.lcx")
    random.Random(1).shuffle(made)
    assert read(hq, *made)["applied"] == 120
    assert list((hq.folder / "parts").iterdir()) == []
    assert read(hq, *made)["duplicate"] == 120  # replayed as a whole file would be
    (tmp_path / "mail").mkdir()
    packed(two, tmp_path / "mail" / "g.lcx")
    (tmp_path / "mail" / "photo.jpg").write_bytes(b"\xff\xd8\xff" * 100)
    assert read(hq, tmp_path / "mail")["applied"] == 120
    company.exchange()
    assert len(company.digests) == 1


def test_a_missing_part_is_named_and_what_came_is_kept_until_it_comes(hq, one, tmp_path: Path) -> None:
    made = packed(one, tmp_path / "f.lcx")
    before = hq.digest
    first = refusal(lambda: read(hq, made[2], made[0]))
    assert first.code == "parts_missing"
    assert str(first.params["missing"]) == ", ".join(str(number) for number in range(1, len(made) + 1) if number not in {1, 3})
    hq.restart()
    for part in [*made[3:], made[0]]:  # one twice
        assert refusal(lambda part=part: read(hq, part)).params["missing"].startswith("2")
    assert hq.digest == before
    assert read(hq, made[1])["applied"] == 120


def test_what_can_be_read_is_read_and_the_rest_named(hq, one, two, tmp_path: Path) -> None:
    whole = tmp_path / "whole.lcx"
    two.new("customer", name="整")
    node_sync.pack(two.store, two.keys, whole)
    made = packed(one, tmp_path / "f.lcx")
    damaged = bytearray(made[1].read_bytes())
    damaged[-1] ^= 1
    made[1].write_bytes(damaged)
    done = read(hq, *made, whole)
    assert done["applied"] == 1
    assert [(entry["file"], entry["code"]) for entry in done["refused"]] == [
        (made[1].name, "part_altered"),
        (made[-1].name, "parts_missing"),
    ]


def test_a_part_that_was_made_here_says_so(hq, one, tmp_path: Path) -> None:
    made = packed(one, tmp_path / "f.lcx")
    assert refusal(lambda: read(one, made[0])).code == "bundle_own"
    assert not (one.folder / "parts").exists()


def test_every_altered_part_is_refused_by_itself(company: Company, hq, one, two, tmp_path: Path) -> None:
    made = packed(one, tmp_path / "f.lcx")
    data, choose = made[1].read_bytes(), random.Random(3)
    altered = [data[:at] + bytes([data[at] ^ 1 << choose.randrange(8)]) + data[at + 1 :] for at in range(0, len(data), 97)]
    altered += [data[:length] for length in (4, 8, 50, len(data) - 1)] + [data + b"x"]
    known = {
        "part_altered",
        "bundle_other_company",
        "bundle_own",
        "bundle_unknown_sender",
        "not_a_bundle",
        "bundle_truncated",
        "bad_succession",
    }
    for number, wrong in enumerate(altered):
        made[1].write_bytes(wrong)
        code = refusal(lambda: read(hq, made[1])).code
        assert code in known, (number, code)
    assert not (hq.folder / "parts").exists()
    # A part of one file cannot stand in another, nor one that somebody else has signed.
    other = packed(two, tmp_path / "g.lcx")
    made[1].write_bytes(data)
    start = data[: data.index(data[-50:])]
    mixed = tmp_path / "mixed"
    mixed.write_bytes(start[:-200] + other[1].read_bytes()[len(start) - 200 :])
    assert refusal(lambda: read(hq, mixed)).code == "part_altered"
    header = int.from_bytes(data[4:8])
    head = data[: 8 + header]
    mixed.write_bytes(head + two.keys.sign(b"BSP1-sig" + parts.sha256(head).digest()) + data[8 + header + 64 :])
    assert refusal(lambda: read(hq, mixed)).code == "part_altered"
    assert read(hq, *made)["applied"] == 120


def test_a_small_file_stays_whole_and_parts_are_not_made_too_small(hq, one, tmp_path: Path) -> None:
    path = tmp_path / "f.lcx"
    node_sync.pack(one.store, one.keys, path)
    assert node_sync.split(one.store, one.keys, path, for_code=None, part_bytes=1_000_000) == [path]
    for size in (0, 1, 600):
        made = lambda size=size: node_sync.split(one.store, one.keys, path, for_code=None, part_bytes=size)
        assert refusal(made).code == "parts_too_small"
        assert path.exists()
    (tmp_path / "empty").mkdir()
    assert refusal(lambda: read(hq, tmp_path / "empty")).code == "no_exchange_files"


def test_parts_whose_others_never_came_are_thrown_away(hq, one, tmp_path: Path, monkeypatch) -> None:
    made = packed(one, tmp_path / "f.lcx")
    refusal(lambda: read(hq, made[0]))
    again = packed(one, tmp_path / "g.lcx", count=1)
    monkeypatch.setattr(parts, "KEEP_FILES", 1)
    refusal(lambda: read(hq, again[0]))
    assert len(list((hq.folder / "parts").iterdir())) == 1
    monkeypatch.setattr(parts, "KEEP_SECONDS", -1)
    refusal(lambda: read(hq, made[0]))
    assert len(list((hq.folder / "parts").iterdir())) == 1
