"""The exchange file: what goes in comes out, and whatever is done to the file on its way is noticed before anything is unpacked."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random

import msgspec
import pytest
import zstandard
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given, settings, strategies as st

from localcrm.kernel.errors import ExchangeError
from localcrm.sync import bundle
from localcrm.sync.bundle import BundleFacts, Opened, Recipient, Written, read_bundle, write_bundle
from localcrm.sync.identity import NodeKeys, NodePublic

COMPANY = b"company-number-1"
OFFICE, BRANCH, OTHER = NodeKeys(b"o" * 32, b"O" * 32), NodeKeys(b"b" * 32, b"B" * 32), NodeKeys(b"x" * 32, b"X" * 32)
FACTS = BundleFacts(
    hub_id=COMPANY,
    kind="up",
    sender_no=1,
    sender_epoch=2**64 - 1,
    schema_ver=3,
    from_seq=11,
    to_seq=2**63 - 1,
    chain_prev=b"p" * 32,
    chain=b"c" * 32,
    created_hlc=1_794_000_000_000 << 16,
)


def sender_public(node_no: int, key_id: bytes) -> NodePublic | None:
    """Head office knows one branch."""
    return BRANCH.public if (node_no, key_id) == (1, BRANCH.public.key_id) else None


@dataclass
class Post:
    """A folder that stands for the stick."""

    folder: Path

    @property
    def path(self) -> Path:
        """The one file on it."""
        return self.folder / "up.bsb"

    def pack(self, *messages: bytes, facts: BundleFacts = FACTS, keys: NodeKeys = BRANCH, to: tuple[NodeKeys, ...] = (OFFICE,)) -> Written:
        """The branch writes, in small chunks."""
        recipients = [Recipient(number, node.public) for number, node in enumerate(to)]
        return write_bundle(self.path, messages, facts=facts, keys=keys, recipients=recipients, chunk_size=1024)

    def open(self, *, max_bytes: int = 1 << 20, max_plain: int = 1 << 20) -> Opened:
        """Head office reads."""
        return read_bundle(
            self.path,
            my_keys=OFFICE,
            my_node_no=0,
            company_id=COMPANY,
            sender_public=sender_public,
            max_bytes=max_bytes,
            max_plain=max_plain,
        )

    def refusal(self, data: bytes | None = None, **limits: int) -> str:
        """Code with which the file, or these bytes in its place, are refused on opening."""
        if data is not None:
            self.path.write_bytes(data)
        with pytest.raises(ExchangeError) as caught:
            self.open(**limits)
        assert "{" not in caught.value.message
        return caught.value.code


@pytest.fixture
def post(tmp_path: Path) -> Post:
    return Post(tmp_path)


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that do not compress, so that a bundle has many chunks."""
    return Random(seed).randbytes(size)


def test_messages_and_facts_come_out_as_they_went_in(post: Post) -> None:
    messages = [b"first", noise(5000), b"\0", "客户".encode() * 10_000]
    written = post.pack(*messages)
    with post.open() as opened:
        assert (opened.bundle_id, opened.facts, opened.sha256) == (written.bundle_id, FACTS, written.sha256)
        assert list(opened) == messages
    assert written.messages == 4
    assert written.size == post.path.stat().st_size
    assert [file.name for file in post.folder.iterdir()] == ["up.bsb"]


@given(messages=st.lists(st.binary(min_size=1, max_size=3000), max_size=8), chunk_size=st.integers(1024, 4096))
@settings(max_examples=40)
def test_any_messages_in_any_chunk_size(tmp_path_factory: pytest.TempPathFactory, messages: list[bytes], chunk_size: int) -> None:
    post = Post(tmp_path_factory.mktemp("post"))
    write_bundle(post.path, messages, facts=FACTS, keys=BRANCH, recipients=[Recipient(0, OFFICE.public)], chunk_size=chunk_size)
    with post.open() as opened:
        assert list(opened) == messages


def test_a_bundle_for_two_is_opened_by_both_and_by_nobody_else(post: Post) -> None:
    post.pack(b"prices", to=(OFFICE, BRANCH, OTHER))

    def read(keys: NodeKeys, node_no: int) -> list[bytes]:
        with read_bundle(post.path, my_keys=keys, my_node_no=node_no, company_id=COMPANY, sender_public=sender_public) as opened:
            return list(opened)

    assert read(OFFICE, 0) == read(OTHER, 2) == [b"prices"]
    for keys, node_no, code in (
        (BRANCH, 0, "bundle_other_keys"),
        (OTHER, 0, "bundle_other_keys"),
        (OFFICE, 5, "bundle_not_for_us"),
        (BRANCH, 1, "bundle_own"),
    ):
        with pytest.raises(ExchangeError) as caught:
            read(keys, node_no)
        assert caught.value.code == code


def test_a_bundle_in_the_post_while_we_changed_keys_still_opens(post: Post) -> None:
    post.pack(b"late")
    with read_bundle(
        post.path, my_keys=OTHER, older_keys=[OFFICE], my_node_no=0, company_id=COMPANY, sender_public=sender_public
    ) as opened:
        assert list(opened) == [b"late"]


def test_it_can_be_written_to_an_open_file(post: Post) -> None:
    file = io.BytesIO()
    write_bundle(file, [b"by network"], facts=FACTS, keys=BRANCH, recipients=[Recipient(0, OFFICE.public)])
    post.path.write_bytes(file.getvalue())
    with post.open() as opened:
        assert list(opened) == [b"by network"]


def test_a_refused_pack_leaves_no_file_and_keeps_the_old_one(post: Post) -> None:
    def half() -> Iterator[bytes]:
        yield noise(5000)
        raise LookupError

    for before in (set(), {"up.bsb"}):
        with pytest.raises(LookupError):
            write_bundle(post.path, half(), facts=FACTS, keys=BRANCH, recipients=[Recipient(0, OFFICE.public)])
        assert {file.name for file in post.folder.iterdir()} == before
        post.pack(b"old")
    with post.open() as opened:
        assert list(opened) == [b"old"]


def test_a_folder_that_is_not_there_is_told_by_name(post: Post) -> None:
    with pytest.raises(ExchangeError) as caught:
        Post(post.folder / "stick").pack(b"x")
    assert caught.value.code == "bundle_not_written"
    with pytest.raises(ExchangeError) as caught:
        post.open()
    assert caught.value.code == "bundle_unreadable"


def test_wrong_company_sender_and_kind_of_file_are_named(post: Post) -> None:
    post.pack(b"x", facts=msgspec.structs.replace(FACTS, hub_id=b"another-company!"))
    assert post.refusal() == "bundle_other_company"
    post.pack(b"x", keys=OTHER)
    assert post.refusal() == "bundle_unknown_sender"
    post.pack(b"x", facts=msgspec.structs.replace(FACTS, sender_no=2))
    assert post.refusal() == "bundle_unknown_sender"
    assert post.refusal(b"PK\3\4 some zip file") == "not_a_bundle"
    assert post.refusal(b"") == "bundle_truncated"


def test_a_revoked_sender_is_refused_in_the_callers_words(post: Post) -> None:
    def revoked(node_no: int, key_id: bytes) -> NodePublic | None:
        raise ExchangeError("node_revoked", "Branch {node_no} may not exchange any more.", node_no=node_no)

    post.pack(b"x")
    with pytest.raises(ExchangeError) as caught:
        read_bundle(post.path, my_keys=OFFICE, my_node_no=0, company_id=COMPANY, sender_public=revoked)
    assert caught.value.code == "node_revoked"


def test_a_newer_protocol_is_recognised_whatever_else_its_header_says(post: Post) -> None:
    body = msgspec.msgpack.encode([2, {"what": ["we", "cannot", "know"]}])
    assert post.refusal(b"BSB1" + len(body).to_bytes(4) + body + bytes(200)) == "bundle_newer_protocol"


def test_every_single_altered_byte_is_refused_before_a_message_is_seen(post: Post) -> None:
    post.pack(noise(2500))
    data = bytearray(post.path.read_bytes())
    random, codes = Random(7), set()
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << random.randrange(8)
        codes.add(post.refusal(bytes(flipped)))
    assert codes - {"bundle_newer_protocol", "bundle_own"} == {
        "not_a_bundle",
        "bundle_altered",
        "bundle_truncated",
        "bundle_other_company",
        "bundle_unknown_sender",
        "bundle_not_for_us",
        "bundle_other_keys",
    }


@given(edits=st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=40), st.integers(0, 40)), min_size=1, max_size=4))
@settings(max_examples=150)
def test_any_overwriting_inserting_or_cutting_is_refused(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, bytes, int]]
) -> None:
    post = Post(tmp_path_factory.mktemp("post"))
    post.pack(noise(1500))
    original = data = post.path.read_bytes()
    for place, new, length in edits:
        start = place % (len(data) + 1)
        data = data[:start] + new + data[start + length :]
    if data != original:
        post.refusal(data)


def test_a_file_cut_anywhere_is_refused_and_called_cut_short(post: Post) -> None:
    post.pack(noise(3000))
    data = post.path.read_bytes()
    assert {post.refusal(data[:length]) for length in range(0, len(data), 13)} == {"bundle_truncated"}
    assert post.refusal(data + b"\0") in {"bundle_altered", "bundle_truncated"}


def chunks_of(data: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Head, chunks with their lengths, trailer."""
    place = 8 + int.from_bytes(data[4:8])
    head, chunks = data[:place], []
    while place < len(data) - 100:
        length = 4 + int.from_bytes(data[place : place + 4])
        chunks.append(data[place : place + length])
        place += length
    return head, chunks, data[place:]


def test_chunks_swapped_dropped_or_repeated_are_refused(post: Post) -> None:
    post.pack(noise(3500))
    head, chunks, trailer = chunks_of(post.path.read_bytes())
    assert len(chunks) == 4
    assert post.refusal(head + b"".join([chunks[1], chunks[0], *chunks[2:]]) + trailer) == "bundle_altered"
    assert post.refusal(head + b"".join([*chunks[:2], chunks[3]]) + trailer) == "bundle_altered"
    assert post.refusal(head + b"".join([chunks[0], *chunks]) + trailer) == "bundle_altered"
    assert post.refusal(head + b"".join(chunks[:3]) + trailer) == "bundle_altered"


def resigned(head: bytes, chunks: list[bytes], keys: NodeKeys = BRANCH) -> bytes:
    """What a dishonest but known sender could make of the parts of a bundle."""
    whole = head + b"".join(chunks) + len(chunks).to_bytes(4)
    digest = sha256(whole).digest()
    return whole + digest + keys.sign(b"BSB1-sig" + digest)


def test_even_a_known_sender_cannot_reorder_chunks_or_put_a_header_before_others(post: Post) -> None:
    post.pack(noise(4000))
    head, chunks, _ = chunks_of(post.path.read_bytes())
    assert resigned(head, chunks) == post.path.read_bytes()
    assert post.refusal(resigned(head, [chunks[1], chunks[0], *chunks[2:]])) == "bundle_altered"
    assert post.refusal(resigned(head, chunks[:3])) == "bundle_altered"
    post.pack(b"other", facts=msgspec.structs.replace(FACTS, from_seq=99))
    other_head, _, _ = chunks_of(post.path.read_bytes())
    assert post.refusal(resigned(other_head, chunks)) == "bundle_altered"


def test_a_recipient_cannot_be_swapped_nor_the_signer(post: Post) -> None:
    post.pack(b"for two", to=(OFFICE, OTHER))
    head, chunks, trailer = chunks_of(post.path.read_bytes())
    header = msgspec.msgpack.decode(head[8:])
    header[5].reverse()
    body = msgspec.msgpack.encode(header)
    swapped = b"BSB1" + len(body).to_bytes(4) + body
    assert post.refusal(swapped + b"".join(chunks) + trailer) == "bundle_altered"
    assert post.refusal(resigned(swapped, chunks)) == "bundle_altered"
    assert post.refusal(resigned(head, chunks, keys=OTHER)) == "bundle_altered"


def test_lengths_that_promise_too_much_cost_nothing(post: Post) -> None:
    post.pack(b"x")
    data = post.path.read_bytes()
    head, _, trailer = chunks_of(data)
    assert post.refusal(data[:4] + b"\xff\xff\xff\xff" + data[8:]) == "bundle_altered"
    assert post.refusal(head + b"\xff\xff\xff\xff" + bytes(100) + trailer) == "bundle_truncated"
    for body in (
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x96\x01" + b"\x91" * 100_000,
        b"\x91" * 100_000,
        b"\x81\xa1x" * 50_000,
    ):
        assert post.refusal(b"BSB1" + len(body).to_bytes(4) + body + bytes(200)) == "bundle_altered"


def test_a_file_over_the_limit_is_not_even_opened(post: Post) -> None:
    post.pack(noise(5000))
    assert post.refusal(max_bytes=5000) == "bundle_too_large"


def test_a_bomb_from_a_known_sender_stops_at_the_limit(post: Post) -> None:
    post.pack(b"before", bytes(50 << 20), b"after")
    assert post.path.stat().st_size < 8000
    with post.open() as opened:
        assert next(iter(opened)) == b"before"
        with pytest.raises(ExchangeError) as caught:
            list(opened)
    assert caught.value.code == "bundle_too_large"
    assert caught.value.params == {"limit": 1}
    assert post.refusal(max_plain=10) == "bundle_too_large"


@pytest.mark.parametrize("tail", [b"", b"\0\0\0\5abc", b"\xff\xff\xff\xff", b"\0\0\0\0more"])
def test_malformed_messages_from_a_known_sender_are_refused(post: Post, monkeypatch: pytest.MonkeyPatch, tail: bytes) -> None:
    def compress(manifest: bytes, messages: object) -> list[bytes]:
        return [zstandard.compress(len(manifest).to_bytes(4) + manifest + tail)]

    monkeypatch.setattr(bundle, "_compress", compress)
    post.pack()
    with post.open() as opened, pytest.raises(ExchangeError) as caught:
        list(opened)
    assert caught.value.code == "bad_message"


def test_a_frame_that_wants_a_huge_window_is_refused(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    def compress(manifest: bytes, messages: object) -> list[bytes]:
        parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
        packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        return [packer.compress(len(manifest).to_bytes(4) + manifest + bytes(4)), packer.flush()]

    monkeypatch.setattr(bundle, "_compress", compress)
    post.pack()
    assert post.refusal() == "bad_message"


def test_a_file_exchanged_between_checking_and_opening_is_noticed(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever else may open the bundle knows its key, and could seal other chunks with it."""
    post.pack(b"pay 100", to=(OFFICE, OTHER))
    head, _, _ = chunks_of(post.path.read_bytes())
    unwrap = bundle._unwrap_key

    def exchange(sealed: bundle._Sealed, mine: NodeKeys, header: bundle._Header, sender: NodePublic) -> bytes:
        key = unwrap(sealed, mine, header, sender)
        forged = b"".join(bundle._compress(bundle._manifest(header), [b"pay 999"]))
        chunk = ChaCha20Poly1305(key).encrypt(bundle._nonce(0, last=True), forged, sha256(head).digest() + bytes(4))
        post.path.write_bytes(resigned(head, [len(chunk).to_bytes(4) + chunk], keys=OTHER))
        return key

    monkeypatch.setattr(bundle, "_unwrap_key", exchange)
    assert post.refusal() == "bundle_altered"


def test_large_bundles_are_written_and_read_piece_by_piece(post: Post) -> None:
    messages = (noise(1 << 20, seed) for seed in range(40))
    tracemalloc.start()
    write_bundle(post.path, messages, facts=FACTS, keys=BRANCH, recipients=[Recipient(0, OFFICE.public)])
    with post.open(max_bytes=1 << 30, max_plain=1 << 30) as opened:
        assert sum(len(message) for message in opened) == 40 << 20
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 << 20
