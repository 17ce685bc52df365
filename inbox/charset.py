"""Bytes of strangers as text: whatever the label says, something readable comes out."""

from __future__ import annotations

from encodings import normalize_encoding
from encodings.aliases import aliases

_NO_CHARSETS = {"base64_codec", "bz2_codec", "hex_codec", "mbcs", "quopri_codec", "rot_13", "uu_codec", "zlib_codec"}
_WITHOUT_ALIAS = ("cp720", "cp737", "cp856", "cp874", "cp875", "koi8_t", "koi8_u", "utf_8_sig")
_SUPERSETS = {  # what mail under these labels really holds, and how every browser reads it (WHATWG Encoding, 4.2)
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso8859_9": "cp1254",
    "latin_1": "cp1252",
    "shift_jis": "cp932",
    "tis_620": "cp874",
}
_LABELS = aliases | {name: name for name in (*aliases.values(), *_WITHOUT_ALIAS)}
_CODECS = {label: _SUPERSETS.get(name, name) for label, name in _LABELS.items() if name not in _NO_CHARSETS}
"""Python's codecs for text by every label: asking Python for one it does not know reads files and is remembered for ever."""


def decode(data: bytes, label: str | None) -> str:
    """Never fails: what has no label that is known, or is not ASCII as it says, is read as UTF-8 or else as Windows-1252."""
    codec = _CODECS.get(normalize_encoding(label).lower()) if label and label.isascii() else None
    if codec in {None, "ascii"}:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            codec = "cp1252"
    return data.decode(codec, errors="replace")
