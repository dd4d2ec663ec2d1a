"""A branch joins head office by three small files; none of them works altered, late, twice removed or for somebody else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from localcrm.kernel.errors import AppError, ExchangeError, StoreError
from localcrm.sync import identity
from localcrm.sync.identity import (
    Certificate,
    Invite,
    NodeKeys,
    check_not_expired,
    frame_head,
    issue_certificate,
    make_approval,
    make_invite,
    make_join_request,
    open_frame,
    read_approval,
    read_invite,
    read_join_request,
    sign_frame,
    verify_certificate,
)

COMPANY, NOW = b"company-number-1", 1_794_000_000_000
HUB, BRANCH, OTHER = NodeKeys(b"h" * 32, b"H" * 32), NodeKeys(b"b" * 32, b"B" * 32), NodeKeys(b"x" * 32, b"X" * 32)


def refusal(work: Any, *args: Any, **options: Any) -> str:
    with pytest.raises(AppError) as caught:
        work(*args, **options)
    assert "{" not in caught.value.message
    return caught.value.code


def certificate(**changes: Any) -> Certificate:
    plain = Certificate(
        company_id=COMPANY,
        node_no=1,
        code="BR01",
        name="杭州分公司",
        role="branch",
        epoch=2**64 - 1,
        epoch_index=0,
        keys=BRANCH.public,
        issued_at=NOW,
        valid_until=NOW + 400 * 86_400_000,
    )
    return msgspec.structs.replace(plain, **changes)


def invite() -> tuple[Invite, bytes]:
    return make_invite(HUB, company_id=COMPANY, company="示例公司", code="BR01", node_no=1, now_ms=NOW)


def test_a_branch_joins() -> None:
    issued, invite_file = invite()
    received = read_invite(invite_file, now_ms=NOW + 71 * 3_600_000)
    assert received == issued
    request_file = make_join_request(BRANCH, received, name="前台电脑")
    request = read_join_request(request_file, company_id=COMPANY, secret_of={issued.invite_id: issued.secret}.get)
    assert (request.keys, request.code, request.node_no, request.name) == (BRANCH.public, "BR01", 1, "前台电脑")
    assert issued.secret not in request_file
    signed, office = issue_certificate(HUB, certificate(keys=request.keys)), certificate(node_no=0, role="office", keys=HUB.public)
    admission = read_approval(make_approval(HUB, signed, known=[issue_certificate(HUB, office)]), invite=received, keys=BRANCH)
    assert admission == (certificate(), signed, HUB.public, [office])


def test_keys_are_stored_as_64_bytes_and_never_printed() -> None:
    keys = NodeKeys.generate()
    assert NodeKeys.from_bytes(keys.to_bytes()) == keys
    assert repr(keys) == "NodeKeys()"
    assert refusal(NodeKeys.from_bytes, b"x" * 63) == "bad_key_file"
    with pytest.raises(StoreError):
        NodeKeys.from_bytes(b"")


def test_a_fingerprint_is_six_groups_that_tell_keys_apart() -> None:
    assert [len(group) for group in BRANCH.public.fingerprint.split()] == [5] * 6
    assert len({NodeKeys.generate().public.fingerprint for _ in range(20)}) == 20
    assert BRANCH.public.fingerprint == "21799 92231 32632 66545 42979 56582"


def test_both_sides_agree_on_one_secret() -> None:
    assert HUB.agree(BRANCH.public.box_key) == BRANCH.agree(HUB.public.box_key)


def test_an_invite_expires_after_three_days() -> None:
    issued, file = invite()
    assert refusal(read_invite, file, now_ms=NOW + 72 * 3_600_000 + 1) == "invite_expired"
    assert refusal(check_not_expired, issued.expires_at, now_ms=issued.expires_at + 1) == "invite_expired"


def test_a_request_needs_the_open_invite_and_the_right_company() -> None:
    issued, _ = invite()
    file = make_join_request(BRANCH, issued, name="")
    assert refusal(read_join_request, file, company_id=b"another-company!", secret_of=lambda _: issued.secret) == "wrong_company"
    assert refusal(read_join_request, file, company_id=COMPANY, secret_of=lambda _: None) == "bad_request"
    assert refusal(read_join_request, file, company_id=COMPANY, secret_of=lambda _: b"not the secret!!") == "bad_request"


def test_a_request_by_who_saw_it_but_not_the_invite_is_refused() -> None:
    issued, _ = invite()
    request = read_join_request(make_join_request(BRANCH, issued, name=""), company_id=COMPANY, secret_of=lambda _: issued.secret)
    stolen = msgspec.msgpack.encode(msgspec.structs.replace(request, keys=OTHER.public))
    file = identity._sign(b"LCR1", OTHER, stolen)
    assert refusal(read_join_request, file, company_id=COMPANY, secret_of=lambda _: issued.secret) == "bad_request"


def test_an_approval_must_be_from_the_inviting_office_and_for_these_keys() -> None:
    issued, _ = invite()
    signed = issue_certificate(HUB, certificate())
    file = make_approval(HUB, signed, known=[])
    assert refusal(read_approval, file, invite=issued, keys=OTHER) == "bad_approval"
    assert refusal(read_approval, make_approval(OTHER, signed, known=[]), invite=issued, keys=BRANCH) == "bad_signature"
    strange = issue_certificate(OTHER, certificate())
    assert refusal(read_approval, make_approval(HUB, strange, known=[]), invite=issued, keys=BRANCH) == "bad_signature"
    assert refusal(read_approval, make_approval(HUB, signed, known=[strange]), invite=issued, keys=BRANCH) == "bad_signature"
    moved = issue_certificate(HUB, certificate(company_id=b"another-company!"))
    assert refusal(read_approval, make_approval(HUB, moved, known=[]), invite=issued, keys=BRANCH) == "wrong_company"
    other_place = issue_certificate(HUB, certificate(node_no=2))
    assert refusal(read_approval, make_approval(HUB, other_place, known=[]), invite=issued, keys=BRANCH) == "bad_approval"


def test_a_certificate_is_good_for_its_time_with_a_day_of_slack() -> None:
    day = 86_400_000
    assert verify_certificate(issue_certificate(HUB, certificate()), HUB.public) == certificate()
    assert certificate().is_valid_at(NOW - day)
    assert certificate().is_valid_at(NOW + 401 * day)
    assert not certificate().is_valid_at(NOW - day - 1)
    assert not certificate().is_valid_at(NOW + 401 * day + 1)


def test_no_signed_file_passes_for_one_of_another_kind() -> None:
    signed = issue_certificate(HUB, certificate())
    assert refusal(read_invite, signed, now_ms=NOW) == "bad_invite"
    renamed = b"LCA1" + signed[4:]
    assert refusal(read_approval, renamed, invite=invite()[0], keys=BRANCH) == "bad_signature"


@given(place=st.integers(0, 10**6), bit=st.integers(0, 7), cut=st.booleans())
def test_every_altered_or_cut_file_is_refused(place: int, bit: int, cut: bool) -> None:
    issued, invite_file = invite()
    readers: list[tuple[bytes, Any]] = [
        (invite_file, lambda data: read_invite(data, now_ms=NOW)),
        (
            make_join_request(BRANCH, issued, name="x"),
            lambda data: read_join_request(data, company_id=COMPANY, secret_of=lambda _: issued.secret),
        ),
        (make_approval(HUB, issue_certificate(HUB, certificate()), known=[]), lambda data: read_approval(data, invite=issued, keys=BRANCH)),
        (issue_certificate(HUB, certificate()), lambda data: verify_certificate(data, HUB.public)),
        (sign_frame(BRANCH, 1, b"payload", context=b"c"), lambda data: open_frame(data, BRANCH.public, context=b"c")),
    ]
    for original, read in readers:
        data = bytearray(original)
        data[place % len(data)] ^= 1 << bit
        with pytest.raises(ExchangeError):
            read(bytes(data[: place % len(data)] if cut else data))


@pytest.mark.parametrize("body", [b"\xdd\xff\xff\xff\xff", b"\x91" * 100_000, b"\x81\xa4code" * 20_000, b"\x81\xa1x" + b"\x91" * 100_000])
def test_deep_or_endless_documents_are_refused(body: bytes) -> None:
    assert refusal(read_invite, identity._sign(b"LCI1", OTHER, body), now_ms=NOW) == "bad_invite"
    assert refusal(read_invite, b"LCI1" + bytes(2 << 20), now_ms=NOW) == "bad_invite"


def test_a_frame_is_bound_to_sender_and_context() -> None:
    frame = sign_frame(BRANCH, 513, b"hello", context=b"POST /sync/push")
    assert frame_head(frame).node_no == 513
    assert open_frame(frame, BRANCH.public, context=b"POST /sync/push") == b"hello"
    assert refusal(open_frame, frame, BRANCH.public, context=b"POST /sync/pull") == "bad_signature"
    assert refusal(open_frame, frame, OTHER.public, context=b"POST /sync/push") == "bad_signature"
    assert refusal(open_frame, frame[:85], BRANCH.public, context=b"") == "bad_frame"


def test_two_frames_of_one_message_differ_so_that_a_replay_shows() -> None:
    first, second = (frame_head(sign_frame(BRANCH, 1, b"hello", context=b"")) for _ in range(2))
    assert len(first.nonce) == 16
    assert first.nonce != second.nonce


def test_a_frame_over_the_limit_is_neither_sent_nor_taken() -> None:
    assert refusal(sign_frame, BRANCH, 1, bytes(identity.MAX_FRAME), context=b"") == "bad_frame"
    assert refusal(open_frame, b"LCF1" + bytes(identity.MAX_FRAME), BRANCH.public, context=b"") == "bad_frame"
