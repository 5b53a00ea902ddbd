"""What a reader of a damaged file sees, and when that is all of the good one; kept in mangle.py."""

from mangle import decoded, harmless

__all__ = ["decoded", "harmless"]
