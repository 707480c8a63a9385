"""`efibootmgr` with a firmware that is a file, which prints as version 17 or 18 does: ENTRIES is its JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

STATE = Path(os.environ["FAKE_EFI_STATE"])


def main() -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for flag in ("--quiet", "--create-only", "--delete-bootnum"):
        parser.add_argument(flag, action="store_true")
    for option in ("--disk", "--part", "--label", "--loader", "--bootnext", "--bootnum"):
        parser.add_argument(option)
    asked = parser.parse_args()
    known = json.loads(STATE.read_text())
    known["calls"].append(sys.argv[1:])
    if asked.create_only:
        number = next(f"{one:04X}" for one in range(65536) if f"{one:04X}" not in known["entries"])
        path = f"HD({asked.part},GPT,5c0f1a2b,0x1000,0x14000)/File({asked.loader})"
        known["entries"][number] = [asked.label, path]
    if asked.bootnext:
        known["next"] = asked.bootnext
    if asked.delete_bootnum:
        del known["entries"][asked.bootnum]
    STATE.write_text(json.dumps(known))
    if not asked.quiet:
        sys.stdout.write("\n".join(said(known)) + "\n")
    return 0


def said(known: dict[str, Any]) -> list[str]:
    entries = known["entries"]
    order = known["order"]
    lines = [f"BootNext: {known['next']}"] if known["next"] else []
    lines += ["BootCurrent: 0005", "Timeout: 1 seconds", f"BootOrder: {','.join(order)}"]
    for number, (label, path) in sorted(entries.items()):
        # Since version 18 the path stands in each line, behind a tab.
        lines.append(f"Boot{number}* {label}" + (f"\t{path}" if known["version"] >= 18 else ""))
    return lines


if __name__ == "__main__":
    sys.exit(main())
