"""Cuts a stream of bytes into lines of text, whatever pieces the bytes come in.

Pure. A line ends at a line feed or a carriage return (progress bars use the latter). Empty lines
are left out, NUL bytes are removed, bytes that are not UTF-8 become the replacement character,
and of a line longer than the limit only the beginning is kept.
"""

from __future__ import annotations

MAX_LINE_BYTES = 64 * 1024


class LineSplitter:
    """Feed it bytes, get the lines they complete. The same bytes give the same lines, however
    they are divided.

    ``cut_lines`` counts the lines that were longer than ``max_line_bytes``.
    """

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self.max_line_bytes = max_line_bytes
        self.cut_lines = 0
        self._partial = bytearray()

    def feed(self, data: bytes) -> list[str]:
        """The lines that ``data`` completes; an unfinished one is kept for later."""
        if b"\0" in data:
            data = data.replace(b"\0", b"")
        data = data.replace(b"\r", b"\n")
        end = data.rfind(b"\n")
        if end < 0:
            self._keep(data)
            return []
        self._keep(data[: data.index(b"\n")])  # never more than the limit is carried along
        rest = data[data.index(b"\n") : end]
        lines = self._decode(bytes(self._partial) + rest)
        self._partial.clear()
        self._keep(data[end + 1 :])
        return lines

    def flush(self) -> list[str]:
        """The unfinished line, now that nothing more can come to finish it."""
        return self.feed(b"\n")

    def _keep(self, data: bytes) -> None:
        """Carry the beginning of an unfinished line, one byte over the limit to know it is."""
        room = self.max_line_bytes + 1 - len(self._partial)
        self._partial += data[:room]

    def _decode(self, whole: bytes) -> list[str]:
        lines = whole.split(b"\n")
        if max(map(len, lines)) > self.max_line_bytes:
            limit = self.max_line_bytes
            self.cut_lines += sum(len(line) > limit for line in lines)
            whole = b"\n".join([line[:limit] for line in lines])
        return [line for line in whole.decode("utf-8", "replace").split("\n") if line]
