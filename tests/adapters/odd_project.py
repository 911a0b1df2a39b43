"""A project with everything odd that pytest collects; each of its test files writes down that it was imported."""

import textwrap
from pathlib import Path

FILES = {
    "pytest.ini": """
        [pytest]
        addopts = --doctest-modules --doctest-glob=*.rst
        markers =
            quick: a filter of the user's own
            xdist_group: known to xdist, which is not always there
            flaky: of rerunfailures
    """,
    "shop/__init__.py": "",
    "shop/prices.py": '''
        """
        >>> total([1, 2])
        3
        """


        def total(prices):
            """
            >>> total([])
            0
            """
            return sum(prices)
    ''',
    "docs/use.rst": """
        >>> 1 + 1
        2
    """,
    "tests/conftest.py": """
        import pytest


        class Checks(pytest.File):
            def collect(self):
                for line in self.path.read_text().splitlines():
                    yield Check.from_parent(self, name=line)


        class Check(pytest.Item):
            def runtest(self):
                pass


        def pytest_collect_file(file_path, parent):
            if file_path.suffix == ".yaml":
                return Checks.from_parent(parent, path=file_path)


        @pytest.fixture(scope="session")
        def world():
            return "world"
    """,
    "tests/checks.yaml": "one\ntwo: 2\nwith space\n",
    "tests/more.yaml": "three\n",
    "tests/test_plain.py": """
        import pytest


        @pytest.mark.quick
        def test_one(world):
            pass

        def test_two():
            pass

        def test_fails():
            assert 1 == 2

        @pytest.mark.skip(reason="not here")
        def test_skipped():
            pass

        @pytest.mark.xfail
        def test_xfailed():
            assert False

        @pytest.mark.xfail
        def test_xpassed():
            pass

        @pytest.fixture
        def broken():
            raise RuntimeError("no")

        def test_error(broken):
            pass
    """,
    "tests/test_params.py": """
        import pytest

        ODD = ["a::b", "a/b", "[x]", "ünï😀", "a@b", "with space", "", "new\\nline", "tab\\t"]
        ODD += ["x" * 3000, "%s", '"quoted"', "a,b;c"]


        @pytest.mark.parametrize("value", ODD)
        def test_odd(value):
            pass

        @pytest.mark.parametrize("value", ODD)
        class TestOdd:
            def test_in_class(self, value):
                pass
    """,
    "tests/test_big.py": """
        import pytest


        @pytest.mark.quick
        @pytest.mark.parametrize("number", range(40))
        def test_many(number):
            pass
    """,
    "tests/test_unittest.py": """
        import unittest


        class Case(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                cls.ready = True

            def test_ready(self):
                assert self.ready

            def test_parts(self):
                for part in range(3):
                    with self.subTest(part=part):
                        assert part < 3

            @unittest.skip("no")
            def test_skipped(self):
                pass

            @unittest.expectedFailure
            def test_expected(self):
                assert False
    """,
    "tests/test_fixtures.py": """
        import time

        import pytest


        @pytest.fixture(scope="module", autouse=True)
        def slow_module():
            time.sleep(0.3)
            yield
            time.sleep(0.1)

        @pytest.fixture(scope="class")
        def slow_class(slow_module):
            time.sleep(0.2)

        class TestWith:
            def test_first(self, slow_class):
                pass

            def test_second(self, slow_class):
                pass

        def test_without():
            pass
    """,
    "tests/test_groups.py": """
        import pytest


        @pytest.mark.xdist_group("g")
        def test_grouped():
            pass

        @pytest.mark.xdist_group("g")
        @pytest.mark.parametrize("value", ["a@b", "c"])
        def test_grouped_too(value):
            pass
    """,
    "tests/test_skipped_module.py": """
        import pytest

        pytest.importorskip("there_is_no_such_module")


        def test_never():
            pass
    """,
    "tests/test_empty.py": "",
    "tests/test mit ümlaut.py": "def test_umlaut():\n    pass\n",
    "tests/unit/__init__.py": "",
    "tests/unit/test_same.py": "def test_same():\n    pass\n",
    "tests/unit/deep/__init__.py": "",
    "tests/unit/deep/test_deep.py": "def test_deep():\n    pass\n",
    "tests/other/__init__.py": "",
    "tests/other/test_same.py": "def test_same():\n    pass\n",
    "tests/sub/conftest.py": """
        import pytest

        collect_ignore = ["test_ignored.py"]


        @pytest.fixture
        def local():
            return 1
    """,
    "tests/sub/test_ignored.py": "raise RuntimeError('imported')\n",
    "tests/sub/test_local.py": "def test_local(local):\n    assert local == 1\n",
}
NOTE = "import os; open(os.environ['IMPORTS'], 'a').write(__file__ + chr(10))\n"
SPLIT = "tests/test_big.py"


def make_project(root: Path) -> Path:
    """The project, with a file and a folder that are links."""
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = textwrap.dedent(text).lstrip("\n")
        path.write_text((NOTE if path.name.startswith("test") else "") + text, encoding="utf-8")
    (root / "tests" / "test_link.py").symlink_to("unit/test_same.py")
    (root / "tests" / "linked").symlink_to("unit")
    return root
