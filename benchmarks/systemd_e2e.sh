#!/usr/bin/env bash
# The units in a booted systemd: install, start, reload, hang, crash, stop, journal, timers, upgrade, uninstall.
#   sudo make systemd-e2e    (OPS=folder of the scripts that boot it, FOLDER=var/systemd; ten minutes)
# KEEP=1 leaves it running. Over an emulator in the same container, which has a loopback of its own and no other network.
set -uo pipefail
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ops=${OPS:-$source/../shared/ops} folder=$(realpath -m "${FOLDER:-$source/var/systemd}") python=${PYTHON311:-python3.11}
root=$folder/root runs=$root/var/lib/private/micro-trader/runs program=/opt/micro-trader/venv/bin/micro-trader unit=micro-trader
passed=0 failed=0

skip() { echo "skipped: $1"; exit 0; }
[ "$(id -u)" = 0 ] || skip "only root can boot a container"
[ -d "$ops" ] || skip "no scripts that boot systemd in $ops: name their folder with OPS"
for tool in systemd-nspawn mmdebstrap "$python"; do command -v "$tool" >/dev/null || skip "$tool is not installed"; done

in_it() { "$ops/30_nspawn.sh" exec "$root" "$@"; }
property() { in_it systemctl show -P "$1" "${2:-$unit}"; }
journal() { in_it journalctl -u "${unit_of:-$unit}" -o cat --no-pager "$@"; }
has() { local text; text=$(cat); grep "$@" <<<"$text" >/dev/null; }
run() { journal -g '"event": "started"' | grep -o '"run": "[0-9a-f]*"' | tail -1; }
decided() {  # how many decisions all days have; "" where one is missing, or there twice
    "$python" - "$1" <<'PYTHON'
import json, pathlib, sys
lines = [line for day in sorted(pathlib.Path(sys.argv[1]).glob("*/decisions.jsonl")) for line in day.open() if line.endswith("\n")]
if [json.loads(line)["seq"] for line in lines] == list(range(len(lines))):
    print(len(lines))
PYTHON
}
check() {
    if eval "$2"; then passed=$((passed + 1)); echo "ok    $1"; else failed=$((failed + 1)); echo "FAIL  $1   [$2]"; fi
}
wait_for() { for _ in $(seq "$1"); do eval "$2" && return 0; sleep 1; done; return 1; }
install_it() { in_it env PIP_FLAGS="--no-index --find-links /wheels" /source/systemd/install; }
anew() { [ "$(property MainPID)" != "$1" ] && [ "$(property SubState)" = running ]; }

mkdir -p "$folder/wheels"
[ -e "$folder/root.tar" ] || {
    "$ops/10_rootfs.sh" "$folder/making.tar" systemd,systemd-sysv,dbus,libpam-systemd,procps &&
        mv "$folder/making.tar" "$folder/root.tar"; } || exit 1
[ -n "$(ls "$folder/wheels")" ] || "$python" -m pip download --quiet --dest "$folder/wheels" --requirement "$source/requirements.txt" \
    --constraint "$source/constraints.txt" setuptools 2>/dev/null || exit 1
rm -rf "$root"
"$ops/30_nspawn.sh" prep "$root" "$folder/root.tar" || exit 1
"$ops/30_nspawn.sh" start "$root" --bind-ro="$folder/wheels:/wheels" --bind-ro="$source:/source" || exit 1
trap '[ -n "${KEEP:-}" ] || "$ops/30_nspawn.sh" stop "$root"' EXIT

install_it >"$folder/install.log" 2>&1
check "install" '[ $? = 0 ] && [ -x "$root$program" ] && [ "$(stat -c %a "$root/etc/$unit/oanda-token")" = 600 ]'
in_it sh -c 'systemd-analyze verify /etc/systemd/system/micro-trader*' 2>"$folder/verify.log"
check "verify says nothing" '[ ! -s "$folder/verify.log" ]'
exposure=$(in_it systemd-analyze security --no-pager $unit.service | tail -1)
check "little exposed: ${exposure#*for }" 'in_it systemd-analyze security --threshold=25 $unit.service >/dev/null'

echo sesame >"$root/etc/$unit/oanda-token"
cat >"$root/etc/$unit/env" <<'ENV'
OANDA_ENVIRONMENT=custom
OANDA_REST_URL=http://127.0.0.1:8080
OANDA_STREAM_URL=http://127.0.0.1:8080
OANDA_ACCOUNT=101-004-1000000-001
MICRO_TRADER__SCHEDULE__ENABLED=false
MICRO_TRADER__TRAINING__MINUTES=0.5
ENV
cat >"$root/etc/systemd/system/emulator.service" <<UNIT
[Service]
DynamicUser=yes
StateDirectory=emulator
WorkingDirectory=%S/emulator
Environment=HOME=%S/emulator
ExecStartPre=/bin/sh -c '[ -e EUR_USD-synth.csv.gz ] || $program ticks synth regime EUR_USD-synth.csv.gz --bars 20000'
ExecStart=$program emulator --ticks EUR_USD-synth.csv.gz --speed 2000x --loop --port 8080 --token sesame --state account.db
ExecStartPost=/bin/sh -c 'until grep -q ":1F90 .* 0A " /proc/net/tcp; do sleep 1; done'
TimeoutStartSec=300
UNIT
in_it systemctl daemon-reload
in_it systemctl start emulator

begun=$SECONDS
in_it systemctl start $unit
check "start returns, after READY=1 ($((SECONDS - begun)) s with kernels to compile)" \
    '[ $? = 0 ] && journal | has "\"event\": \"started\"" && [ "$(property ActiveState)" = active ]'
check "status text" '[ "$(property StatusText)" = "trading in mode paper" ]'
check "kernels in the cache directory" '[ -n "$(find "$root/var/cache/private/$unit" -name "*.nbc" | head -1)" ]'
pid=$(property MainPID)
check "a user of its own" '[ "$(in_it stat -c %u /proc/$pid)" -ge 61184 ]'
check "no token in its environment" '! in_it cat /proc/$pid/environ | tr "\0" "\n" | has sesame'

sed -i 's/^max_daily_loss = .*/max_daily_loss = 123.0/' "$root/etc/$unit/config.toml"
in_it systemctl reload $unit
check "reload" 'wait_for 10 "journal | has \"\\\"taken\\\": ..risk\"" && [ "$(property MainPID)/$(property SubState)" = $pid/running ]'
cp "$root/etc/$unit/config.toml" "$folder/config.toml"
echo 'nonsense = 1' >>"$root/etc/$unit/config.toml"
in_it systemctl reload $unit
check "a mistake in the config is an error in the journal, and it goes on" \
    'wait_for 10 "journal -p err | has nonsense" && [ "$(property MainPID)/$(property SubState)" = $pid/running ]'
check "what is no error is none in the journal" '! journal -p warning | has "\"level\": \"info\""'
cat "$folder/config.toml" >"$root/etc/$unit/config.toml"

wait_for 30 '[ "$(decided "$runs")" -gt 20 ]'
pid=$(property MainPID)
in_it systemctl kill --signal=STOP $unit
begun=$SECONDS
check "a hang is ended by the watchdog, and it starts again" 'wait_for 240 "anew $pid" && journal | has "Watchdog timeout"'
echo "      after $((SECONDS - begun)) s"
wait_for 30 '[ "$(decided "$runs")" -gt 20 ]'
pid=$(property MainPID) kept=$(run) before=$(decided "$runs") begun=$SECONDS  # other limits since the reload: another run
in_it systemctl kill --signal=KILL --kill-whom=main $unit
check "kill -9: it starts again" 'wait_for 120 "anew $pid"'
echo "      after $((SECONDS - begun)) s"
check "it recovers: the same run, and no decision lost" '[ "$(run)" = "$kept" ] && [ "$(decided "$runs")" -ge "$before" ]'

# Timers. There is something to learn from once the market's days have passed.
wait_for 600 '[ "$(find "$root/var/lib/private/$unit/ticks" -name "EUR_USD*.zst" | wc -l)" -ge 8 ]'
for job in train validate; do
    mkdir -p "$root/etc/systemd/system/$unit-$job.timer.d"
    printf '[Timer]\nOnCalendar=\nOnActiveSec=2\nRandomizedDelaySec=0\nPersistent=no\n' >"$root/etc/systemd/system/$unit-$job.timer.d/now.conf"
    in_it systemctl daemon-reload
    in_it systemctl start $unit-$job.timer
    check "timer: $job is done" 'unit_of=$unit-$job wait_for 900 "journal | has \"\\\"event\\\": \\\"job_ended\\\"\"" && unit_of=$unit-$job journal | has "\"outcome\": \"done\""'
    in_it systemctl stop $unit-$job.timer
    rm -r "$root/etc/systemd/system/$unit-$job.timer.d"
done
in_it systemctl daemon-reload
in_it systemctl enable --quiet --now $unit-train.timer $unit-validate.timer
check "timers wait for Saturday" '[ "$(in_it systemctl list-timers --no-pager | grep -c "Sat .*$unit-[tv]")" = 2 ]'
check "a candidate with a verdict" '[ -n "$(find "$root/var/lib/private/$unit/validations" -name report.html)" ]'

pid=$(property MainPID) kept=$(run)
install_it >"$folder/upgrade.log" 2>&1
check "upgrade: restarted, config kept" '[ $? = 0 ] && anew $pid && grep -q "max_daily_loss = 123.0" "$root/etc/$unit/config.toml"'
check "upgrade: the run goes on" '[ "$(run)" = "$kept" ]'

begun=$(date +%s%N)
in_it systemctl stop $unit
took=$((($(date +%s%N) - begun) / 1000000))
check "stop is clean and quick ($took ms)" '[ "$(property Result)/$(property ExecMainStatus)" = success/0 ] && [ $took -lt 3000 ]'
state=/var/lib/private/$unit
cp "$root$state/journal.db" "$folder/journal.db" && rm "$root$state"/journal.db* && cp "$folder/journal.db" "$root$state/"
in_it chown -R --reference=$state $state
in_it systemctl start $unit
check "a journal put back: the run goes on" '[ "$(run)" = "$kept" ] && [ "$(property ActiveState)" = active ]'
in_it systemctl stop $unit
echo 'nonsense = 1' >>"$root/etc/$unit/config.toml"
in_it systemctl start $unit 2>/dev/null
check "a mistake in the config ends it, and it is not started again" \
    'sleep 4; [ "$(property ExecMainStatus)/$(property ActiveState)" = 2/failed ] && [ "$(property NRestarts)" = 0 ]'

in_it /source/systemd/install remove >"$folder/remove.log" 2>&1
check "uninstall: the program is gone, config and state are kept" \
    '[ ! -e "$root/opt/$unit" ] && ! ls "$root"/etc/systemd/system/$unit* >/dev/null 2>&1 && [ -e "$root/var/lib/private/$unit/journal.db" ]'
echo "$passed passed, $failed failed"
[ $failed = 0 ]
