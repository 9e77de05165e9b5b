# Brings what the probes look at into each state that its tool knows. As root on a node.
# shellcheck shell=sh
put() { cat >"/etc/systemd/system/$1"; }
service() { printf '[Service]\n%s\n%s\n[Install]\nWantedBy=lab.target\n' "$2" "${3-}" | put "$1.service"; }
timer() { printf '[Timer]\n%s\nAccuracySec=10ms\n[Install]\nWantedBy=timers.target\n' "$2" | put "$1.timer"; }
service up ExecStart='/bin/sleep infinity'
service once Type=oneshot ExecStart=/bin/true
service kept Type=oneshot "ExecStart=/bin/true
RemainAfterExit=yes"
service bad Type=oneshot ExecStart=/bin/false
service slow Type=oneshot ExecStart='/bin/sleep infinity'
service loop ExecStart=/bin/false "Restart=always
RestartSec=1h"
service never ExecStart=/bin/true
service lost ExecStart='/bin/sleep infinity'
service tpl@ ExecStart='/bin/sleep infinity'
ln -s /dev/null /etc/systemd/system/mask.service
ln -s up.service /etc/systemd/system/other.service
printf '#!/bin/sh\n### BEGIN INIT INFO\n# Provides: old\n# Required-Start:\n# Required-Stop:\n# Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n### END INIT INFO\nexit 0\n' >/etc/init.d/old
chmod +x /etc/init.d/old
timer once OnActiveSec=0
timer bad OnActiveSec=0
timer slow OnActiveSec=0
timer never OnCalendar=2099-01-01
timer ahead OnCalendar=daily
systemctl daemon-reload
systemctl enable -q up tpl@a once.timer
systemctl start up kept lost tpl@a once.timer bad.timer slow.timer never.timer
systemctl start loop || :
until systemctl -q is-failed bad && [ "$(systemctl show -p SubState once.timer)" = SubState=elapsed ]; do sleep 0.1; done
rm /etc/systemd/system/lost.service
systemctl daemon-reload

mkdir /srv/t && cd /srv/t
package() { # NAME [SCRIPT TEXT]
  mkdir -p "$1/DEBIAN" "$1/etc"
  echo x >"$1/etc/$1.conf"
  echo "/etc/$1.conf" >"$1/DEBIAN/conffiles"
  printf 'Package: %s\nVersion: 1.0\nArchitecture: all\nMaintainer: a <a@example.net>\nDescription: t\n' "$1" >"$1/DEBIAN/control"
  if [ "${2-}" = triggers ]; then echo "$3" >"$1/DEBIAN/triggers"
  elif [ "${2-}" ]; then printf '#!/bin/sh\n%s\n' "$3" >"$1/DEBIAN/$2"; chmod 755 "$1/DEBIAN/$2"; fi
  dpkg-deb --root-owner-group -b "$1" "$1.deb"
}
for name in ob-there ob-wish ob-held ob-kept ob-gone ob-unpacked; do package $name; done
package ob-half postinst 'exit 1'
package ob-trig triggers 'interest ob-event'
package ob-awaits postinst 'dpkg-trigger ob-event'
dpkg -i ob-there.deb ob-wish.deb ob-held.deb ob-kept.deb ob-gone.deb ob-trig.deb
printf 'ob-wish deinstall\nob-held hold\n' | dpkg --set-selections
dpkg -r ob-kept
dpkg -P ob-gone
dpkg --unpack ob-unpacked.deb
! dpkg -i ob-half.deb
dpkg --no-triggers -i ob-awaits.deb

cat >/srv/names.py
systemd-run -q --unit=names /usr/bin/python3 /srv/names.py
echo 'nameserver 127.0.0.53' >/etc/resolv.conf

mount_at() { mkdir -p "$2"; mount -t tmpfs -o "$3" "$1" "$2"; }
mount_at cover /srv/m size=1m,nosuid,ro
mount_at first /srv/over size=1m
mount_at second /srv/over size=1m
mount_at deep /srv/deep/in size=1m
mount_at above /srv/deep size=1m
mount_at blank '/srv/a b' size=1m
mount_at full /srv/full size=64k,nr_inodes=8
! head -c 65k /dev/zero >/srv/full/x
mkdir -m 700 /srv/closed
mount_at shut /srv/closed/in size=1m
ln -s /srv/m /srv/link

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=good.test -addext 'subjectAltName=DNS:good.test,IP:::1' -keyout key.pem -out cert.pem
chmod 600 key.pem
systemd-run -q --unit=tls openssl s_server -quiet -www -key /srv/t/key.pem -cert /srv/t/cert.pem -accept '[::1]:8443'
systemd-run -q --unit=http /usr/bin/python3 -m http.server --bind 127.0.0.1 8000 -d /srv/t
systemd-run -q --unit=silent /usr/bin/python3 -c 'import socket
s = socket.create_server(("127.0.0.1", 9)); c = []
while 1: c.append(s.accept())'
systemd-run -q --unit=unix /usr/bin/python3 -c 'import os, socket
s = socket.socket(socket.AF_UNIX); s.bind("/srv/t/sock"); s.listen(); c = []
os.chmod("/srv/t/sock", 0o777)
while 1: c.append(s.accept())'
until [ -S /srv/t/sock ] && nc -z ::1 8443 && nc -z 127.0.0.1 8000 && nc -z 127.0.0.1 9 && getent ahosts two.test; do sleep 0.1; done
