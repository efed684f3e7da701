"""The house itself: import rules, pins, the container file, the Makefile, and what lies at the top."""

import ast
import os
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
FOLDERS = {"pages", "lossviz", "tests", "benchmarks", "docs", "tools"}
SET_UP = {"requirements.txt", "pyproject.toml", "Makefile", "Dockerfile", "compose.yaml"}
TEXTS = {"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"}
TOP_LEVEL = {"app.py"} | FOLDERS | SET_UP | TEXTS
LARGEST_FILE = 400_000


def tool(*command: str) -> subprocess.CompletedProcess[str]:
    """Runs a tool of the environment that the tests run in."""
    program = Path(sys.executable).with_name(command[0])
    return subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("command", [("lint-imports", "--no-cache"), ("hadolint", "Dockerfile")])
def test_clean_under(command: tuple[str, ...]):
    result = tool(*command)
    assert result.returncode == 0, result.stdout + result.stderr


def pins() -> dict[str, Requirement]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    listed = [Requirement(line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in listed}


def ranges() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [Requirement(text) for text in project["dependencies"]]


def version(pin: Requirement) -> str:
    (specifier,) = pin.specifier
    assert specifier.operator == "==", f"{pin} is not a pin"
    return specifier.version


def test_pins_satisfy_the_ranges():
    outside = [str(need) for need in ranges() if not need.specifier.contains(version(pins()[need.name]))]
    assert outside == []


def test_torch_is_pinned_without_a_build_tag():
    assert version(pins()["torch"]) == "2.13.0"


def test_every_imported_package_is_declared():
    """An import that another package happens to satisfy breaks on the day that package drops it."""
    sources = [ROOT / "app.py", *(ROOT / "pages").rglob("*.py"), *(ROOT / "lossviz").rglob("*.py")]
    imported = {name for path in sources for name in imports(ast.parse(path.read_text()))}
    distributions = metadata.packages_distributions()
    foreign = imported - sys.stdlib_module_names - {"lossviz"}
    declared = {canonicalize_name(need.name) for need in ranges()}
    undeclared = {
        name for name in foreign if not declared & {canonicalize_name(d) for d in distributions.get(name, ())}
    }
    assert undeclared == set()


def imports(tree: ast.AST) -> set[str]:
    """The top-level names of the absolute imports in a module."""
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 0}
    return {name.partition(".")[0] for name in names}


def needed(requirement: Requirement) -> Iterator[str]:
    """The distributions that a requirement brings, itself first."""
    waiting, seen = [requirement], set()
    while waiting:
        need = waiting.pop()
        name = canonicalize_name(need.name)
        yield name
        if (name, *sorted(need.extras)) in seen:
            continue
        seen.add((name, *sorted(need.extras)))
        for text in metadata.requires(need.name) or ():
            brought = Requirement(text)
            extras = need.extras or {""}
            if brought.marker is None or any(brought.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(brought)


def test_exactly_what_the_app_needs_is_pinned():
    """CUDA's own packages are left out: torch pins them, and CPU builds of torch do without."""
    closure = {name for need in ranges() for name in needed(need)}
    closure = {name for name in closure if not name.startswith(("nvidia-", "cuda-", "triton"))}
    assert closure == set(pins())


def test_the_pins_are_what_the_tests_run_on():
    differing = {
        name: metadata.version(name)
        for name, pin in pins().items()
        if (pin.marker is None or pin.marker.evaluate()) and not pin.specifier.contains(metadata.version(name))
    }
    assert differing == {}


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [Path(name) for name in listed.split("\0") if name]


def test_nothing_unexpected_lies_at_the_top(tracked: list[Path]):
    top = {path.parts[0] for path in tracked}
    assert {name for name in top if not name.startswith(".")} - TOP_LEVEL == set()


def test_no_tracked_file_is_large(tracked: list[Path]):
    sizes = {str(path): (ROOT / path).stat().st_size for path in tracked if (ROOT / path).exists()}
    assert {name: size for name, size in sizes.items() if size > LARGEST_FILE} == {}


def test_contributing_is_short():
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) < 40


class Workshop:
    """A folder with the real Makefile and an interpreter and installer that only note what they are asked."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.calls = folder / "calls"
        for name in ("Makefile", "requirements.txt", "pyproject.toml"):
            (folder / name).write_bytes((ROOT / name).read_bytes())
        self._program("pip", 'echo "pip $*" >> calls')
        self._program(
            "python3",
            f'if [ "$1" = -c ]; then exec {sys.executable} "$@"; fi\n'
            'echo "python3 $*" >> calls\n'
            "mkdir -p .venv/bin && cp pip .venv/bin/pip",
        )

    def _program(self, name: str, script: str) -> None:
        (self.folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.folder / name).chmod(0o755)

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs make, free of the variables that an outer make handed down."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        command = ["make", f"PYTHON={self.folder / 'python3'}", *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, env=environment)

    def asked(self) -> list[str]:
        """What was asked since the last time."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        self.calls.unlink(missing_ok=True)
        return lines


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def test_set_up_installs_once_and_again_only_when_the_pins_change(workshop: Workshop):
    assert workshop.make("-q", "setup-test").returncode == 1
    first = workshop.make("setup-test")
    assert first.returncode == 0, first.stderr
    asked = workshop.asked()
    assert asked[0] == "python3 -m venv --clear .venv"
    assert [line.split("--no-build-isolation ")[1] for line in asked[1:]] == [
        "-r requirements.txt",
        "--quiet --no-deps -e .",
        "--quiet --constraint requirements.txt -e .[test]",
    ]

    assert workshop.make("-q", "setup-test").returncode == 0
    assert workshop.make("setup-test").returncode == 0
    assert workshop.asked() == []

    stamp = (workshop.folder / ".venv" / "test.stamp").stat().st_mtime
    os.utime(workshop.folder / "requirements.txt", (stamp + 1, stamp + 1))
    assert workshop.make("-q", "setup-test").returncode == 1


def test_a_failed_install_is_tried_again(workshop: Workshop):
    (workshop.folder / "pip").write_text("#!/bin/sh\nexit 1\n")
    assert workshop.make("setup").returncode == 2
    assert workshop.make("-q", "setup").returncode == 1


def test_an_old_python_is_told_what_is_needed(workshop: Workshop):
    old = "import sys; sys.version_info = (3, 10, 13); exec(sys.argv.pop(1))"
    workshop._program("python3", f'shift; exec {sys.executable} -c "{old}" "$@"')
    result = workshop.make("setup")
    assert result.returncode == 2
    assert "lossviz needs Python 3.11 or newer and" in result.stderr
    assert "python3 is Python 3.10." in result.stderr


def test_a_port_in_use_is_named_before_anything_is_installed(workshop: Workshop):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = workshop.make("app", f"PORT={port}")
    assert result.returncode == 2
    assert f"Port {port} is in use. Stop what runs there, or choose another one: make app PORT=8502" in result.stderr
    assert workshop.asked() == []


@pytest.mark.parametrize("port", ["0", "65536", "eighty"])
def test_an_impossible_port_is_named_with_what_is_allowed(port: str, workshop: Workshop):
    result = workshop.make("port", f"PORT={port}")
    assert result.returncode == 2
    assert f"PORT is {port}; allowed is a number from 1 to 65535." in result.stderr
