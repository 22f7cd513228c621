"""What is shipped: a wheel that installs into an empty environment, and says what it lacks."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Building a wheel and filling an environment are slow on a busy machine.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The python of an environment that holds the wheel and its base dependencies only."""
    folder = tmp_path_factory.mktemp("base")
    _run(sys.executable, "-m", "venv", str(folder))
    python = folder / "bin" / "python"
    # The same versions as everywhere else, without hashes: the wheel itself has none.
    pins = folder / "pins.txt"
    lines = (ROOT / "requirements" / "dev.txt").read_text().splitlines()
    pins.write_text("\n".join(line.split(" ")[0] for line in lines if "==" in line))
    _run(str(python), "-m", "pip", "install", "--quiet", "--constraint", str(pins), str(wheel))
    return python


def test_the_wheel_holds_what_the_rooms_need_at_run_time(wheel: Path) -> None:
    """Schema, migrations, transcripts and the marker for type checkers are in it; tests are not."""
    names = zipfile.ZipFile(wheel).namelist()

    assert "gqlink/chat/schema.graphql" in names
    assert "gqlink/py.typed" in names
    assert any(name.startswith("gqlink/chat/migrations/versions/") for name in names)
    assert any(name.startswith("gqlink/protocol/transcripts/") and name.endswith(".md") for name in names)
    assert not any(name.startswith("tests/") for name in names)


def test_the_base_install_is_the_client(base: Path) -> None:
    """Client, protocol and pubsub work without any extra, and so does `gqlink --version`."""
    _run(str(base), "-c", "import gqlink.client, gqlink.protocol, gqlink.pubsub, gqlink.errors")
    answer = _run(str(base.parent / "gqlink"), "--version")

    assert answer.startswith("gqlink ")


@pytest.mark.parametrize(
    ("room", "extra"), [("auth", "server"), ("server", "server"), ("chat", "chat"), ("cli", "cli")]
)
def test_a_room_without_its_extra_says_which_one_to_install(base: Path, room: str, extra: str) -> None:
    """The sentence can be pasted into a shell."""
    code = f"import gqlink.errors as e\ntry:\n    import gqlink.{room}\nexcept e.MissingExtra as exc:\n    print(exc)"
    answer = _run(str(base), "-c", code)

    assert "pip install 'gqlink[" in answer
    if room not in {"chat", "cli"}:  # the first of their own rooms that is missed may speak for them
        assert f"gqlink[{extra}]" in answer


def test_the_command_without_its_extra_says_which_one_to_install(base: Path) -> None:
    """One line, and exit code 1."""
    answer = subprocess.run(
        [str(base.parent / "gqlink"), "serve"], capture_output=True, text=True, check=False, timeout=60
    )

    assert answer.returncode == 1
    assert "pip install 'gqlink[cli]'" in answer.stderr
    assert "Traceback" not in answer.stderr


def _run(*command: str) -> str:
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, cwd=ROOT.anchor)

    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout
