"""Submissions: what the archives of the data sets hold, and what is wrong with one."""

from __future__ import annotations

from rvos.formats.archives.layout import ArchiveLayout

__all__ = ["ArchiveLayout"]
