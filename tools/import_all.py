"""Import every module of a package and show that none of its siblings came along."""

from __future__ import annotations

import importlib
import pkgutil
import sys

SIBLINGS = {"bty_agent", "bty_web", "bty_media"}


def main(name: str) -> int:
    """Import `name` with all that is in it; 1 where a sibling was installed or loaded."""
    package = importlib.import_module(name)
    modules = [found.name for found in pkgutil.walk_packages(package.__path__, f"{name}.")]
    for module in modules:
        if not module.endswith("__main__"):
            importlib.import_module(module)
    wrong = sorted(SIBLINGS & ({*sys.modules} | {found.name for found in pkgutil.iter_modules()}))
    if wrong:
        print(f"{name} came with {', '.join(wrong)}", file=sys.stderr)
        return 1
    print(f"{name} and its {len(modules)} modules were imported without a sibling")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
