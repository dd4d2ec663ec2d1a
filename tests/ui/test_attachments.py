"""Attached files over HTTP: in by a plain request, out to who sees the field, never as a page."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette

from localcrm.kernel.attachments import MAX_SIZE, read_attachments
from localcrm.ui import attachments, endpoints
from tests.ui.conftest import COOKIE, HOST, PASSWORD, Office, guarded

PAGE = b"<script>alert(1)</script>"


@pytest.fixture
def browser(office: Office) -> httpx.AsyncClient:
    return as_(office)


def as_(office: Office, token: str | None = None) -> httpx.AsyncClient:
    app = guarded(office, Starlette(routes=attachments.ROUTES))
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),
        base_url=f"http://{HOST}",
        cookies={COOKIE: token or office.token()},
        headers={"X-Localcrm": "1"},
    )


@pytest.fixture
def field(office: Office) -> str:
    office.run("admin.add_field", entity="customer", label="合同", type="attachment")
    with office.store.read() as connection:
        return f"x{connection.value('SELECT number FROM custom_field')}"


async def attach(office: Office, browser: httpx.AsyncClient, field: str, name: str = "合同 1.html", data: bytes = PAGE) -> str:
    """A customer with a file; returns where it is handed out."""
    answer = await browser.post("/api/upload/attachment", params={"name": name}, content=data)
    assert answer.status_code == 200, answer.text
    line = answer.json()["line"]
    customer = office.new("customer", name="绍兴恒远", **{field: line})["id"]
    return f"/api/file/customer/{customer}/{field}/{read_attachments(line)[0].hash}"


async def test_a_file_comes_back_as_it_went_in_and_only_to_be_saved(office: Office, browser: httpx.AsyncClient, field: str) -> None:
    answer = await browser.get(await attach(office, browser, field))
    assert answer.content == PAGE
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''%E5%90%88%E5%90%8C%201.html"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers.get_list("content-security-policy")


PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
SOUND = b"OggS" + bytes(range(256)) * 600


async def test_what_can_be_shown_is_shown_as_what_its_content_is(office: Office, browser: httpx.AsyncClient, field: str) -> None:
    path = await attach(office, browser, field, "厂房.png", PNG)
    shown = await browser.get(path, params={"show": "1"})
    assert (shown.content, shown.headers["content-type"]) == (PNG, "image/png")
    assert shown.headers["content-disposition"].startswith("inline; ")
    assert "sandbox" in shown.headers.get_list("content-security-policy")
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert noted(office) == 0  # on the screen like any other field
    saved = await browser.get(path)
    assert (saved.headers["content-type"], noted(office)) == ("application/octet-stream", 1)
    paper = await browser.get(await attach(office, browser, field, "合同.pdf", b"%PDF-1.7 x"), params={"show": "1"})
    assert (paper.headers["content-type"], noted(office)) == ("application/pdf", 2)
    assert "default-src 'none'" in paper.headers.get_list("content-security-policy")


async def test_what_is_only_called_a_picture_stays_a_file(office: Office, browser: httpx.AsyncClient, field: str) -> None:
    drawing = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    for name, data in (("页面.png", PAGE), ("页面.pdf", PAGE), ("页面.svg", drawing), ("页面.jpg", drawing), ("页面.mp3", b"RIFF....AVI ")):
        answer = await browser.get(await attach(office, browser, field, name, data), params={"show": "1"})
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment; ")


async def test_of_a_sound_any_stretch_can_be_had(office: Office, browser: httpx.AsyncClient, field: str) -> None:
    path, size = await attach(office, browser, field, "通话.ogg", SOUND), len(SOUND)
    for asked, begin, end in (("0-1", 0, 2), ("65530-65545", 65530, 65546), ("70000-", 70000, size), ("-5", size - 5, size)):
        answer = await browser.get(path, params={"show": "1"}, headers={"Range": f"bytes={asked}"})
        assert (answer.status_code, answer.headers["content-range"]) == (206, f"bytes {begin}-{end - 1}/{size}")
        assert answer.content == SOUND[begin:end]
    for asked in (f"bytes={size}-", "bytes=5-2", "bytes=-", "bytes=0-1,4-5", "rows=0-1"):
        answer = await browser.get(path, params={"show": "1"}, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (200, SOUND)
    part = await browser.get(path, headers={"Range": "bytes=1-"})  # one that is saved comes whole, and is noted
    assert (part.status_code, noted(office)) == (200, 1)


def noted(office: Office) -> int:
    with office.store.read() as connection:
        return int(connection.value("SELECT count(*) FROM event_log WHERE kind = 'export'"))


async def test_who_does_not_see_the_field_or_the_record_gets_nothing(office: Office, browser: httpx.AsyncClient, field: str) -> None:
    path = await attach(office, browser, field)
    office.new("user", login="mei", name="小美", role="staff", password=PASSWORD)
    office.run("people.set_rights", login="mei", entity="customer", actions=["read"], scope="all")
    assert (await as_(office, office.token("mei")).get(path)).content == PAGE
    for rule in ("hidden", "masked"):
        office.run("people.set_field_rule", login="mei", entity="customer", field=field, rule=rule)
        assert (await as_(office, office.token("mei")).get(path)).json()["code"] == "no_such_file"
    office.run("people.set_field_rule", login="mei", entity="customer", field=field, rule="editable")
    office.run("people.set_rights", login="mei", entity="customer", actions=["read"], scope="own")
    assert (await as_(office, office.token("mei")).get(path)).json()["code"] == "no_such_file"


async def test_a_hash_alone_opens_nothing(office: Office, browser: httpx.AsyncClient, field: str) -> None:
    path = await attach(office, browser, field)
    other = office.new("customer", name="别的客户")["id"]
    parts = path.split("/")
    for wrong in (
        path[:-1] + ("0" if path[-1] != "0" else "1"),
        "/".join([*parts[:4], other, *parts[5:]]),
        "/".join([*parts[:5], "name", parts[6]]),
        "/".join([*parts[:5], "nothing", parts[6]]),
        "/".join([*parts[:3], "user", office.admin.user_id, "login", parts[6]]),
    ):
        answer = await browser.get(wrong)
        assert (answer.status_code, answer.json()["code"]) == (404, "no_such_file")


async def test_only_what_was_added_here_can_be_attached(office: Office, field: str) -> None:
    from localcrm.kernel.errors import InvalidInput

    with pytest.raises(InvalidInput) as refused:
        office.new("customer", name="绍兴恒远", **{field: f"{'a' * 64} 5 geheim.pdf"})
    assert refused.value.code == "file_not_added"
    with pytest.raises(InvalidInput) as refused:
        office.new("customer", name="绍兴恒远", **{field: "geheim.pdf"})
    assert refused.value.code == "bad_attachment"


@pytest.mark.parametrize(("size", "code"), [(0, "file_empty"), (MAX_SIZE + 1, "file_too_large")])
async def test_what_cannot_be_attached_is_refused_in_one_sentence(browser: httpx.AsyncClient, size: int, code: str) -> None:
    answer = await browser.post("/api/upload/attachment", params={"name": "x.bin"}, content=bytes(size))
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_handing_out_a_file_is_noted(office: Office, browser: httpx.AsyncClient, field: str) -> None:
    await browser.get(await attach(office, browser, field))
    with office.store.read() as connection:
        assert connection.value("SELECT detail FROM event_log ORDER BY id DESC LIMIT 1") == "customer 合同 1.html"


async def test_a_table_that_is_exported_names_files_as_people_do(office: Office, browser: httpx.AsyncClient, field: str) -> None:
    path = await attach(office, browser, field)
    tables = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=guarded(office, Starlette(routes=endpoints.routes()))),
        base_url=f"http://{HOST}",
        cookies={COOKIE: office.token()},
    )
    text = (await tables.get("/api/export/customer.csv", params={"columns": f"name,{field}"})).content.decode("utf-8-sig")
    assert "合同 1.html" in text
    assert path.rpartition("/")[2] not in text
