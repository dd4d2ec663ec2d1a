"""An exchange carried on a stick: two lists brought in apart, edited apart, merged by files; and every wrong file refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from localcrm.channels.tables import guess_mapping, read_table
from localcrm.domain.import_columns import spellings
from localcrm.domain.importing import import_rows
from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from localcrm.store import check
from localcrm.sync import node_sync
from tests import factories
from tests.factories import Company, HandClock, Installation

CUSTOMER = entity("customer")
HEADERS = ["客户名称", "电话", "地址", "级别"]


def people(count: int, town: str) -> list[list[str]]:
    return [[f"{town}客户{n:04d}有限公司", f"138{n:08d}", f"{town}路{n}号", ""] for n in range(count)]


def gbk_csv(path: Path, rows: list[list[str]]) -> Path:
    path.write_bytes("\r\n".join(",".join(cells) for cells in [HEADERS, *rows]).encode("gbk"))
    return path


def xlsx(path: Path, rows: list[list[str]]) -> Path:
    import xlsxwriter

    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("客户")
        for number, cells in enumerate([HEADERS, *rows]):
            sheet.write_row(number, 0, cells)
    return path


def bring_in(node: Installation, file: Path) -> int:
    """Import a list as people give it; returns how many records came of it."""
    table = read_table(file)
    mapping = guess_mapping(table.headers, [(field.key, spellings(field)) for field in CUSTOMER.fields.values()])
    rows = (
        (number, {mapping[name]: cell for name, cell in zip(table.headers, cells, strict=True) if name in mapping})
        for number, cells in table
    )
    done = import_rows(node.store, node.actor, entity="customer", rows=rows)
    assert done.errors == []
    return done.created


@pytest.fixture(scope="module")
def clocks() -> dict[str, HandClock]:
    return {code: HandClock() for code in ("HQ", "BR01", "BR02")}


@pytest.fixture(scope="module")
def merged(clocks, tmp_path_factory) -> Iterator[Company]:
    """A thousand customers, brought in apart and exchanged."""
    folder = tmp_path_factory.mktemp("lists")
    with factories.company(clocks=dict(clocks)) as company:
        one, two = company.branches.values()
        assert bring_in(one, gbk_csv(folder / "a.csv", people(500, "上海"))) == 500
        assert bring_in(two, xlsx(folder / "b.xlsx", people(500, "重庆"))) == 500
        company.exchange()
        assert len(company.digests) == 1
        yield company


def named(node: Installation, name: str) -> str:
    return node.value("SELECT id FROM customer WHERE name = ?", name).hex()


def test_a_thousand_customers_brought_in_apart_edited_apart_and_merged(merged, clocks):
    one, two = merged.branches.values()
    same, different, deleted = (named(one, f"重庆客户{n:04d}有限公司") for n in (1, 2, 3))
    one.set("customer", same, phone="021-1111")
    clocks["BR02"].forward(minutes=1)
    two.set("customer", same, phone="023-2222")
    one.set("customer", different, phone="021-3333")
    two.set("customer", different, address="新地址")
    one.delete("customer", deleted)
    two.set("customer", deleted, phone="023-4444")
    merged.exchange()

    assert len(merged.digests) == 1
    assert [node.value("SELECT count(*) FROM customer WHERE deleted = 0") for node in merged.nodes] == [999, 999, 999]
    assert {node.get("customer", same)["phone"] for node in merged.nodes} == {"023-2222"}
    shown = merged.hq.get("customer", different)
    assert (shown["phone"], shown["address"]) == ("021-3333", "新地址")
    assert all(node.is_deleted("customer", deleted) for node in merged.nodes)
    found = [(row["kind"], row["record"], row["field"], row["base"], row["kept"], row["lost"]) for row in merged.hq.conflicts()]
    assert sorted(found) == sorted(
        [
            ("overwritten", same, "phone", "13800000001", "023-2222", "021-1111"),
            ("deleted_edited", deleted, "deleted", "false", "true", "false"),
        ]
    )
    assert merged.hq.conflicts() == one.conflicts() == two.conflicts()
    assert [check.check(node.store)["problems"] for node in merged.nodes] == [[], [], []]


def test_a_second_exchange_applies_nothing(merged):
    for code in merged.branches:
        assert (merged.up(code)["applied"], merged.down(code)["applied"]) == (0, 0)


# files that must not get in --------------------------------------------------------------------------------------------------


@pytest.fixture
def company(clocks) -> Iterator[Company]:
    with factories.company(clocks=dict(clocks)) as made:
        made.branches["BR01"].new("customer", name="甲")
        made.exchange()
        yield made


def state(node: Installation) -> tuple[object, ...]:
    """Data, cursor and log of a node."""
    return (
        node.digest,
        node.rows("SELECT * FROM sync_origin ORDER BY origin"),
        node.rows("SELECT node_no, recv_hseq, epoch FROM sync_peer ORDER BY node_no"),
        node.value("SELECT max(lseq) FROM sync_log"),
        node.rows("SELECT last_hlc, next_oseq, applying FROM sync_ctx"),
    )


def pack_up(company: Company, path: Path, code: str = "BR01") -> Path:
    node_sync.pack(company.branches[code].store, company.branches[code].keys, path)
    return path


def pack_down(company: Company, path: Path, code: str = "BR01") -> Path:
    node_sync.pack(company.hq.store, company.hq.keys, path, for_code=code)
    return path


def refused(node: Installation, path: Path) -> str:
    """The code with which a file is refused; nothing here may have changed."""
    before = state(node)
    with pytest.raises(AppError) as error:
        node_sync.unpack(node.store, node.keys, path)
    assert error.value.message
    assert state(node) == before
    assert not list(node.folder.glob("tmp*"))
    return error.value.code


def test_a_file_read_again_changes_nothing(company, tmp_path):
    one = company.branches["BR01"]
    one.new("customer", name="乙")
    up = pack_up(company, tmp_path / "up")
    company.exchange()
    before = state(company.hq)
    assert node_sync.unpack(company.hq.store, company.hq.keys, up)["applied"] == 0
    assert state(company.hq) == before
    down = pack_down(company, tmp_path / "down")
    node_sync.unpack(one.store, one.keys, down)
    before = state(one)
    assert node_sync.unpack(one.store, one.keys, down)["applied"] == 0
    assert state(one) == before


def test_files_read_in_the_wrong_order_lead_to_the_same(company, tmp_path):
    one, two = company.branches.values()
    files = []
    for number in range(4):
        one.new("customer", name=f"丙{number}")
        files.append(pack_up(company, tmp_path / f"up{number}"))
    for number in (2, 0, 3, 1):
        node_sync.unpack(company.hq.store, company.hq.keys, files[number])
    downs = []
    for number in range(3):
        company.hq.new("customer", name=f"丁{number}")
        downs.append(pack_down(company, tmp_path / f"down{number}", "BR02"))
    for number in (1, 2, 0):
        node_sync.unpack(two.store, two.keys, downs[number])
    company.exchange()
    assert len(company.digests) == 1
    assert two.value("SELECT count(*) FROM customer") == 8


def test_a_file_of_another_company_is_refused(company, tmp_path):
    stranger = factories.copy_company(factories.fast_folder(), name="别家公司")
    try:
        stranger.branches["BR01"].new("customer", name="外人")
        assert refused(company.hq, pack_up(stranger, tmp_path / "up")) == "bundle_other_company"
        assert refused(company.branches["BR01"], pack_down(stranger, tmp_path / "down")) == "bundle_other_company"
    finally:
        stranger.close()


def test_a_file_for_another_branch_is_refused(company, tmp_path):
    assert refused(company.branches["BR02"], pack_down(company, tmp_path / "down", "BR01"))


def test_a_branch_does_not_read_its_own_file_nor_head_office_its_own(company, tmp_path):
    assert refused(company.branches["BR01"], pack_up(company, tmp_path / "up")) == "bundle_own"
    assert refused(company.hq, pack_down(company, tmp_path / "down")) == "bundle_own"


def test_a_file_of_a_closed_branch_is_refused(company, tmp_path):
    company.branches["BR01"].new("customer", name="乙")
    path = pack_up(company, tmp_path / "up")
    with company.hq.store.housekeeping() as connection:
        connection.execute("UPDATE sync_peer SET state = 'revoked' WHERE code = 'BR01'")
    assert refused(company.hq, path) == "revoked"


@pytest.mark.parametrize("size", [0, 1, 4, 40, 0.5, 0.9, -1])
def test_a_file_cut_short_is_refused(company, tmp_path, size):
    company.branches["BR01"].new("customer", name="乙" * 300)
    path = pack_up(company, tmp_path / "up")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * size) if isinstance(size, float) else size])
    assert refused(company.hq, path)


def test_a_file_with_one_byte_altered_anywhere_is_refused(company, tmp_path):
    company.branches["BR01"].new("customer", name="乙" * 300)
    path = pack_up(company, tmp_path / "up")
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x40]) + whole[place + 1 :])
        assert refused(company.hq, path)
    path.write_bytes(whole)
    assert node_sync.unpack(company.hq.store, company.hq.keys, path)["applied"] == 1


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n", "客户名称,电话\n".encode("gbk"), b"BSB1" + b"\xff" * 100, b"LCY1\xff\xff\xff\xff", b"LCA1"]
)
def test_what_is_no_exchange_file_is_refused(company, tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert refused(company.hq, path)
    assert refused(company.branches["BR01"], path)


def test_a_file_that_is_not_there_is_named(company, tmp_path):
    assert refused(company.hq, tmp_path / "nothing") == "no_file"


def test_a_refused_pack_leaves_no_file(company, tmp_path):
    with pytest.raises(AppError):
        node_sync.pack(company.hq.store, company.hq.keys, tmp_path / "down", for_code="BR99")
    assert not list(tmp_path.iterdir())


def test_a_failed_merge_leaves_clock_cursor_and_data_as_they_were(company, tmp_path, monkeypatch):
    """The last row of a batch cannot be written: nothing of the batch is."""
    for number in range(5):
        company.branches["BR01"].new("customer", name=f"乙{number}")
    path = pack_up(company, tmp_path / "up")
    with company.hq.store.housekeeping() as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON customer WHEN NEW.name = '乙4' BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
    refused(company.hq, path)
    with company.hq.store.housekeeping() as connection:
        connection.execute("DROP TRIGGER full")
    assert node_sync.unpack(company.hq.store, company.hq.keys, path)["applied"] == 5
