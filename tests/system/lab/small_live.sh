#!/bin/busybox sh
# The first process of the small live environment: what systemd does in the real one, as far as the agent needs it.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /run /root /opt/bty/bin
mount -t devpts pts /dev/pts
mount -t tmpfs run /run
mkdir -p /run/bty
exec </dev/console >/dev/console 2>&1

export HOME=/root LANG=C.UTF-8 TERM=vt220 PATH=/usr/bin:/usr/sbin:/bin
for module in failover net_failover virtio_net virtio_blk; do
    insmod "/lib/modules/$module.ko"
done
ln -s /usr/bin/python3 /opt/bty/bin/python3
ip link set lo up
ip link set eth0 up
udhcpc -i eth0 -s /lib/bty/address -t 20 -T 1 -n -q >/run/udhcpc.log 2>&1 || cat /run/udhcpc.log
echo "BTY-LIVE-UP small $(cut -d ' ' -f 1 /proc/uptime) s"
bty-flash-on-boot </dev/null >/run/service.log 2>&1 &
stty rows 24 cols 80 # busybox cannot ask for a size that is not known
while true; do
    # What a console shows is the real one's script; after it there is a shell, as after a login.
    setsid cttyhack sh -c '/usr/lib/bty/console; exec sh'
    sleep 1
done
