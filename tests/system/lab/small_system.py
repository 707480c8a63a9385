"""A small system that really boots, from BIOS and UEFI, and says so on the serial console."""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
from pathlib import Path, PurePosixPath

from bty_media.builder.newc import append_files

MIB = 1 << 20
SIZE = 64 * MIB
_CORE, _ESP = 1 * MIB, 2 * MIB
_GRUB = Path("/usr/lib/grub")
_MODULES = [
    "part_gpt",
    "fat",
    "normal",
    "configfile",
    "linux",
    "echo",
    "serial",
    "terminal",
    "search",
    "search_label",
]
_EARLY = "search --label --set=root BTYSYSTEM\nset prefix=($root)/grub\n"
_MENU = """\
serial --unit=0 --speed=115200
terminal_output serial console
linux /vmlinuz console=tty0 console=ttyS0,115200 quiet no_timer_check
initrd /initrd
boot
"""
_INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
firmware=bios
[ -d /sys/firmware/efi ] && firmware=uefi
echo "BTY-SYSTEM-UP name={name} firmware=$firmware"
/bin/busybox sleep 1000000
"""


def build(image: Path, name: str, kernel: Path, ballast: int = 0) -> Path:
    """Write the image of a system called `name`, of 64 MiB and with `kernel`; return its path. Needs no root.

    `ballast`: bytes that cannot be packed, so that a flash takes its time.
    """
    work = image.with_suffix(".work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(SIZE)
    table = (
        "label: gpt\n"
        'start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649, name="bios"\n'
        f'start=4096, size={(SIZE - _ESP) // 512 - 2048}, type=uefi, name="esp"\n'
    )
    _run("sfdisk", "--quiet", image, stdin=table)
    _files(work, name, kernel)
    (work / "ballast").write_bytes(random.Random(name).randbytes(ballast))
    _esp(image, work)
    _embed(image, work / "core.img")
    shutil.rmtree(work)
    return image


def _files(work: Path, name: str, kernel: Path) -> None:
    (work / "init").write_text(_INIT.format(name=name))
    (work / "grub.cfg").write_text(_MENU)
    (work / "early.cfg").write_text(_EARLY)
    shutil.copyfile(kernel, work / "vmlinuz")
    busybox = shutil.which("busybox")
    assert busybox, "busybox is not installed: apt install busybox-static"
    with (work / "initrd").open("wb") as archive:
        append_files(
            archive,
            {
                PurePosixPath("bin/busybox"): (Path(busybox), 0o755),
                PurePosixPath("init"): (work / "init", 0o755),
            },
            folders=["proc", "sys", "dev"],
        )
    for target, out, more in (
        ("x86_64-efi", "BOOTX64.EFI", []),
        ("i386-pc", "core.img", ["biosdisk"]),
    ):
        words: list[str | Path] = [
            "-O",
            target,
            "-p",
            "/grub",
            "-c",
            work / "early.cfg",
            "-o",
            work / out,
        ]
        _run("grub-mkimage", *words, *_MODULES, *more)


def _esp(image: Path, work: Path) -> None:
    esp = work / "esp"
    with esp.open("wb") as file:
        file.truncate(SIZE - _ESP - MIB)
    _run("mkfs.vfat", "-F", "16", "-n", "BTYSYSTEM", esp)
    _run("mmd", "-i", esp, "::EFI", "::EFI/BOOT", "::grub")
    _run("mcopy", "-i", esp, work / "BOOTX64.EFI", "::EFI/BOOT/")
    _run("mcopy", "-i", esp, work / "grub.cfg", "::grub/")
    _run("mcopy", "-i", esp, work / "vmlinuz", work / "initrd", work / "ballast", "::")
    with image.open("r+b") as disk:
        disk.seek(_ESP)
        disk.write(esp.read_bytes())


def _embed(image: Path, core: Path) -> None:
    """Put GRUB where a BIOS starts it, as grub-bios-setup does, which wants a mounted disk.

    Offsets: grub-core/boot/i386/pc/{boot,diskboot}.S of GRUB.
    """
    boot = bytearray((_GRUB / "i386-pc/boot.img").read_bytes())
    content = bytearray(core.read_bytes())
    assert len(content) <= MIB
    first = _CORE // 512
    boot[0x5C:0x64] = struct.pack("<Q", first)
    boot[0x66:0x68] = b"\x90\x90"  # start from the disk that the BIOS names
    sectors = -(-len(content) // 512) - 1
    content[0x1F4:0x200] = struct.pack("<QHH", first + 1, sectors, 0x820)
    with image.open("r+b") as disk:
        disk.write(boot[:440])
        disk.seek(_CORE)
        disk.write(content)


def _run(*argv: str | Path, stdin: str = "") -> None:
    env = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    ran = subprocess.run(argv, input=stdin, capture_output=True, text=True, env=env, timeout=60)
    assert ran.returncode == 0, f"{argv}: {ran.stderr}"
