# Steps with processes of one role each, on the engines that one process used before. Sourced by scripts/test-compose.

scale_out() {
    printf '%s\n' DEPLOY_WORKER_PROCESSES=2 DEPLOY_INGEST_PROCESSES=2 >>"$place/deploy/.env"
    compose up -d
    healthy "${engines[@]}" api worker ingest
    local service
    [ -z "$(containers eyeline)" ] || fail "the process with all roles still runs"
    for service in api worker ingest; do
        [ "$(containers $service | wc -l)" = 2 ] || fail "$(containers $service | wc -l) processes of $service"
    done
    await 30 "no page through the balancer" is_first "$oldest"
    counted clicks $clicks
    [ "$(curl -s -o /dev/null -w '%{http_code}' $host/metrics)" = 404 ] || fail "the balancer shows metrics"
}
# Where each api process answers.
addresses() {
    local one
    for one in $(containers api); do
        docker inspect --format 'http://{{(index .NetworkSettings.Networks "eyeline_balanced").IPAddress}}:8009/api/v1' "$one"
    done
}
scaled_job() {
    upload hello.jpg image/jpeg
    is_in_bucket "$link" || fail "the link leads to $(jq -r .upload_link <<<"$link")"
    click "no event through the balancer"
    counted clicks $clicks
    # An event through each process at once, and again through the other one: it counts once.
    local ways id n
    mapfile -t ways < <(addresses)
    for n in 1 2 3 4 5 6; do
        clicks=$((clicks + 1)) id=$(id_of $((0x10000 + clicks)))
        [ "$(event click "$id" "${ways[n % 2]}")" = 201 ] || fail "an event was refused"
        [[ $(event click "$id" "${ways[(n + 1) % 2]}") == 20[01] ]] || fail "a repeated event was refused"
    done
    counted clicks $clicks
}

# Pages of a gallery by cursor, from one api process and the other in turn, while its last image rises to the top.
rows=400
walk() {
    local gallery oldest ways cursor='' n=0 answer
    mapfile -t ways < <(addresses)
    gallery=$(ask "$api/galleries" -d "{\"project_id\": \"$project\", \"name\": \"Wide\"}" | jq -r .gallery_id)
    jq -n "[range($rows) | {external_id: \"wide-\(.)\", url: \"https://cdn.example/\(.).jpg\", name: \"\(.)\"}]" |
        ask "$api/galleries/$gallery/dataset" -d @- | jq -e ".created == $rows" >/dev/null || fail "the dataset was refused"
    ask -X POST "$api/galleries/$gallery/refresh" >/dev/null
    : >"$place/seen"
    while :; do
        answer=$(page "?limit=20${cursor:+&cursor=$cursor}" "${ways[n % ${#ways[@]}]}") || fail "page $n was refused"
        jq -e '.restarted != true' <<<"$answer" >/dev/null || fail "the walk began again at page $n"
        jq -r '.items[].image_id' <<<"$answer" >>"$place/seen"
        if [ $n = 5 ]; then
            oldest=$(page "?limit=100&page=4" | jq -r '.items[-1].image_id')
            for id in 1 2 3; do [ "$(event click "$(id_of $((0x900000 + id)))")" = 201 ] || fail "a click was refused"; done
            await 60 "the clicked image did not rise" is_first "$oldest"
        fi
        cursor=$(jq -r '.next_cursor // empty' <<<"$answer")
        n=$((n + 1))
        [ -n "$cursor" ] || break
    done
    [ "$(sort "$place/seen" | uniq -d | wc -l)" = 0 ] || fail "$(sort "$place/seen" | uniq -d | wc -l) images came twice"
    [ "$(wc -l <"$place/seen")" = $rows ] || fail "$(wc -l <"$place/seen") images instead of $rows"
    echo "$n pages, $rows images, each once, while the last one rose to the top"
}

# Every process is replaced while pages, events and photos are asked for, each once: no answer but 2xx.
ask_for_pages() {
    while [ ! -e "$place/enough" ]; do
        echo "page $(curl -s --max-time 15 -o /dev/null -w '%{http_code}' "$api/galleries/$gallery/images?limit=20" -H "application: $application" || true)"
        sleep 0.05
    done >"$place/pages"
}
ask_for_events() {
    local n=$clicks
    while [ ! -e "$place/enough" ]; do
        n=$((n + 1))
        echo "event $(event click "$(id_of $((0x10000 + n)))")"
        sleep 0.05
    done >"$place/events"
}
ask_for_photos() {
    while [ ! -e "$place/enough" ]; do
        ask_link hello.jpg && send_file hello.jpg image/jpeg && ask -X POST "$api/images/$image/complete" >/dev/null || echo "photo lost"
        echo "$image" >>"$place/rolled"
        sleep 0.5
    done >"$place/photos" 2>&1
}
roll() {
    local loads=() one
    rm -f "$place/enough" "$place/rolled"
    for one in pages events photos; do ask_for_$one & loads+=($!); done
    (cd "$place/deploy" && ./roll)
    touch "$place/enough"
    wait "${loads[@]}"
    echo "meanwhile $(wc -l <"$place/pages") pages, $(wc -l <"$place/events") events, $(wc -l <"$place/rolled") photos"
    if grep -Ehv '^page 200$|^event 201$' "$place/pages" "$place/events" "$place/photos" >"$place/wrong"; then
        fail "$(sort "$place/wrong" | uniq -c | head -n 20)"
    fi
    clicks=$((clicks + $(wc -l <"$place/events")))
    counted clicks $clicks
    while read -r one; do await 120 "the photo $one has no versions" is_done "$one"; done <"$place/rolled"
    for one in api worker ingest; do
        [ "$(containers $one | wc -l)" = 2 ] || fail "$(containers $one | wc -l) processes of $one"
    done
}
