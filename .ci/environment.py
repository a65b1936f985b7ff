"""The virtual environment that `demo` and `check` share, made with the standard library alone.

It is made once, in `.venv`, where a note keeps what it was made from: a second run with the
same sources and extras finds nothing to do.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
NOTE = VENV / "installed.json"
LOG = VENV / "install.log"
LOG_LINES_SHOWN = 40
# Wheels that ship trained networks; of their own requirements nothing is used.
NETWORKS = ("basic-pitch", "rapidocr-onnxruntime", "silero-vad")
PURE = os.environ.get("CONVKIT_BUILD") == "pure"


def prepare(*extras: str) -> None:
    """Make `.venv` hold convkit, built from this checkout, and the packages of `extras`.

    Ends the program with status 2 where this machine lacks a tool, 1 where a step fails.
    """
    require_tools()
    note = json.loads(NOTE.read_text()) if NOTE.exists() else {}
    source = fingerprint()
    packages = requirements(extras)
    is_built = PURE or any((ROOT / "src").rglob("_convkit*.so"))
    is_current = is_built and note.get("source") == source
    networks = NETWORKS if "networks" in extras else ()
    if is_current and {*packages, *networks} <= set(note["packages"]):
        return

    print("Setting up .venv")
    if note.get("python", sys.version) != sys.version:
        shutil.rmtree(VENV)
        note = {}
    VENV.mkdir(exist_ok=True)
    LOG.write_text("")
    if not note:
        step("virtual environment", sys.executable, "-m", "venv", VENV)
    pip = (PYTHON, "-m", "pip", "--disable-pip-version-check", "--no-input", "install")
    step("packages convkit works with", *pip, *packages)
    if networks and not step("trained networks", *pip, "--no-deps", *networks, needed=False):
        networks = ()
    if not is_current:
        NOTE.unlink(missing_ok=True)
        step("convkit, from source", *pip, "--no-deps", "-e", ".")
    everything = sorted({*packages, *networks, *note.get("packages", [])})
    NOTE.write_text(
        json.dumps({"python": sys.version, "source": source, "packages": everything}, indent=1)
    )
    print()


def require_tools() -> None:
    """End the program with the one line to paste when this machine lacks a tool."""
    if sys.version_info < (3, 11):  # noqa: UP036 - it is an older Python that reads this
        print(f"convkit needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
        raise SystemExit(2)
    if missing := missing_packages():
        sudo = "" if os.geteuid() == 0 else "sudo "
        print("This machine lacks tools that convkit is built with. Please run\n")
        print(f"    {sudo}apt-get install -y {' '.join(missing)}\n")
        print(f"and then ./{Path(sys.argv[0]).name} again.")
        raise SystemExit(2)


def missing_packages() -> list[str]:
    """Return the Debian packages that this machine lacks."""
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    missing = []
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        missing.append(f"{python}-venv")
    if PURE:
        return missing
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        missing.append(f"{python}-dev")
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()
    if not shutil.which(compiler[0]):
        missing += ["gcc", "libc6-dev"]
    elif not compiles(compiler, "#include <pthread.h>\n#include <stdio.h>\n"):
        missing.append("libc6-dev")
    return missing


def compiles(compiler: list[str], source: str) -> bool:
    """Whether `compiler` accepts a C `source`."""
    command = [*compiler, "-fsyntax-only", "-x", "c", "-"]
    return subprocess.run(command, input=source, text=True, capture_output=True).returncode == 0


def fingerprint() -> str:
    """Hash of what the compiled module, and the place it is found at, depend on."""
    digest = hashlib.sha256(f"{ROOT} {sys.version} pure={PURE}".encode())
    for path in (ROOT / "setup.py", ROOT / "pyproject.toml", *sorted((ROOT / "csrc").rglob("*.*"))):
        digest.update(f"\n{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def requirements(extras: tuple[str, ...]) -> list[str]:
    """Return the packages that pyproject.toml names, those of `extras` included."""
    import tomllib  # not there before 3.11, which require_tools reports

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    return sorted(
        {*project["dependencies"], *(name for extra in extras for name in optional[extra])}
    )


def step(name: str, *command: str | Path, needed: bool = True) -> bool:
    """Run a command into the log, print its name and seconds; return whether it worked.

    If it fails and is needed, show the end of the log and end the program.
    """
    print(f"  {name:<32}", end="", flush=True)
    start = time.monotonic()
    with LOG.open("a") as log:
        code = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        ).returncode
    failed = "" if needed or not code else "   failed: what needs it will be skipped"
    print(f"{time.monotonic() - start:6.1f} s{failed}", flush=True)
    if code and needed:
        print("\n", *LOG.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:], sep="\n")
        print(f"\nfailed: {' '.join(map(str, command))}\nthe whole log: {LOG}")
        raise SystemExit(1)
    return not code
