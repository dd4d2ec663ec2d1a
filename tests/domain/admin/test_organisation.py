"""Our own companies: pictures that are pictures, one default account, and names that posted documents keep."""

import base64
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from localcrm.domain.admin.pictures import MAX_BYTES, check_picture
from localcrm.kernel.errors import AppError, InvalidInput
from tests import factories

Do = Callable[..., Any]


def png(width: int = 2, height: int = 1) -> bytes:
    """A whole black picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress((b"\0" + bytes(width)) * height)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", rows)
        + chunk(b"IEND", b"")
    )


JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffc0000b080020004001011100ffd9")
WEBP = {
    "VP8X": b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x3f\0\0\x1f\0\0",
    "VP8L": b"RIFF\x20\0\0\0WEBPVP8L\x0a\0\0\0\x2f" + (63 | 31 << 14).to_bytes(4, "little") + bytes(9),
    "VP8 ": b"RIFF\x20\0\0\0WEBPVP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\x40\0\x20\0" + bytes(4),
}


@pytest.mark.parametrize(
    ("data", "media_type"), [(png(64, 32), "image/png"), (JPEG, "image/jpeg"), *((data, "image/webp") for data in WEBP.values())]
)
def test_a_picture_is_told_by_its_bytes(data: bytes, media_type: str) -> None:
    picture = check_picture(data)
    assert (picture.media_type, picture.width, picture.height) == (media_type, 64, 32)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "not_a_picture"),
        (b"<html>\x89PNG\r\n\x1a\n", "not_a_picture"),
        (b"GIF89a" + bytes(40), "not_a_picture"),
        (png()[:20], "not_a_picture"),
        (JPEG[:12], "not_a_picture"),
        (b"\xff\xd8\xff\xe0\0\0" * 5, "not_a_picture"),
        (WEBP["VP8L"][:24], "not_a_picture"),
        (png(0, 9), "not_a_picture"),
        (b"", "not_a_picture"),
        (png(9000, 9000)[:60], "picture_too_large"),
        (png() + bytes(MAX_BYTES), "picture_too_large"),
    ],
)
def test_what_is_no_picture_or_too_large_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_picture(data)
    assert refused.value.code == code


def test_a_logo_is_kept_shown_and_taken_away(do: Do, new: Do) -> None:
    company = new("legal_entity", name="绍兴柯桥锦绣纺织有限公司", tax_no="91330621MA2XXXXX0X")["id"]
    logo = base64.b64encode(png(64, 32)).decode()
    assert do("admin.set_picture", legal_entity_id=company, use="logo", data=logo) == {"id": company, "width": 64, "height": 32}
    kept = do("records.update_record", entity="legal_entity", id=company, values={"phone": "0575-1"})
    assert (kept["logo"], kept["seal"]) == (logo, None)
    do("admin.set_picture", legal_entity_id=company, use="logo", data=None)
    for use, data, code in (("logo", "不是", "not_a_picture"), ("photo", logo, "bad_parameter")):
        with pytest.raises(AppError) as refused:
            do("admin.set_picture", legal_entity_id=company, use=use, data=data)
        assert refused.value.code == code
    with pytest.raises(InvalidInput) as typed:
        do("records.update_record", entity="legal_entity", id=company, values={"seal": logo})
    assert typed.value.code == "not_editable"


def test_one_account_is_the_default(do: Do, new: Do) -> None:
    company = new("legal_entity", name="锦绣")["id"]
    first, second = (new("bank_account", legal_entity_id=company, bank=bank, account="6222")["id"] for bank in ("工行", "农行"))

    def defaults() -> list[bool]:
        found = (do("records.update_record", entity="bank_account", id=identity, values={}) for identity in (first, second))
        return [one["is_default"] for one in found]

    assert defaults() == [True, False]
    do("records.update_record", entity="bank_account", id=second, values={"is_default": "true"})
    assert defaults() == [False, True]


@pytest.fixture
def order(do: Do, new: Do) -> Do:
    """A draft order of one service; returns it."""
    customer = new("customer", name="浙江瑞祥进出口有限公司")["id"]
    service = new("product", code="FW-01", name="裁剪服务", price="50", stocked="false")["id"]

    def order(**header: Any) -> dict[str, Any]:
        lines = [{"product_id": service, "quantity": "1"}]
        return dict(do("sales.save_order", header={"customer_id": customer, **header}, lines=lines))

    return order


def test_an_order_is_in_the_name_of_the_branchs_company(do: Do, new: Do, order: Do, store: Any) -> None:
    assert order()["legal_entity_id"] is None
    first = new("legal_entity", name="锦绣纺织")["id"]
    assert order()["legal_entity_id"] == first  # the only one
    second = new("legal_entity", name="锦绣进出口")["id"]
    assert order()["legal_entity_id"] is None  # nobody has said which
    do("records.update_record", entity="branch", id=store.node.branch_id, values={"legal_entity_id": second})
    assert order()["legal_entity_id"] == second
    assert order(legal_entity_id=first)["legal_entity_id"] == first


def test_a_posted_order_keeps_the_name_it_was_posted_with_and_so_does_its_reversal(do: Do, new: Do, order: Do) -> None:
    company = new("legal_entity", name="锦绣纺织")["id"]
    posted = do("sales.post_order", order_id=order()["id"])
    do("records.update_record", entity="legal_entity", id=company, values={"name": "锦绣集团"})
    assert do("sales.order_with_lines", order_id=posted["id"])["legal_entity_name"] == "锦绣纺织"
    assert do("sales.reverse_order", order_id=posted["id"])["legal_entity_name"] == "锦绣纺织"
    assert do("sales.post_order", order_id=order()["id"])["legal_entity_name"] == "锦绣集团"


def test_branches_receive_it_and_may_not_write_it(company: factories.Company) -> None:
    hq, branch = company.hq, company.branches["BR01"]
    identity = hq.new("legal_entity", name="锦绣纺织")
    hq.run("admin.set_picture", legal_entity_id=identity, use="seal", data=base64.b64encode(png()).decode())
    company.exchange("BR01")
    assert branch.get("legal_entity", identity)["seal"] == base64.b64encode(png()).decode()
    for verb, values in (
        ("records.update_record", {"entity": "legal_entity", "id": identity, "values": {"name": "别的"}}),
        ("admin.set_picture", {"legal_entity_id": identity, "use": "seal", "data": None}),
    ):
        with pytest.raises(AppError) as refused:
            branch.run(verb, **values)
        assert refused.value.code == "office_only"
    assert hq.digest == branch.digest
