from __future__ import annotations

import base64
import json
import re
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import SecretUnreadable
from persistence import encryption
from persistence.encryption import KeyRing, Place, new_key_entry

if TYPE_CHECKING:
    from pathlib import Path

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
RING = KeyRing({"k1": KEY})
PLACE = Place(UUID(int=1), "connectors", UUID(int=2), "secret")
PLAIN = "Bearer tajné-heslo"
NONCE = slice(4, 16)  # behind the version, the length of the key id and "k1"
FIRST_VERSION = bytes.fromhex(
    "01026b31000102030405060708090a0b0567b769a097e26fec2bf94818c41008f0bae8c6a384291e6468d105e0e7af286da14a"
)
WITH_SLASHES = base64.b64encode(b"\xff" * 31 + b"\xfe").decode()


def base64_of(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def test_the_cipher_passes_every_wycheproof_vector_of_its_sizes(corpora: Path) -> None:
    cipher = vars(encryption)["AESGCM"]  # whatever the ring uses
    groups = json.loads((corpora / "crypto" / "testvectors_v1" / "aes_gcm_test.json").read_bytes())["testGroups"]
    vectors = [
        {name: bytes.fromhex(test[name]) for name in ("key", "iv", "aad", "msg", "ct", "tag")} | {"result": test["result"]}
        for group in groups
        if (group["keySize"], group["ivSize"], group["tagSize"]) == (256, 96, 128)
        for test in group["tests"]
    ]
    valid = [vector for vector in vectors if vector["result"] == "valid"]
    invalid = [vector for vector in vectors if vector["result"] == "invalid"]
    assert (len(valid), len(invalid), len(vectors)) == (39, 27, 66)

    for vector in valid:
        sealed = vector["ct"] + vector["tag"]
        assert cipher(vector["key"]).encrypt(vector["iv"], vector["msg"], vector["aad"]) == sealed
        assert cipher(vector["key"]).decrypt(vector["iv"], sealed, vector["aad"]) == vector["msg"]
    for vector in invalid:
        with pytest.raises(InvalidTag):
            cipher(vector["key"]).decrypt(vector["iv"], vector["ct"] + vector["tag"], vector["aad"])


@given(st.text())
def test_what_was_encrypted_opens(plain: str) -> None:
    assert RING.decrypt(RING.encrypt(plain, PLACE), PLACE) == plain


def test_a_ciphertext_of_the_first_version_opens_for_ever() -> None:
    assert RING.decrypt(FIRST_VERSION, PLACE) == PLAIN


def test_a_ciphertext_names_its_version_and_key_and_carries_nonce_and_tag() -> None:
    stored = RING.encrypt(PLAIN, PLACE)

    assert stored[:4] == b"\x01\x02k1"
    assert len(stored) == 4 + 12 + len(PLAIN.encode()) + 16
    assert PLAIN.encode() not in stored


def test_no_nonce_comes_twice() -> None:
    nonces = {RING.encrypt(PLAIN, PLACE)[NONCE] for _ in range(10_000)}

    assert len(nonces) == 10_000


def test_with_any_bit_flipped_it_does_not_open() -> None:
    stored = RING.encrypt(PLAIN, PLACE)

    for position in range(len(stored)):
        for bit in range(8):
            flipped = bytearray(stored)
            flipped[position] ^= 1 << bit
            with pytest.raises(SecretUnreadable):
                RING.decrypt(bytes(flipped), PLACE)


def test_cut_short_or_made_longer_it_does_not_open() -> None:
    stored = RING.encrypt(PLAIN, PLACE)

    for cut in [*(stored[:end] for end in range(len(stored))), stored[1:], stored + b"\x00", stored * 2]:
        with pytest.raises(SecretUnreadable):
            RING.decrypt(cut, PLACE)


@given(st.binary() | st.binary().map(lambda tail: b"\x01\x02k1" + tail) | st.binary().map(lambda tail: b"\x01\x00" + tail))
def test_whatever_stands_in_the_column_it_is_unreadable_and_nothing_worse(stored: bytes) -> None:
    with pytest.raises(SecretUnreadable):
        RING.decrypt(stored, PLACE)


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(PLACE, workspace_id=UUID(int=9)),
        replace(PLACE, table="webhooks"),
        replace(PLACE, row_id=UUID(int=9)),
        replace(PLACE, column="signing_secret"),
        replace(PLACE, workspace_id=PLACE.row_id, row_id=PLACE.workspace_id),
    ],
    ids=["workspace", "table", "row", "column", "workspace and row swapped"],
)
def test_moved_to_another_place_it_does_not_open(elsewhere: Place) -> None:
    with pytest.raises(SecretUnreadable):
        RING.decrypt(RING.encrypt(PLAIN, PLACE), elsewhere)


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(SecretUnreadable):
        KeyRing({"k1": OTHER_KEY}).decrypt(RING.encrypt(PLAIN, PLACE), PLACE)


def test_one_key_under_two_ids_does_not_pass_a_ciphertext_on() -> None:
    ring = KeyRing({"k1": KEY, "k2": KEY})
    stored = ring.encrypt(PLAIN, PLACE)

    with pytest.raises(SecretUnreadable):
        ring.decrypt(stored.replace(b"k1", b"k2", 1), PLACE)


def test_a_key_that_left_the_ring_is_named() -> None:
    with pytest.raises(SecretUnreadable, match="no key with the id 'k1' is in the ring"):
        KeyRing({"k2": KEY}).decrypt(RING.encrypt(PLAIN, PLACE), PLACE)


def test_why_it_does_not_open_shows_neither_key_nor_secret() -> None:
    stored = RING.encrypt(PLAIN, PLACE)

    with pytest.raises(SecretUnreadable) as unreadable:
        KeyRing({"k1": OTHER_KEY}).decrypt(stored, PLACE)

    told = "".join(traceback.format_exception(unreadable.value))
    assert "key k1 does not open connectors.secret of 00000000-0000-0000-0000-000000000002" in told
    for hidden in (PLAIN, OTHER_KEY.hex(), base64_of(OTHER_KEY), stored.hex(), repr(stored)):
        assert hidden not in told


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    before = KeyRing({"k1": KEY})
    after = KeyRing({"k2": OTHER_KEY, "k1": KEY})
    old, new = before.encrypt(PLAIN, PLACE), after.encrypt(PLAIN, PLACE)

    assert after.primary == "k2"
    assert (after.is_current(old), after.is_current(new)) == (False, True)
    assert after.decrypt(old, PLACE) == after.decrypt(new, PLACE) == PLAIN
    with pytest.raises(SecretUnreadable):
        before.decrypt(new, PLACE)


def test_a_ring_prints_ids_and_no_key() -> None:
    ring = KeyRing({"k2": OTHER_KEY, "k1": KEY})

    assert repr(ring) == str(ring) == "KeyRing(k2, k1)"


@pytest.mark.parametrize(
    "text",
    [
        f"k1:{base64_of(KEY)}",
        f"k1:{base64_of(KEY)},k2:{base64_of(OTHER_KEY)}",
        f"  k1:{base64_of(KEY)} ,\n k2:{base64_of(OTHER_KEY)},\n",
    ],
    ids=["one", "two", "two with blanks and a trailing comma"],
)
def test_keys_are_read_in_the_order_in_which_they_stand(text: str) -> None:
    ring = KeyRing.parse(text)

    assert ring.primary == "k1"
    assert ring.decrypt(RING.encrypt(PLAIN, PLACE), PLACE) == PLAIN


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no key given"),
        (" , ,\n", "no key given"),
        (base64_of(KEY), "entry 1 is not of the form id:base64-of-32-bytes"),
        (f"{base64_of(KEY)}:k1", "entry 1 is not of the form id:base64-of-32-bytes"),
        (f":{base64_of(KEY)}", "entry 1 is not of the form id:base64-of-32-bytes"),
        (f"k1:{base64_of(KEY)},k č:{base64_of(KEY)}", "entry 2 is not of the form id:base64-of-32-bytes"),
        (f"{'k' * 33}:{base64_of(KEY)}", "entry 1 is not of the form id:base64-of-32-bytes"),
        (f"k1:{base64_of(KEY)},k1:{base64_of(OTHER_KEY)}", "the id k1 stands there twice"),
        ("k1:", "key k1 is not the base64 of 32 bytes"),
        (f"k1:{base64_of(KEY)}é", "key k1 is not the base64 of 32 bytes"),
        (f"k1:{base64_of(KEY)}\udce9", "key k1 is not the base64 of 32 bytes"),
        (f"k1:{base64_of(KEY)}:", "key k1 is not the base64 of 32 bytes"),
        (f"k1:{base64_of(KEY)[:-1]}", "key k1 is not the base64 of 32 bytes"),
        (f"k1:{base64_of(KEY[:16])}", "key k1 is not the base64 of 32 bytes"),
        (f"k1:{base64_of(KEY + KEY)}", "key k1 is not the base64 of 32 bytes"),
        (f"k1:{KEY.hex()}", "key k1 is not the base64 of 32 bytes"),
        (f"k1:{WITH_SLASHES.replace('/', '_')}", "key k1 is not the base64 of 32 bytes"),
        (f"k1:{base64_of(bytes(32))}", "key k1 is one byte repeated, not a random key"),
        (f"k1:{base64_of(b'k' * 32)}", "key k1 is one byte repeated, not a random key"),
    ],
)
def test_keys_that_cannot_be_used_are_refused_by_a_sentence_without_a_key(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)) as refused:
        KeyRing.parse(text)

    told = "".join(traceback.format_exception(refused.value))
    assert str(refused.value) == sentence
    for key in (KEY, OTHER_KEY):
        assert base64_of(key)[:8] not in told
        assert key.hex()[:8] not in told


def test_a_new_entry_is_a_key_of_its_own() -> None:
    entries = {new_key_entry() for _ in range(100)}
    ring = KeyRing.parse(",".join(entries))

    assert len({entry.partition(":")[2] for entry in entries}) == 100
    assert ring.decrypt(ring.encrypt(PLAIN, PLACE), PLACE) == PLAIN
