"""A release that lies on a target, without a build: for tests of what runs with its code and settings."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from cicd.adapters.engines.process import ProcessEngine
from cicd.adapters.runner import Runner
from cicd.adapters.target import Target
from cicd.core.config import Deploy, Ports
from cicd.core.migration_sources import read_migrations
from cicd.core.release import Record, Release


def record_of(deploy: Deploy, files: Mapping[str, str] | None = None) -> Record:
    release = Release(sha="a" * 40, image="sha256:x", config="c", schema="", manifest="m")
    migrations = read_migrations(deploy, files) if files else []
    return Record(
        release=release,
        environment="staging",
        deploy=deploy,
        ports=Ports(router=1, blue=2, green=3),
        migrations=migrations,
    )


def laid_out(
    folder: Path, runner: Runner, deploy: Deploy, files: Mapping[str, str], settings: Mapping[str, str]
) -> tuple[ProcessEngine, Record]:
    """A release with these files and settings; its `python` and other programs are those of the tests."""
    record = record_of(deploy, files)
    target = Target(folder, "tiny", "staging")
    release = target.release_folder(record.release.id)
    for name, text in files.items():
        path = release / "app" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (release / "settings.json").write_text(json.dumps(dict(settings)))
    (release / "python").write_text(sys.executable)
    (release / "record.json").write_bytes(msgspec.json.encode(record))
    return ProcessEngine(target, runner), record
