#!/bin/sh
# What this machine is, in sections that begin with a line of '== ' and a name. Reads only, and needs no root.
LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL PATH
section() { printf '\n== %s\n' "$1"; }
section os-release
cat /etc/os-release || cat /usr/lib/os-release
section kernel
uname -s -r -v -m
section cmdline
cat /proc/cmdline
section dpkg
dpkg-query -W -f '${db:Status-Abbrev} ${binary:Package} ${Version}\n'
section rpm
rpm -qa --qf '%{NAME}.%{ARCH} %{EPOCHNUM}:%{VERSION}-%{RELEASE}\n'
section apk
apk info -v
section pacman
pacman -Q
section lsblk
lsblk -J -b -o NAME,TYPE,SIZE,SERIAL,WWN,MODEL,PTTYPE,PTUUID,PARTTYPE,PARTLABEL,PARTUUID,FSTYPE,LABEL,UUID
section firmware
for name in bios_vendor bios_version bios_date sys_vendor product_name board_name; do
    printf '%s %s\n' "$name" "$(cat "/sys/class/dmi/id/$name")"
done
if [ -d /sys/firmware/efi ]; then echo 'boot uefi'; else echo 'boot bios'; fi
section microcode
grep -m 1 -E '^microcode' /proc/cpuinfo
section cpu
grep -m 1 -E '^model name' /proc/cpuinfo
section network
for nic in /sys/class/net/*; do
    printf '%s %s %s\n' "${nic##*/}" "$(cat "$nic/address")" "$(readlink "$nic/device/driver")"
done
section addresses
ip -o addr show scope global
section end
