"""Follows a log file as it is written, through everything that happens to log files.

Handled: a file that is not there yet, is renamed, is truncated in place, is deleted and made
anew; lines in pieces; lines of any length; any bytes. What is not here: what lines mean
(``patterns``), and when to look (``lifecycle``). There is no thread and no sleep.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .lines import MAX_LINE_BYTES, LineSplitter

BLOCK_BYTES = 256 * 1024
MARK_BYTES = 64


class Tail:
    """The lines of the file at ``path``: from byte ``start``, or only those yet to be written.

    ``start`` and ``from_end`` concern the file that is there at the first poll; a later one is
    read from its beginning. For one thread. Plain attributes: ``behind``, whether another poll
    would very likely bring more at once; ``problem``, one phrase when the file cannot be read,
    else ""; ``reopened``, how many times the file was replaced or emptied.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        start: int = 0,
        from_end: bool = False,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        self.path = Path(path)
        self.behind = False
        self.problem = "there is no such file yet"
        self.reopened = 0
        self._start = start
        self._from_end = from_end
        self._splitter = LineSplitter(max_line_bytes)
        self._fd: int | None = None
        self._position = 0
        self._head = b""
        self._mark = b""

    @property
    def cut_lines(self) -> int:
        """Lines of which only the beginning was kept."""
        return self._splitter.cut_lines

    def poll(self, max_bytes: int = BLOCK_BYTES) -> list[str]:
        """The lines completed since the last poll, from at most ``max_bytes`` of the file."""
        self.behind = False
        try:
            return self._poll(max_bytes) if self._fd is not None or self._open() else []
        except OSError as exc:
            self.problem = f"it cannot be read ({exc.strerror})"
            self.close()
            return []
        finally:
            self._start, self._from_end = 0, False

    def skip_to(self, start: int) -> None:
        """Leave out what lies before byte ``start`` of the present file and was not read yet."""
        if self._fd is None:
            self._start = start
        elif self._position < start <= os.fstat(self._fd).st_size:
            self._splitter.flush()
            self._go_to(start)

    def close(self) -> None:
        """Let go of the file. A later poll starts at its beginning."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _poll(self, max_bytes: int) -> list[str]:
        if self._was_emptied():
            self._go_to(self._first_data())
            self.reopened += 1
        lines = self._read(max_bytes)
        if not self.behind and self._is_replaced():
            lines += self._change_over(max_bytes)
        return lines

    def _open(self) -> bool:
        try:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            self.problem = "there is no such file yet"
            return False
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            self.problem = "it is not a regular file"
            self.close()
            return False
        self.problem = ""
        size = os.fstat(self._fd).st_size
        self._go_to(size if self._from_end else min(self._start, size))
        return True

    def _go_to(self, position: int) -> None:
        assert self._fd is not None
        self._position = position
        length = min(position, MARK_BYTES)
        self._head = os.pread(self._fd, length, 0)
        self._mark = os.pread(self._fd, length, position - length)

    def _read(self, max_bytes: int) -> list[str]:
        assert self._fd is not None
        data = os.pread(self._fd, max_bytes, self._position)
        self.behind = len(data) == max_bytes
        if len(self._head) < MARK_BYTES:
            self._head += data[: MARK_BYTES - len(self._head)]
        self._position += len(data)
        self._mark = (self._mark + data[-MARK_BYTES:])[-MARK_BYTES:]
        return self._splitter.feed(data)

    def _was_emptied(self) -> bool:
        """Whether the file was truncated in place, even if it has grown back since.

        Its size tells only while it is shorter than what was read. Whether its first bytes and
        those before our position are still what they were tells as soon as something is there.
        """
        assert self._fd is not None
        length = len(self._mark)
        mark = os.pread(self._fd, length, self._position - length)
        return mark != self._mark or os.pread(self._fd, len(self._head), 0) != self._head

    def _first_data(self) -> int:
        """Where data begins: a writer that kept its offset leaves a hole before what it adds."""
        assert self._fd is not None
        try:
            return os.lseek(self._fd, 0, os.SEEK_DATA)
        except OSError:  # it is empty, or the file system does not know
            return 0

    def _is_replaced(self) -> bool:
        """Whether the name belongs to another file now. Where it is gone, it is awaited: the
        writer may still hold the old one."""
        assert self._fd is not None
        try:
            return not os.path.samestat(os.fstat(self._fd), self.path.stat())
        except FileNotFoundError:
            return False

    def _change_over(self, max_bytes: int) -> list[str]:
        """Read what the old file got meanwhile, and go on to the new one once that was nothing.

        The unfinished line of a deleted file will never be finished, so it counts as it is. That
        of a renamed or truncated one may be: its writer was told to go on elsewhere, perhaps in
        the middle of a line.
        """
        assert self._fd is not None
        position = self._position
        lines = self._read(max_bytes)
        if self._position == position:
            if os.fstat(self._fd).st_nlink == 0:
                lines += self._splitter.flush()
            self.close()  # the next poll opens the new one
            self.reopened += 1
        self.behind = True
        return lines
