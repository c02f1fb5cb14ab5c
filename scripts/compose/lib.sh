# What the steps of scripts/test-compose share. Sourced; `place` is the copy of the folder deploy.

fail() { printf 'test-compose: %s\n' "$*" >&2; exit 1; }
summary=()
step() { # step NAME COMMAND...
    local name=$1 begin=${EPOCHREALTIME/./} took
    shift
    printf '\n=== %s\n' "$name"
    "$@"
    took=$(((${EPOCHREALTIME/./} - begin) / 1000))
    summary+=("$(printf '%-44s %4d.%01d s' "$name" $((took / 1000)) $((took % 1000 / 100)))")
}
await() { # await SECONDS WHAT COMMAND...: repeats the command until it succeeds
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ $SECONDS -lt $end ] || fail "$what"
        sleep 0.1
    done
}

# --- Containers

if docker compose version >/dev/null 2>&1; then plugin=(docker compose); else plugin=(docker-compose); fi
piped() { (cd "$place/deploy" && "${plugin[@]}" "$@"); }
compose() { piped "$@" </dev/null; }
containers() { compose ps -q "$1"; }
container() { containers "$1" | head -n 1; }
pid_of() { docker inspect --format '{{.State.Pid}}' "$1"; }
state() { docker inspect --format '{{.State.Status}} {{with .State.Health}}{{.Status}}{{end}}' $(containers "$1") | sort -u; }
is_healthy() { now=$(state "$1" 2>&1) && [ "$now" = 'running healthy' ]; }
healthy() { # healthy SERVICE...: every container of each, within 180 s
    local service now
    for service; do await 180 "$service is not healthy" is_healthy "$service"; done
}

# --- The API

host=http://localhost:8009
api=$host/api/v1
ask() { curl -sS --fail-with-body --max-time 60 -H "Authorization: Bearer $key" -H 'Content-Type: application/json' "$@"; }
now() { date -u +%FT%T.%6NZ; }

ask_link() { # ask_link FILE: sets `link` to the answer, and `image`
    local body="{\"project_id\": \"$project\", \"gallery_id\": \"$gallery\", \"filename\": \"$(basename "$1")\"}"
    link=$(ask "$api/images" -d "$body") && image=$(jq -re .image_id <<<"$link")
}
send_file() { # send_file FILE TYPE: to `link`, which leads to the bucket
    local fields=() field
    while read -r field; do fields+=(--form-string "$field"); done < <(jq -r '.params.fields | to_entries[] | "\(.key)=\(.value)"' <<<"$link")
    curl -sS --fail-with-body --max-time 60 -o /dev/null "${fields[@]}" -F "file=@$1;type=$2" "$(jq -r .upload_link <<<"$link")"
}
is_in_bucket() { [[ $(jq -r .upload_link <<<"$1") == http://localhost:3900/* ]]; }
is_done() { # is_done IMAGE
    local state
    state=$(ask "$api/images/$1" 2>/dev/null | jq -r .state) || return 1
    [ "$state" != error ] || fail "$1: $(ask "$api/images/$1")"
    [ "$state" = done ]
}
upload() { # upload FILE TYPE: sets `image`
    ask_link "$1"
    send_file "$1" "$2"
    ask -X POST "$api/images/$image/complete" >/dev/null
    await 60 "$1 has no versions" is_done "$image"
}
make_shop() { # Sets `key`, `project`, `gallery`, `application` and `secret_key`.
    key=$(sed -n 's/^EYELINE_ADMIN_KEY=//p' "$place/deploy/.env")
    project=$(ask "$api/projects" -d '{"name": "Shop"}' | jq -r .project_id)
    gallery=$(ask "$api/galleries" -d "{\"project_id\": \"$project\", \"name\": \"Home\"}" | jq -r .gallery_id)
    application=$(ask "$api/applications" -d "{\"project_id\": \"$project\", \"name\": \"Site\"}")
    secret_key=$(jq -r .secret_key <<<"$application")
    application=$(jq -r .application_id <<<"$application")
}

id_of() { printf '0198c0de-0000-7000-8000-%012x' "$1"; }
event() { # event NAME ID [ADDRESS]: the status of the answer
    local body
    body="{\"event_id\": \"$2\", \"session_id\": \"e2085be5-9137-4e4e-80b5-f1ffddc25423\", \"category\": \"gallery\", \"name\": \"$1\",
        \"data\": {\"gallery_id\": \"$gallery\", \"image_id\": \"$oldest\"}, \"timestamp\": \"$(now)\"}"
    curl -s --max-time 15 -o /dev/null -w '%{http_code}' "${3:-$api}/events" -H "Authorization: Bearer $secret_key" \
        -H 'Content-Type: application/json' -d "$body" || true
}
page() { curl -sS --fail --max-time 15 "${2:-$api}/galleries/$gallery/images$1" -H "application: $application"; }
first() { page '' | jq -r '.items[0].image_id'; }
is_first() { [ "$(first 2>/dev/null)" = "$1" ]; }
has() { have=$(ask "$api/galleries/$gallery/images/$oldest" 2>/dev/null | jq ".$1") && [ "$have" = "$2" ]; }
counted() { # counted FIELD N: the oldest photo has N of it, within 150 s
    local have
    await 150 "the oldest photo has not $2 $1" has "$1" "$2"
}
thumb_is_there() { curl -sS --fail --max-time 15 -o /dev/null "$(ask "$api/images/$1" | jq -r '.versions.thumb')"; }

# --- Load, in processes of its own. `clicks` says how many were acknowledged in all; ids of events go on.

clicks=0
send_clicks() { # send_clicks N: each is sent again until it is acknowledged
    local n id end status
    for ((n = 1; n <= $1; n++)); do
        id=$(id_of $((0x10000 + clicks + n)))
        end=$((SECONDS + 180))
        until status=$(event click "$id") && [[ $status == 20[01] ]]; do
            [ $SECONDS -lt $end ] || exit 1
            echo "$status" >>"$place/refused"
            sleep 0.1
        done
        echo "$id" >>"$place/acknowledged"
        sleep 0.04
    done
}
send_photos() { # Until $place/enough exists; each step is repeated until it is acknowledged
    while [ ! -e "$place/enough" ]; do
        await 180 "no link for a photo" ask_link hello.jpg 2>>"$place/refusals"
        await 180 "the bucket took no photo" send_file hello.jpg image/jpeg 2>>"$place/refusals"
        await 180 "a photo was not taken in" ask -o /dev/null -X POST "$api/images/$image/complete" 2>>"$place/refusals"
        echo "$image" >>"$place/sent"
        sleep 0.3
    done
}
# under_load CLICKS SERVICE...: kill -9 of one container of each while clicks and photos are sent; nothing acknowledged is lost.
under_load() {
    local more=$1 sender uploader service at=0 one pid photo
    shift
    rm -f "$place/enough"
    for one in refused refusals acknowledged sent; do : >"$place/$one"; done
    send_clicks "$more" & sender=$!
    send_photos & uploader=$!
    for service; do
        at=$((at + more / ($# + 1)))
        while [ "$(wc -l <"$place/acknowledged")" -lt $at ]; do
            kill -0 $sender 2>/dev/null || fail "the sender ended early"
            sleep 0.02
        done
        one=$(container "$service") pid=$(pid_of "$(container "$service")")
        kill -9 "$pid"
        echo "killed $service after $(wc -l <"$place/acknowledged") clicks and $(wc -l <"$place/sent") photos"
        await 60 "$service was not started again" is_another "$one" "$pid"
        healthy "$service"
    done
    wait $sender || fail "a click was not taken"
    touch "$place/enough"
    wait $uploader || fail "a photo was not taken: $(tail -n 5 "$place/refusals")"
    clicks=$((clicks + more))
    while read -r photo; do await 120 "the photo $photo has no versions" is_done "$photo"; done <"$place/sent"
    counted clicks $clicks
    await 30 "the clicked photo is not first" is_first "$oldest"
    echo "$more clicks and $(wc -l <"$place/sent") photos, all there; $(wc -l <"$place/refused") tries of clicks got no 2xx" \
        "($(sort "$place/refused" | uniq -c | awk '{printf "%s%s times %s", sep, $1, $2; sep = ", "}'))," \
        "$(grep -c '^curl' "$place/refusals" || true) of photos"
}
is_another() { # is_another CONTAINER PID: it runs, and not as PID
    local now
    now=$(pid_of "$1") && [ "$now" != 0 ] && [ "$now" != "$2" ]
}
