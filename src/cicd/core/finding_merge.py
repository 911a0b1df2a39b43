"""One weakness that several scanners tell of is one finding: the same package, and a name in common."""

from collections.abc import Iterable, Iterator, Sequence

from cicd.core.findings import MOST_ALIASES, Finding, Place, package_name
from cicd.core.severity import order, worst


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, each once, the gravest first.

    In one version of one package, findings with a name in common are one: names and places are put together, and the
    worst severity counts. One without a version joins those that have one. Outside of packages only what is the same
    in every word is one, such as a report that was read twice.
    """
    others: dict[Finding, None] = {}
    packages: dict[str, list[Finding]] = {}
    for one in findings:
        if one.package:
            packages.setdefault(package_name(one.package), []).append(one)
        else:
            others[one] = None
    return sorted([*others, *(one for group in packages.values() for one in _of_package(group))], key=_order)


def _order(one: Finding) -> tuple[object, ...]:
    return (order(one.severity), -(one.score or 0), one.places, one.package, one.version, one.name, one.tool, one.title)


def _of_package(findings: Sequence[Finding]) -> Iterator[Finding]:
    versions: dict[str, list[Finding]] = {}
    for one in findings:
        versions.setdefault(one.version, []).append(one)
    unversioned = list(_grouped(versions.pop("", [])))
    named: dict[str, set[str]] = {}  # the versions that have a finding of this name
    for version, group in versions.items():
        for one in group:
            for name in one.names:
                named.setdefault(name, set()).add(version)
    for one in unversioned:
        joins = {version for name in one.names for version in named.get(name, ())}
        for version in joins:
            versions[version].append(one)
        if not joins:
            yield one
    for group in versions.values():
        yield from _grouped(group)


def _grouped(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Those that have a name in common as one, also over a third one."""
    parent = list(range(len(findings)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    owner: dict[str, int] = {}
    for index, one in enumerate(findings):
        for name in one.names:
            parent[root(index)] = root(owner.setdefault(name, index))
    groups: dict[int, list[Finding]] = {}
    for index, one in enumerate(findings):
        groups.setdefault(root(index), []).append(one)
    yield from map(_one, groups.values())


def _one(group: Sequence[Finding]) -> Finding:
    """All of a group as one; what has no place of its own keeps it that way, so that no path speaks for it."""
    if len(group) == 1:
        return group[0]
    first = min(group, key=lambda one: (one.severity == "unknown", order(one.severity), one.tool, one.id))
    names = dict.fromkeys(name for one in group for name in (one.id, *one.aliases) if name.upper() != first.id.upper())
    unique = {name.upper(): name for name in names}
    scores = [one.score for one in group if one.score is not None]
    places = sorted({place for one in group for place in one.places}, key=lambda place: (not place.file, place))
    return Finding(
        tool=", ".join(sorted({tool for one in group for tool in one.tool.split(", ")})),
        id=first.id,
        severity=worst(one.severity for one in group),
        score=max(scores, default=None),
        aliases=tuple(sorted(unique.values())[: MOST_ALIASES * 5]),
        places=tuple(places) or (Place(),),
        package=first.package,
        version=first.version or next((one.version for one in group if one.version), ""),
        fixed_in=first.fixed_in or next((one.fixed_in for one in group if one.fixed_in), ""),
        title=first.title or next((one.title for one in group if one.title), ""),
        url=first.url or next((one.url for one in group if one.url), ""),
    )
