#!/bin/sh
# Undoes what install.sh did, by the program that it installed: `setup uninstall`. Run it as root.
#
#   uninstall.sh [--dry-run] [--root DIR [--restart]] [--watch SECONDS] [--json]
#
# The options are those of `setup uninstall`, as for install.sh.
# What others have changed since then stays. If the kubelet would not start without the program,
# nothing is removed. If a run was killed, run it again.
set -eu
NAME=aliyun-acr-credential-provider
root='' key=''
for word; do
  case $key in --root) root=${word%/} ;; esac
  key=$word
  case $word in -h | --help) sed -n '1d; /^#/!q; s/^# \{0,1\}//p' "$0" && exit ;; esac
done
state=$root/var/lib/$NAME
[ -f "$state/undo.json" ] || { echo "error: nothing is recorded in $state" >&2; exit 1; }
# A run that was killed may have removed the program; then its copy is there.
for path in $(grep -o "\"/.*/$NAME\"" "$state/undo.json" | tr -d '"' | sort -u); do
  for program in "$root$path" "$state/unfinished$path"; do
    if [ -f "$program" ] && [ -x "$program" ]; then exec "$program" setup uninstall "$@"; fi
  done
done
echo "error: the installed program is not there; run another copy of it: $NAME setup uninstall" >&2
exit 1
