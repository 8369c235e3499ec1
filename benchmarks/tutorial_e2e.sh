#!/usr/bin/env bash
# Every command of docs/tutorial.md as it stands, in its order, in a fresh container without a network.
#   sudo make tutorial-e2e    (OPS=folder of the scripts that make one, FOLDER=var/tutorial; a quarter of an hour)
# A block under `<!-- goes on: PORT -->` runs on in a terminal of its own; the next one waits until that port is served.
set -uo pipefail
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ops=${OPS:-$source/../shared/ops} folder=$(realpath -m "${FOLDER:-$source/var/tutorial}") python=${PYTHON311:-python3.11}
root=$folder/root

skip() { echo "skipped: $1"; exit 0; }
[ "$(id -u)" = 0 ] || skip "only root can make a container"
[ -d "$ops" ] || skip "no scripts that make one in $ops: name their folder with OPS"
for tool in systemd-nspawn mmdebstrap git "$python"; do command -v "$tool" >/dev/null || skip "$tool is not installed"; done

mkdir -p "$folder/wheels"
[ -e "$folder/root.tar" ] || { "$ops/10_rootfs.sh" "$folder/making.tar" make && mv "$folder/making.tar" "$folder/root.tar"; } || exit 1
[ -n "$(ls "$folder/wheels")" ] || "$python" -m pip download --quiet --dest "$folder/wheels" --constraint "$source/constraints.txt" \
    "$source[dev]" setuptools wheel 2>/dev/null || exit 1
rm -rf "$root" && mkdir -p "$root/home/project" && tar -xf "$folder/root.tar" -C "$root" || exit 1
git -C "$source" ls-files -z | tar -C "$source" --null --files-from=- --create | tar -C "$root/home/project" --extract

"$python" - "$source/docs/tutorial.md" >"$root/home/tutorial.sh" <<'PYTHON'
import pathlib, re, shlex, sys
print("set -e\nwait_for() { for _ in $(seq 180); do (: </dev/tcp/127.0.0.1/$1) 2>/dev/null && return; sleep 1; done; return 1; }")
for port, block in re.findall(r"(?:<!-- goes on: (\d+) -->\n)?```\n(.*?)```", pathlib.Path(sys.argv[1]).read_text(), re.DOTALL):
    lines = [f"echo {shlex.quote('$ ' + line)}\n{line}" for line in block.strip().splitlines()]
    text = "\n".join(lines)
    print(f"( {text}\n) >../{port}.log 2>&1 &\nwait_for {port}" if port else text)
print("echo every block was run")
PYTHON
nice timeout 2400 unshare --mount --propagation private sh -c 'mount -t tmpfs tmpfs /run; mkdir -p /run/systemd; exec "$@"' sh \
    systemd-nspawn -q -D "$root" --register=no --keep-unit --private-network --console=pipe --bind-ro="$folder/wheels:/wheels" \
    --setenv=PIP_FLAGS="--no-index --find-links /wheels" --chdir=/home/project /bin/bash /home/tutorial.sh 2>&1 | tee "$folder/said.log"
code=${PIPESTATUS[0]}
[ "$code" = 0 ] || tail -n 20 "$root"/home/*.log
page=$root/home/project/runs/best/report.html
if [ "$code" = 0 ] && grep -qx "every block was run" "$folder/said.log" && [ -e "$page" ]; then echo "1 passed, 0 failed"; else echo "0 passed, 1 failed"; exit 1; fi
