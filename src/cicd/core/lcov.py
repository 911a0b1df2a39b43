"""Covered lines in the format that viewers of coverage read: https://ltp.sourceforge.net/coverage/lcov/geninfo.1.php"""

from collections.abc import Iterator, Mapping

from cicd.core.covered_lines import Lines
from cicd.core.markdown import visible


def lcov(lines: Mapping[str, Lines]) -> Iterator[str]:
    """The file, piece by piece. A line ran once or not at all: how often is not known of several shards."""
    for file, one in sorted(lines.items()):
        ran = [(line, 1) for line in one.executed_lines]
        found = sorted(ran + [(line, 0) for line in one.missing_lines])
        rows = "".join(f"DA:{line},{times}\n" for line, times in found)
        name = visible(file).replace("\n", "�").replace("\t", "�")
        yield f"TN:\nSF:{name}\n{rows}LF:{len(found)}\nLH:{len(ran)}\nend_of_record\n"
