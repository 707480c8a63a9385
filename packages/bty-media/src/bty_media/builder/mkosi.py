"""Running mkosi on one profile of the definitions."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from bty_core.errors import CommandFailed
from bty_core.proc import stream
from bty_media.builder.request import DEFINITIONS, KERNELS, Request
from bty_media.errors import BuildFailed

_HOURS = 2 * 3600.0
_STEP = re.compile(
    r"^(?:\x1b\[[0-9;]*m)*‣ {2}(?:\x1b\[[0-9;]*m)*(?P<step>\S.*?)(?:\x1b\[[0-9;]*m)*$"
)
_SEED = "b7b00701-0000-4000-8000-000000000001"
_SHOWN_AT_THE_END = 12  # lines of the log that a failure repeats


def tools_tree(request: Request) -> Path:
    """Return the tree of programs that build; make it where it is not there or made of something else."""
    made_of = hashlib.sha256(request.mirror.sources().encode())
    for file in ("mkosi.conf", "mkosi.profiles/tools/mkosi.conf"):
        made_of.update((DEFINITIONS / file).read_bytes())
    place = request.cache / f"tools-{made_of.hexdigest()[:12]}"
    if not (place / "tools").is_dir():
        for old in request.cache.glob("tools-*"):
            shutil.rmtree(old)
        _run(request, DEFINITIONS, "tools", place, ["--profile", "tools"])
    return place / "tools"


def build_profile(request: Request, profile: str, trees: Sequence[Path]) -> Path:
    """Build the disk image of `profile` with `trees` in it, and return the folder with what mkosi made."""
    words = ["--profile", f"disk,{profile}"]
    for package in (KERNELS[request.kernel], *request.extra_packages):
        words += ["--package", package]
    for tree in trees:
        words += ["--extra-tree", str(tree)]
    return build_image(request, DEFINITIONS, profile, words)


def build_image(request: Request, definitions: Path, image: str, words: Sequence[str] = ()) -> Path:
    """Build `image` of the folder `definitions`, and return the folder with what mkosi made. Raises `BuildFailed`."""
    place = request.cache / "built" / image
    kept = _folder(request.cache / "incremental" / image)
    always = ["--tools-tree", str(tools_tree(request))]
    always += ["--incremental", "yes", "--cache-directory", str(kept)]
    always += ["--source-date-epoch", str(request.epoch), "--seed", _SEED]
    _run(request, definitions, image, place, [*always, *words])
    return place


def _run(
    request: Request, definitions: Path, image: str, output: Path, words: Sequence[str]
) -> None:
    """Have mkosi build `image` into `output`; its whole log is kept beside the builds. Raises `BuildFailed`."""
    sandbox = request.cache / "sandbox"
    sources = sandbox / "etc/apt/sources.list.d/mkosi.sources"
    _folder(sources.parent)
    # mkosi would add repositories of its own, which not every mirror has.
    sources.write_text(request.mirror.sources())
    log = _folder(request.output / "logs") / f"{image}.log"
    argv = [
        *request.mkosi.words,
        *("--directory", str(definitions), "--force"),
        *("--architecture", "x86-64", "--sandbox-tree", str(sandbox)),
        *("--package-cache-dir", str(_folder(request.cache / "packages"))),
        *("--output-directory", str(_folder(output))),
        *("--workspace-directory", str(_folder(request.cache / "work"))),
        *words,
        "build",
    ]
    began = time.monotonic()
    kept: list[str] = []
    with log.open("w") as file:

        def line(text: str) -> None:
            file.write(text + "\n")
            file.flush()
            kept.append(text)
            del kept[:-_SHOWN_AT_THE_END]
            if step := _STEP.match(text):
                request.say(f"{image}: {time.monotonic() - began:5.1f} s  {step['step']}")

        try:
            stream(argv, line, timeout=_HOURS)
        except CommandFailed as error:
            raise BuildFailed(
                f"mkosi could not build {image}, its last words were:\n" + "\n".join(kept),
                hint=f"the whole log is {log}; bty-media doctor looks for what this machine lacks",
            ) from error
    request.say(f"{image}: {time.monotonic() - began:5.1f} s  built")


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
