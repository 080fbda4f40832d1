#!/bin/sh
# write_files of cloud-init: the mode of a file whose `permissions` stand without quotes.
set -eu
want=22.4.2-1+deb12u4
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
cd "$t"
apt-get download -qq "cloud-init=$want" 2>/dev/null || { echo "Debian's cloud-init $want is not available here"; exit 2; }
dpkg -x cloud-init_*.deb root
python3 -m pip install -qqq --disable-pip-version-check --root-user-action=ignore --target py \
  PyYAML==6.0.2 requests==2.32.5 configobj==5.0.9 jinja2==3.1.6 jsonschema==4.17.3
cat > try.py <<'P'
import os, pwd, grp, stat, sys
import yaml
from cloudinit import version
from cloudinit.config.cc_write_files import write_files

folder = os.getcwd() + "/out/"
written = ["0644", "'644'", "0o644", "644", "755", "600"]
text = "write_files:\n" + "".join(f"- path: {folder}{i}\n  content: x\n  permissions: {p}\n" for i, p in enumerate(written))
owner = pwd.getpwuid(os.getuid()).pw_name + ":" + grp.getgrgid(os.getgid()).gr_name
write_files("write-files", yaml.safe_load(text)["write_files"], owner)
print("cloud-init", version.version_string())
modes = []
for i, p in enumerate(written):
    mode = os.stat(folder + str(i)).st_mode
    modes.append(oct(stat.S_IMODE(mode))[2:])
    print(f"   permissions: {p:6} gives {modes[-1]:>5}  {stat.filemode(mode)}")
print("Expectation: three digits are a mode, with quotes or without; at worst a number in quotes is refused.")
print("Seen: 0644, '644' and 0o644 give 644. Without quotes and without a 0 it is a decimal number: a plugin installed with 755")
print("      can't be run by its owner and can be written by everybody, and there is no error.")
sys.exit(modes != ["644", "644", "644", "1204", "1363", "1130"])
P
PYTHONPATH=py:root/usr/lib/python3/dist-packages python3 try.py 2>&1
