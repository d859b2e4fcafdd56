"""Reads the archive without any code of the project, from its format alone.

A segment is a run of zstd frames (RFC 8878). Per webhook there is a skippable frame that holds a
JSON header, then frames that decompress to the body, byte for byte.
"""

from __future__ import annotations

import io
import json
import struct
from dataclasses import dataclass

import zstandard

HEADER_MAGIC = 0x184D2A5A


@dataclass(frozen=True)
class Locator:
    """`<segment>@<offset>+<length>`, both in bytes."""

    segment: str
    offset: int
    length: int

    @classmethod
    def parse(cls, text: str) -> Locator:
        segment, span = text.rsplit("@", 1)
        offset, length = span.split("+")
        return cls(segment, int(offset), int(length))

    def fetch(self, s3, bucket: str) -> bytes:
        """One range read."""
        span = f"bytes={self.offset}-{self.offset + self.length - 1}"
        return s3.get_object(Bucket=bucket, Key=self.segment, Range=span)["Body"].read()


def webhook(located: bytes) -> tuple[dict, bytes]:
    """Header and body of the webhook that lies in these bytes."""
    magic, length = struct.unpack_from("<II", located)
    assert magic == HEADER_MAGIC
    header = json.loads(located[8 : 8 + length])
    frames = located[8 + length :]
    assert len(frames) == header["frames_bytes"]
    return header, decompress(frames)


def decompress(frames: bytes) -> bytes:
    reader = zstandard.ZstdDecompressor().stream_reader(
        io.BytesIO(frames), read_across_frames=True
    )
    return reader.read()
