"""Durable: a folder of small files, each whole or not there, and checked when it is read."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from streamnb.errors import CheckpointError
from streamnb.points import reached

_MAGIC = b"streamnb"


class Disk:
    """The calls of a file system by which files are kept. Tests put one in their place that fails or forgets."""

    def write(self, path: Path, content: bytes, point: str) -> None:
        """Write a file and wait until it is on the disk."""
        with path.open("wb") as file:
            reached(f"{point}.opened")
            file.write(content)
            file.flush()
            reached(f"{point}.written")
            os.fsync(file.fileno())
        reached(f"{point}.synced")

    def open(self, path: Path) -> int:
        """Open a file that is there, to write at its end; return its descriptor."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def append(self, file: int, path: Path, content: bytes, at: int) -> None:
        """Write at the end of an open file, and wait for nothing."""
        while content:
            written = os.pwrite(file, content, at)
            content, at = content[written:], at + written

    def flush(self, file: int, path: Path) -> None:
        """Wait until what an open file holds is on the disk."""
        getattr(os, "fdatasync", os.fsync)(file)

    def cut(self, file: int, path: Path, size: int) -> None:
        """Cut an open file, and wait until that is on the disk."""
        os.ftruncate(file, size)
        os.fsync(file)

    def rename(self, old: Path, new: Path) -> None:
        old.replace(new)

    def remove(self, path: Path) -> None:
        path.unlink()

    def make(self, folder: Path) -> None:
        """Make a folder, with those above it, and wait until their names are on the disk."""
        if folder.exists():
            return
        if not folder.parent.exists():
            self.make(folder.parent)
        folder.mkdir(exist_ok=True)
        self.sync(folder.parent)

    def sync(self, folder: Path) -> None:
        """Wait until the names in a folder are on the disk."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Store:
    """Files by name under one folder. A checksum covers each file's name and content."""

    def __init__(self, path: Path, disk: Disk | None = None) -> None:
        self.path, self.disk = path, disk or Disk()

    def folder(self, path: Path) -> None:
        """Make sure that a folder is there."""
        self.disk.make(path)

    def write(self, name: str, payload: bytes, point: str | None = None) -> None:
        """Put a file in place, with its checksum; ``point`` names it for those who listen (``points.py``)."""
        self.place(name, _MAGIC + _checksum(name, payload) + payload, point or name.split("/", maxsplit=1)[0])

    def place(self, name: str, content: bytes, point: str) -> None:
        """Put a file in place as it is: temporary file, fsync, rename, fsync of the folder."""
        target = self.path / name
        self.folder(target.parent)
        temporary = target.with_name(f".{target.name}.tmp")
        self.disk.write(temporary, content, point)
        self.disk.rename(temporary, target)
        reached(f"{point}.renamed")
        self.disk.sync(target.parent)
        reached(f"{point}.done")

    def read(self, name: str) -> bytes:
        """Return what was written under a name; a missing or damaged file is a CheckpointError."""
        try:
            content = (self.path / name).read_bytes()
        except FileNotFoundError:
            raise CheckpointError(f"checkpoint: {self.path / name} is missing; restore it or start anew.") from None
        payload = content[len(_MAGIC) + 4 :]
        if content[: len(_MAGIC) + 4] != _MAGIC + _checksum(name, payload):
            raise CheckpointError(f"checkpoint: {self.path / name} is damaged; restore it or start anew.")
        return payload

    def numbers(self, folder: str) -> list[int]:
        """Return the files of a folder that are named by a number, in order."""
        return sorted(int(path.name) for path in (self.path / folder).iterdir() if path.name.isdigit())

    def remove(self, name: str) -> None:
        self.disk.remove(self.path / name)

    def sync(self, folder: str) -> None:
        self.disk.sync(self.path / folder)


def _checksum(name: str, payload: bytes) -> bytes:
    return zlib.crc32(payload, zlib.crc32(name.encode())).to_bytes(4, "big")
