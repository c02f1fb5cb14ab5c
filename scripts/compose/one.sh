# Steps with one process on the engines of deploy/compose.yaml. Sourced by scripts/test-compose.

secrets=(EYELINE_ADMIN_KEY EYELINE_SECRET POSTGRES_PASSWORD NATS_PASSWORD VALKEY_PASSWORD GARAGE_KEY_ID GARAGE_SECRET_KEY GARAGE_RPC_SECRET)
setup() {
    local told secret
    ! told=$(compose config 2>&1) || fail "it starts without secrets"
    [[ $told == *setup* || $told == *.env* ]] || fail "without secrets it does not say what to do: $told"
    "$place/deploy/setup"
    cp "$place/deploy/.env" "$place/first"
    "$place/deploy/setup" >/dev/null
    cmp "$place/first" "$place/deploy/.env" || fail "a second setup changed .env"
    [ "$(stat -c %a "$place/deploy/.env")" = 600 ] || fail "others can read .env"
    for secret in "${secrets[@]}"; do
        grep -Eq "^$secret=(eyl_admin_[0-9a-f]{64}|GK[0-9a-f]{24}|[0-9a-f]{64})$" "$place/deploy/.env" || fail "$secret was not made"
    done
    [ "$(sed -n 's/^[A-Z_]*=\(.*[0-9a-f]\{24\}\)$/\1/p' "$place/deploy/.env" | sort -u | wc -l)" = ${#secrets[@]} ] || fail "two secrets are alike"
    compose config >/dev/null
}
build() {
    compose build
    docker build --quiet -t eyeline-haproxy:test -f "$place/deploy/test/haproxy.Dockerfile" "$place/deploy/test"
    docker image ls --format '{{.Repository}}:{{.Tag}} {{.Size}}' | grep :test
}

engines=(postgres garage nats valkey)
start() {
    up=1
    compose up -d
    healthy "${engines[@]}" eyeline
}

# What deploy/compose.yaml says, as the kernel has it.
reaches_out() { docker exec "$1" timeout 5 bash -c 'exec 3<>/dev/tcp/10.0.2.3/53' 2>/dev/null; }
walls() {
    local id pid service
    id=$(container eyeline)
    for service in eyeline garage nats valkey; do
        pid=$(pid_of "$(container $service)")
        grep -q '^CapEff:\s*0*$' "/proc/$pid/status" || fail "$service has capabilities"
        grep -q '^NoNewPrivs:\s*1$' "/proc/$pid/status" || fail "$service may get new privileges"
        grep -q '^Seccomp:\s*2$' "/proc/$pid/status" || fail "Docker's own filter of system calls is off for $service"
        ! docker exec "$(container $service)" touch /etc/x 2>/dev/null || fail "$service can write its own layer"
    done
    [ "$(stat -c %u "/proc/$(pid_of "$id")")" = 10001 ] || fail "eyeline runs as $(stat -c %u "/proc/$(pid_of "$id")")"
    reaches_out "$id" || fail "eyeline does not reach the gateway, so that the next check would prove nothing"
    for service in postgres nats valkey; do
        ! reaches_out "$(container $service)" || fail "the back network has a way out for $service"
    done
    for service in nats valkey; do
        pid=$(pid_of "$(container $service)")
        ! tr '\0' ' ' <"/proc/$pid/cmdline" | grep -Eq 'requirepass|[0-9a-f]{64}' || fail "a list of processes shows the password of $service"
    done
}

# The kernel's answer to landlock_create_ruleset(NULL, 0, VERSION): a version, or why not.
LANDLOCK='my $version = syscall(444, 0, 0, 1); print $version < 0 ? "$!" : $version'
doctor() { # doctor SERVICE: every promise holds, and the sandbox is as good as outside of containers.
    local found outside inside name
    compose exec -T "$1" eyeline doctor || fail "a promise does not hold"
    found=$(compose exec -T "$1" eyeline doctor --json)
    outside=$(EYELINE_DATA=$place/outside "$binary" doctor --json 2>/dev/null || true)
    for name in worker.seccomp worker.landlock worker.limits sql_worker.seccomp sql_worker.landlock sql_worker.limits; do
        inside=$(jq -ce --arg name $name '.checks[] | select(.name == $name) | [.verdict, .found]' <<<"$found") || fail "nobody looked at $name"
        [ "$inside" = "$(jq -c --arg name $name '.checks[] | select(.name == $name) | [.verdict, .found]' <<<"$outside")" ] ||
            fail "the container changes $name: $inside"
    done
    # Also where the kernel lacks Landlock: Docker must not be what denies it.
    [ "$(perl -e "$LANDLOCK")" = "$(docker exec "$(container "$1")" perl -e "$LANDLOCK")" ] || fail "Docker denies Landlock"
    jq -e '. as $found | ["worker.heif", "catalog.version", "cache.version", "objects.probe", "objects.private", "objects.cors", "inbox.fsync"]
            | all(. as $name | any($found.checks[]; .name == $name and .verdict == "holds"))' <<<"$found" >/dev/null ||
        fail "something was not looked at, or does not hold"
    jq -e 'any(.checks[]; .name | startswith("inbox."))
        and [.checks[] | select(.verdict != "holds") | .name] - ["worker.landlock", "sql_worker.landlock", "settings.public_url", "open_files", "inbox.replicas"] == []' \
        <<<"$found" >/dev/null || fail "not everything holds: $(jq -c '[.checks[] | select(.verdict != "holds")]' <<<"$found")"
}

photos() {
    make_shop
    upload hello.jpg image/jpeg
    is_in_bucket "$link" || fail "the link leads to $(jq -r .upload_link <<<"$link")"
    oldest=$image
    upload fuzz/seeds/pipeline/420.heic image/heic
    upload fuzz/seeds/pipeline/420.avif image/avif
    ask "$api/galleries/$gallery/dataset" -d '[{"external_id": "sku-1", "url": "https://cdn.example/1.jpg", "name": "Red shoes"}]' |
        jq -e '.created == 1 and .rejected_count == 0' >/dev/null || fail "the dataset was refused"
    curl -sS --fail --max-time 10 -o "$place/thumb" "$(ask "$api/images/$oldest" | jq -r '.versions.thumb')"
    [ "$(head -c 2 "$place/thumb" | od -An -tx1)" = ' ff d8' ] || fail "the thumb is no JPEG"
    # The original comes from the bucket, byte for byte; nobody reads it without the signature.
    local original
    original=$(ask "$api/images/$oldest" | jq -r '.versions.original')
    curl -sS --fail --max-time 10 "$original" | cmp - hello.jpg || fail "the original is another file"
    [ "$(curl -s -o /dev/null -w '%{http_code}' "${original%%\?*}")" = 403 ] || fail "an original is read without a signature"
}
by_browser() { # by_browser NUMBER: of the picture
    node scripts/compose/upload.mjs "$host" "$key" "$project" "$gallery" http://localhost:3900 "$1"
}
order() {
    is_first "$oldest" && fail "the oldest photo was first before anybody clicked it"
    [ "$(event view "$(id_of 1)")" = 201 ] || fail "the view was refused"
    [ "$(event click "$(id_of $((0x10001)))")" = 201 ] || fail "the click was refused"
    clicks=1
    await 30 "a click did not change the order" is_first "$oldest"
    counted clicks 1
    ask "$api/analytics/sql" -d "{\"project_id\": \"$project\", \"query\": \"SELECT count(*) AS n FROM events\"}" |
        jq -e '.rows == [{"n": 2}]' >/dev/null || fail "SQL found other events"
}
again() {
    compose restart >/dev/null 2>&1
    healthy "${engines[@]}" eyeline
    is_first "$oldest" || fail "the order is another one after the restart"
    counted clicks $clicks
    thumb_is_there "$oldest"
}

# Each engine is away for a while: what needs it says 503 with Retry-After, and the rest goes on.
refuses() { # refuses KEY CURL...
    local answer
    answer=$(curl -sS --max-time 30 -i -H "Authorization: Bearer $1" -H 'Content-Type: application/json' "${@:2}" | tr -d '\r')
    [[ $answer == 'HTTP/1.1 503 '* ]] && grep -qi '^retry-after: [0-9]' <<<"$answer" || fail "no 503 with Retry-After: $answer"
}
away() { compose stop "$1" >/dev/null 2>&1; }
back() { compose start "$1" >/dev/null 2>&1; healthy "$1"; }
click() { # One more, which is acknowledged.
    clicks=$((clicks + 1))
    [ "$(event click "$(id_of $((0x10000 + clicks)))")" = 201 ] || fail "$1"
}
without_engines() {
    away valkey
    is_first "$oldest" || fail "no page without the cache"
    click "no event without the cache"
    compose exec -T eyeline /opt/eyeline/is-ready >/dev/null || fail "not ready without the cache"
    back valkey

    away garage
    is_first "$oldest" || fail "no page without the bucket"
    click "no event without the bucket"
    ! compose exec -T eyeline /opt/eyeline/is-ready >/dev/null || fail "ready without the bucket"
    curl -s --max-time 20 $host/readyz | jq -e '.engines | any(.name == "objects" and (.reachable | not))' >/dev/null || fail "nothing names the bucket"
    back garage

    away nats
    is_first "$oldest" || fail "no page without the inbox"
    refuses "$secret_key" "$api/events" -d "{\"session_id\": \"e2085be5-9137-4e4e-80b5-f1ffddc25423\", \"category\": \"page\",
        \"name\": \"seen\", \"data\": {}, \"timestamp\": \"$(now)\"}"
    back nats

    away postgres
    refuses "$key" "$api/projects"
    back postgres
    healthy eyeline
    click "no event once every engine is back"
    counted clicks $clicks
    upload hello.jpg image/jpeg
}

# As docs/deploy.md says.
back_up_and_restore() {
    compose stop >/dev/null 2>&1
    compose run --rm -T tar -c postgres garage nats >"$place/volumes.tar"
    compose down --volumes --timeout 30 >/dev/null 2>&1
    ! docker volume ls -q | grep . || fail "a volume is left"
    piped run --rm -T tar -x <"$place/volumes.tar"
    start >/dev/null 2>&1
    await 30 "the order is another one after the restore" is_first "$oldest"
    counted clicks $clicks
    thumb_is_there "$oldest"
    click "no event after the restore"
    counted clicks $clicks
}

down() {
    compose down --volumes --timeout 30
    up=
    [ -z "$(docker ps -aq)" ] || fail "a container is left"
    [ -z "$(docker volume ls -q)" ] || fail "a volume is left"
}

# deploy/compose.small.yaml: one process, one volume.
small() {
    up=1
    compose up -d
    healthy eyeline
    make_shop
    upload hello.jpg image/jpeg
    [[ $(jq -r .upload_link <<<"$link") == "$host"/* ]] || fail "the link leads to $(jq -r .upload_link <<<"$link")"
    oldest=$image
    upload fuzz/seeds/pipeline/420.avif image/avif
    [ "$(event click "$(id_of 1)")" = 201 ] || fail "the click was refused"
    await 30 "a click did not change the order" is_first "$oldest"
    compose restart >/dev/null 2>&1
    healthy eyeline
    is_first "$oldest" || fail "the order is another one after the restart"
    compose exec -T eyeline eyeline doctor || fail "a promise does not hold"
}
