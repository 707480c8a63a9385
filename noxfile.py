"""What is run on bty: `nox -l` lists the sessions; `./dev` is the door for a fresh machine.

Sessions share environments in .nox/ (one for tests on each Python, one for tools), made again only
when what they are made of changed, so that a whole run costs the tests and little more.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.tags = ["test"]

ROOT = Path(__file__).resolve().parent
PACKAGES = (
    "packages/bty-core",
    "packages/bty-agent",
    "packages/bty-web",
    "packages/bty-media",
)
CONSTRAINTS = ROOT / "constraints.txt"
PROMISED = ("3.11", "3.13")
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHONS = tuple(sorted({*PROMISED, HERE}, key=lambda version: int(version.split(".")[1])))

LAB = ROOT / ".nox" / "lab"  # firmware, builds and their caches, for machines of tests
MEDIA = ("usb", "server")  # the server holds the network environment, built on the way

MACHINE = "loop or root or netns or dnsmasq or qemu"  # of which there is one: its tests take turns
DATABASES = "postgresql or redis"  # each process of tests starts its own
SYSTEM = f"{MACHINE} or {DATABASES}"
LARGE = "vm or browser"

PATIENCE = 20.0  # seconds that an interrupted program has to give loop devices and folders back

# What ran, in order, for the closing lines.
RAN: list[tuple[str, str]] = []


@cache
def interpreter(version: str) -> str | None:
    """Return a Python of `version` that starts, or None: a name on the PATH may be hollow."""
    if version == HERE:
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [shutil.which(f"python{version}")]
    with suppress(PermissionError):  # somebody else's
        candidates += map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}")))
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    for found in filter(None, candidates):
        said = subprocess.run([found, "-c", code], capture_output=True, text=True, check=False)
        if said.stdout.strip() == version:
            return found
    return None


def environment(session: nox.Session, version: str = HERE, group: str = "test") -> Path:
    """Return the programs of the environment that sessions with this Python and group share."""
    python = interpreter(version)
    assert python is not None
    project = nox.project.load_toml("pyproject.toml")
    needs = nox.project.dependency_groups(project, group)
    made_of = [python, *needs, CONSTRAINTS.read_text()]
    made_of += [(ROOT / package / "pyproject.toml").read_text() for package in PACKAGES]
    wanted = hashlib.sha256("\0".join(made_of).encode()).hexdigest()

    place = ROOT / ".nox" / f"{group}-{version}"
    stamp = place / "made-of"
    if not (stamp.exists() and stamp.read_text() == wanted):
        make(session, place, python)
        editable = [word for package in PACKAGES for word in ("--editable", package)]
        pip(session, place, *editable, *needs)
        stamp.write_text(wanted)
    return place / "bin"


def make(session: nox.Session, place: Path, python: str) -> None:
    """Make an empty environment; virtualenv brings the pip that Debian's Python may lack."""
    virtualenv = [sys.executable, "-m", "virtualenv", "--quiet", "--clear", "--no-download"]
    session.run(*virtualenv, "--python", python, str(place))


def pip(session: nox.Session, place: Path, *words: str) -> None:
    """Install into `place`, in one call and with the versions of constraints.txt."""
    install = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--retries", "5"]
    env = {"PIP_BUILD_CONSTRAINT": str(CONSTRAINTS), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    session.run(*install, "--constraint", str(CONSTRAINTS), *words, env=env)


@contextmanager
def recorded(suite: str) -> Iterator[None]:
    """Note for the closing lines whether `suite` passed."""
    before = len(RAN)
    try:
        yield
    except BaseException:
        RAN[before:] = [(suite, next((said for _, said in RAN[before:]), "") or "FAILED")]
        raise
    if len(RAN) == before:
        RAN.append((suite, "passed"))


def pytest(
    session: nox.Session, suite: str, marks: str, version: str = HERE, more: Sequence[str] = ()
) -> None:
    """Run the tests that `marks` select and count them."""
    counts = ROOT / ".nox" / f"counts-{os.getpid()}.json"
    with recorded(suite):
        python = environment(session, version) / "python"
        root = as_root() if suite in ("databases", "system", "vm") else []
        env = {"BTY_COUNTS": str(counts)}
        words = [*root, str(python), "-m", "pytest", "-m", marks, *more, *session.posargs]
        if root:  # what root leaves in the tree, its owner could not remove
            words[1:1] = [
                "--preserve-env=PATH,BTY_REQUIRE,BTY_COUNTS,BTY_LAB_FULL,CI,PYTHONDONTWRITEBYTECODE"
            ]
            words += ["-p", "no:cacheprovider"]
            env["PYTHONDONTWRITEBYTECODE"] = "1"
        try:
            session.run(*words, env=env, interrupt_timeout=PATIENCE, terminate_timeout=PATIENCE)
            outcome = "passed"
        except BaseException:
            outcome = "FAILED"
            raise
        finally:
            if counts.exists():
                found = json.loads(counts.read_text())
                counts.unlink()
                said = ", ".join(f"{number} {what}" for what, number in found.items() if number)
                if outcome == "passed" and not found["passed"]:
                    outcome = "NOT PROVEN in this run"
                RAN.append((suite, f"{outcome}: {sum(found.values())} tests: {said or 'none'}"))


def as_root() -> list[str]:
    """Return the words that make the system tests run as root, where that needs no password."""
    if os.geteuid() == 0 or not shutil.which("sudo"):
        return []
    may = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
    return ["sudo", "-n"] if may.returncode == 0 else []


def not_proven(session: nox.Session, suite: str, name: str, why: str) -> None:
    """Skip loudly, or fail where BTY_REQUIRE asks for `name`."""
    if name in os.environ.get("BTY_REQUIRE", "").split(","):
        RAN.append((suite, f"FAILED: BTY_REQUIRE asks for {name}: {why}"))
        session.error(f"BTY_REQUIRE asks for {name}: {why}")
    RAN.append((suite, f"NOT PROVEN in this run: {why}"))
    session.skip(f"NOT PROVEN in this run: {suite}: {why}")


@nox.session(python=False, tags=["test"])
def lint(session: nox.Session) -> None:
    """Style, spelling, and who may import whom."""
    with recorded("lint"):
        here = environment(session, group="dev")
        session.run(str(here / "ruff"), "check", ".")
        session.run(str(here / "ruff"), "format", "--check", ".")
        session.run(str(here / "codespell"))
        session.run(str(here / "lint-imports"))
        for package in PACKAGES:
            # DEP002 (declared and not imported): programs and plugins are used without an import.
            with session.chdir(package):
                session.run(str(here / "deptry"), "src", "--ignore", "DEP002")


@nox.session(python=False, tags=["test"])
def types(session: nox.Session) -> None:
    """mypy strict, as the oldest Python reads the code."""
    with recorded("types"):
        session.run(str(environment(session, group="dev") / "mypy"))


@nox.session(name="core-alone", python=False, tags=["test", "unit"])
def core_alone(session: nox.Session) -> None:
    """bty-core in an empty environment, imported whole without any sibling."""
    with recorded("core-alone"):
        place = ROOT / ".nox" / "core-alone"
        make(session, place, sys.executable)
        pip(session, place, "packages/bty-core")
        session.run(str(place / "bin" / "python"), "tools/import_all.py", "bty_core")


def unit_on(version: str) -> Callable[[nox.Session], None]:
    """Return the unit session for one Python."""

    def unit(session: nox.Session) -> None:
        suite = f"unit on Python {version}"
        if interpreter(version) is None:
            not_proven(session, suite, f"python{version}", f"no Python {version} found")
        pytest(session, suite, f"not ({SYSTEM} or {LARGE})", version, ("-n", "2"))

    unit.__doc__ = f"Tests that need nothing of the machine, on Python {version}."
    return unit


for version in PYTHONS:
    nox.session(name=f"unit-{version}", python=False, tags=["test", "unit"])(unit_on(version))


@nox.session(python=False, tags=["test", "system"])
def databases(session: nox.Session) -> None:
    """Tests on a real PostgreSQL and a real Redis."""
    pytest(session, "databases", f"({DATABASES}) and not ({MACHINE} or {LARGE})", more=["-n", "2"])


@nox.session(python=False, tags=["test", "system"])
def system(session: nox.Session) -> None:
    """Tests on real loop devices, network namespaces and QEMU's tools; most need root."""
    pytest(session, "system", f"({MACHINE}) and not ({LARGE})")


@nox.session(python=False, tags=["test", "browser"])
def browser(session: nox.Session) -> None:
    """Pages in a real browser: Chromium, headless."""
    pytest(session, "browser", "browser and not vm", more=["-n", "2", "--dist", "loadfile"])


@nox.session(python=False)
def lab(session: nox.Session) -> None:
    """Machines to look at: `-- demo`, or one that stays on: `-- --keep`; `-- full` tries all, `-- bench` times them."""
    what = session.posargs[:1]
    if what != ["repeat"]:
        build_media(session, MEDIA if what in (["full"], ["bench"]) else ("pxe",))
    if what == ["full"]:
        del session.posargs[0]
        os.environ["BTY_LAB_FULL"] = "1"
        pytest(session, "vm", "vm", more=["-n", "2", "--dist", "worksteal"])
        return
    program = ["-m", "tools.lab"]
    if what == ["repeat"]:
        program = ["-m", "tools.repeatable"]
        del session.posargs[0]
    elif what == ["bench"]:
        program = [str(ROOT / "benchmarks" / "bench_lab.py")]
        del session.posargs[0]
    words = [str(environment(session) / "python"), *program, *session.posargs]
    session.run(*as_root(), *words, interrupt_timeout=PATIENCE, terminate_timeout=PATIENCE)


def build_media(session: nox.Session, kinds: Sequence[str] = MEDIA) -> None:
    """Put firmware and fresh media of `kinds` into .nox/lab; what earlier builds left there is used again."""
    python = str(environment(session) / "python")
    cache = ["--cache", str(LAB / "cache")]
    session.run(*as_root(), python, "-m", "tools.lab_firmware", str(LAB / "firmware"))
    session.run(*as_root(), python, "-m", "bty_media", "doctor", "--fix", *cache)
    if kinds == MEDIA:
        words = ["-m", "tools.lab_systems", str(LAB / "cache")]
        session.run(*as_root(), python, *words)
    for kind in kinds:
        words = ["build", kind, "--output", str(LAB / "media"), *cache]
        session.run(*as_root(), python, "-m", "bty_media", *words)


@nox.session(python=False, tags=["test"])
def docs(session: nox.Session) -> None:
    """The manual as a site and as man pages; a warning is an error."""
    with recorded("docs"):
        sphinx = [
            str(environment(session, group="dev") / "python"),
            "-m",
            "sphinx",
            "--quiet",
            "-W",
            "-j",
            "2",
        ]
        for builder in ("html", "man"):
            folders = ["-d", f"docs/_build/trees-{builder}", "docs", f"docs/_build/{builder}"]
            session.run(*sphinx, "-b", builder, *folders)


@nox.session(python=False, tags=["test"])
def build(session: nox.Session) -> None:
    """Wheels, installed into an empty environment; the command answers."""
    with recorded("build"):
        here = environment(session, group="dev")
        shutil.rmtree(ROOT / "dist", ignore_errors=True)
        for package in PACKAGES:
            words = ["-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", package]
            session.run(str(here / "python"), *words, silent=True)
        wheels = [str(wheel.relative_to(ROOT)) for wheel in sorted((ROOT / "dist").glob("*.whl"))]
        session.run(str(here / "check-wheel-contents"), *wheels)
        place = ROOT / ".nox" / "wheels"
        make(session, place, sys.executable)
        pip(session, place, *wheels)
        session.run(str(place / "bin" / "bty"), "--version")
        session.run(str(place / "bin" / "bty-media"), "--version")
        session.run(str(place / "bin" / "python"), "tools/definitions.py")
        # The server alone, as somebody installs it who only wants that.
        server = ROOT / ".nox" / "wheels-server"
        make(session, server, sys.executable)
        pip(session, server, *[one for one in wheels if "agent" not in one and "media" not in one])
        session.run(str(server / "bin" / "python"), "tools/first_steps.py")


@nox.session(python=False, tags=["test", "vm"])
def vm(session: nox.Session) -> None:
    """Machines from power-on to their flashed system: media are built, then tried in a lab of QEMU."""
    with recorded("media"):
        build_media(session)
    pytest(session, "vm", "vm", more=["-n", "2", "--dist", "worksteal"])


@nox.session(python=False, tags=["test", "unit", "system", "browser", "vm"])
def tally(session: nox.Session) -> None:
    """Say plainly what ran."""
    if RAN:
        width = max(len(suite) for suite, _ in RAN)
        lines = [f"  {suite:<{width}}  {said}" for suite, said in RAN]
        print("\nWhat ran:", *lines, sep="\n", flush=True)


@nox.session(python=False)
def demo(session: nox.Session) -> None:
    """Start bty-web with a real image, flash from it, compare; `-- --once` ends by itself."""
    words = [str(environment(session) / "python"), "-m", "tools.demo", *session.posargs]
    session.run(*words, interrupt_timeout=PATIENCE, terminate_timeout=PATIENCE)


@nox.session(python=False)
def pictures(session: nox.Session) -> None:
    """The pictures of the manual, made again: a real flash of a file, the wizard, a real server in Chromium."""
    session.run(str(environment(session) / "python"), "-m", "docs.pictures")
    session.run(str(environment(session) / "python"), "-m", "docs.wizard_pictures")
    session.run(str(environment(session) / "python"), "-m", "docs.web_pictures")


@nox.session(python=False)
def bench(session: nox.Session) -> None:
    """Each program benchmarks/bench_*.py; results go to benchmarks/results/."""
    found = sorted((ROOT / "benchmarks").glob("bench_*.py"))
    if not found:
        session.log("there is nothing yet: benchmarks/ holds no bench_*.py")
    for program in found:
        if program.name != "bench_lab.py":  # needs media: nox -s lab -- bench
            session.run(str(environment(session) / "python"), str(program), *session.posargs)


@nox.session(python=False)
def coverage(session: nox.Session) -> None:
    """Unit and system tests on this Python, with branches counted."""
    here = environment(session)
    words = ["-m", "pytest", "-m", f"not ({LARGE})", "--cov", "--cov-report=", *session.posargs]
    session.run(str(here / "python"), *words)
    session.run(str(here / "coverage"), "report")


@nox.session(python=False)
def audit(session: nox.Session) -> None:
    """Known weaknesses in what constraints.txt names; asks a service, so not in the suite."""
    place = ROOT / ".nox" / "audit"
    make(session, place, sys.executable)
    pip(session, place, "pip-audit")
    session.run(str(place / "bin" / "pip-audit"), "--no-deps", "-r", str(CONSTRAINTS))


@nox.session(python=False)
def constraints(session: nox.Session) -> None:
    """Make constraints.txt again from the newest releases that fit; names and versions only."""
    place = ROOT / ".nox" / "constraints"
    make(session, place, sys.executable)
    needs = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "dev")
    python = str(place / "bin" / "python")
    session.run(python, "-m", "pip", "install", "--quiet", *PACKAGES, *needs)
    frozen = session.run(
        python,
        "-m",
        "pip",
        "freeze",
        "--exclude",
        "bty-core",
        "--exclude",
        "bty-agent",
        "--exclude",
        "bty-web",
        "--exclude",
        "bty-media",
        silent=True,
    )
    lines = sorted((line for line in str(frozen).splitlines() if "==" in line), key=str.lower)
    CONSTRAINTS.write_text("\n".join(lines) + "\n")
