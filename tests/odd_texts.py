"""Descriptions that nobody would write, and somebody sends."""

from __future__ import annotations

ODD_TEXTS = {
    "emoji": "😀😢🫠",
    "other script": "ฉันเหนื่อยมาก นอนไม่หลับ",
    "right to left": "\u202eאני לא ישן כבר שבועות",  # noqa: RUF001 - the letters are meant
    "control characters": "sleep\x00\x07\x1b[31m\x7f fear",
    "repeated": "no " * 40,
    "lone surrogates": "sleep \ud800\udfff fear \udc80",
}
