//! Acceptance of events: valid ones, invalid ones, and the stored form.

use eyeline_core::event::{
    ActKind, DATA_BYTES_MAX, DATA_DEPTH_MAX, GalleryAct, ImageRef, Replay, SchemaMark, Served, Source, TEXT_CHARS_MAX,
};
use eyeline_core::{ApplicationId, Envelope, Event, EventId, FieldErrors, GalleryId, ImageId, ProjectId, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

const SESSION: &str = "e2085be5-9137-4e4e-80b5-f1ffddc25423";
const GALLERY: &str = "0197a2c4-0000-7000-8000-000000000001";
const IMAGE: &str = "0197a2c4-0000-7000-8000-000000000002";

fn now() -> Timestamp {
    Timestamp::parse("2026-11-21T12:00:00Z").expect("a time")
}

fn sample() -> Value {
    json!({
        "session_id": SESSION, "category": "page interaction", "name": "pageview",
        "data": {"host": "www.example.com", "path": "/"}, "timestamp": "2021-01-01 09:15:27.243860"
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut event = sample();
    event[field] = value;
    event
}

fn gallery_event(name: &str, data: Value) -> Value {
    let mut event = sample();
    event["category"] = json!("gallery");
    event["name"] = json!(name);
    event["data"] = data;
    event
}

fn parse(event: &Value) -> Result<Envelope, FieldErrors> {
    Envelope::parse(event.to_string().as_bytes(), now())
}

fn fields(errors: &FieldErrors) -> Vec<&str> {
    errors.iter().map(|(field, _)| field.as_str()).collect()
}

fn refused(event: &Value) -> Vec<String> {
    let errors = parse(event).expect_err(&format!("{event} should be refused"));
    fields(&errors).into_iter().map(str::to_owned).collect()
}

#[test]
fn the_sample_of_the_contract_is_taken() {
    let envelope = parse(&sample()).expect("the sample");
    assert_eq!(envelope.session_id.to_string(), SESSION);
    assert_eq!((envelope.category.as_str(), envelope.name.as_str()), ("page interaction", "pageview"));
    assert_eq!(envelope.timestamp.to_string(), "2021-01-01T09:15:27.243860Z");
    assert_eq!(envelope.event_id, None);
    assert_eq!(envelope.act, None);
}

#[test]
fn everything_that_is_missing_is_told_at_once() {
    assert_eq!(refused(&json!({})), ["category", "data", "name", "session_id", "timestamp"]);
    assert_eq!(
        refused(&json!({"session_id": null, "name": "x", "data": {}, "timestamp": "2021-01-01 00:00:00"})),
        ["category", "session_id"]
    );
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let event = json!({
        "event_id": 5, "session_id": "me", "visitor_id": [], "category": "", "name": 7, "data": [1], "timestamp": "now"
    });
    assert_eq!(refused(&event), ["category", "data", "event_id", "name", "session_id", "timestamp", "visitor_id"]);
}

#[test]
fn what_is_no_object_at_all_is_told_for_the_body() {
    for body in ["", "  ", "[]", "5", "{", "{}}", "{\"session_id\": }", "{\"a\": \"\u{1}\"}", "\u{feff}{}"] {
        let errors = Envelope::parse(body.as_bytes(), now()).expect_err(body);
        assert_eq!(fields(&errors), ["body"], "{body:?}");
    }
    let errors = Envelope::parse(b"{\"data\": {\"a\": \"\xff\"}}", now()).expect_err("not UTF-8");
    assert_eq!(fields(&errors), ["body"]);
}

#[test]
fn data_is_kept_byte_for_byte() {
    let data = r#"{ "b":1.0,  "a":"\u00e9é" , "big":123456789012345678901234567890, "a2":null}"#;
    let body = sample().to_string().replace(r#"{"host":"www.example.com","path":"/"}"#, data);
    assert!(body.contains(data));
    assert_eq!(&*Envelope::parse(body.as_bytes(), now()).expect("an event").data, data);
}

#[test]
fn text_that_postgresql_cannot_keep_is_refused_wherever_it_stands() {
    for field in ["category", "name", "visitor_id", "place"] {
        assert_eq!(refused(&with(field, json!("a\0b"))), [field]);
    }
    for data in [json!({"a": "\0"}), json!({"\0": 1}), json!({"a": [{"b": "x\0"}]})] {
        assert_eq!(refused(&with("data", data)), ["data"]);
    }
    assert!(parse(&with("data", json!({"a": "\\u0000 spelled out"}))).is_ok());
}

#[test]
fn data_that_other_readers_would_choke_on_is_refused() {
    let sentences = |data: &str| {
        let body = sample().to_string().replace(r#"{"host":"www.example.com","path":"/"}"#, data);
        Envelope::parse(body.as_bytes(), now())
    };
    for data in [
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\udc00x"}"#,
        r#"{"a":"\ud800\u0041"}"#,
        r#"{"\udfff":1}"#,
        r#"{"a":1e999}"#,
        r#"{"a":[-1e999]}"#,
        &format!(r#"{{"a":{}}}"#, "9".repeat(400)),
    ] {
        assert_eq!(fields(&sentences(data).expect_err(data)), ["data"], "{data}");
    }
    for data in [r#"{"a":"\ud83d\ude00"}"#, r#"{"a":1e300,"b":-0.0E-5}"#, r#"{"a":"\\ud800"}"#, "{}"] {
        assert!(sentences(data).is_ok(), "{data}");
    }
}

#[test]
fn data_is_bounded_in_depth_and_size() {
    let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({"a": inner}));
    assert!(parse(&with("data", nested(DATA_DEPTH_MAX))).is_ok());
    assert_eq!(refused(&with("data", nested(DATA_DEPTH_MAX + 1))), ["data"]);
    let hostile = format!("{{\"data\":{}", "[".repeat(1_000_000));
    assert!(Envelope::parse(hostile.as_bytes(), now()).is_err());
    let sized = |bytes: usize| json!({"a": "x".repeat(bytes - r#"{"a":""}"#.len())});
    assert!(parse(&with("data", sized(DATA_BYTES_MAX))).is_ok());
    assert_eq!(refused(&with("data", sized(DATA_BYTES_MAX + 1))), ["data"]);
}

#[test]
fn texts_are_bounded_in_characters_not_bytes() {
    assert!(parse(&with("name", json!("ü".repeat(TEXT_CHARS_MAX)))).is_ok());
    assert_eq!(refused(&with("name", json!("ü".repeat(TEXT_CHARS_MAX + 1)))), ["name"]);
}

#[test]
fn any_past_is_taken_and_a_clock_a_day_ahead_is_not() {
    for time in ["1907-05-01T00:00:00Z", "2026-11-22T12:00:00Z", "2026-11-22T13:30:00+02:00"] {
        assert!(parse(&with("timestamp", json!(time))).is_ok(), "{time}");
    }
    for time in ["2026-11-22T12:00:00.000001Z", "2031-01-01 00:00:00"] {
        assert_eq!(refused(&with("timestamp", json!(time))), ["timestamp"], "{time}");
    }
}

#[test]
fn a_server_may_say_who_the_visitor_is() {
    let client = |client| parse(&with("client", client)).expect("an event").client;
    let said = client(json!({"ip": "198.51.100.7", "user_agent": "Firefox"})).expect("a client");
    assert_eq!((said.address.to_string().as_str(), said.user_agent.as_deref()), ("198.51.100.7", Some("Firefox")));
    assert_eq!(client(json!({"ip": "2001:db8::1"})).expect("a client").user_agent, None);
    assert_eq!(client(Value::Null), None);
    assert_eq!(refused(&with("client", json!("me"))), ["client"]);
    assert_eq!(refused(&with("client", json!({"user_agent": 1}))), ["client.ip", "client.user_agent"]);
}

#[test]
fn a_view_and_a_click_of_a_gallery_are_read() {
    let by_id = json!({"gallery_id": GALLERY, "image_id": IMAGE, "position": 3, "order_id": IMAGE});
    let act = parse(&gallery_event("view", by_id)).expect("a view").act.expect("an act");
    let gallery_id: GalleryId = GALLERY.parse().expect("an id");
    let image_id: ImageId = IMAGE.parse().expect("an id");
    assert_eq!(act, GalleryAct { kind: ActKind::View, gallery_id, image: ImageRef::Id(image_id) });

    let by_external_id = json!({"gallery_id": GALLERY, "external_id": "sku-1"});
    let act = parse(&gallery_event("click", by_external_id)).expect("a click").act.expect("an act");
    assert_eq!(act, GalleryAct { kind: ActKind::Click, gallery_id, image: ImageRef::External("sku-1".to_owned()) });
}

#[test]
fn a_misshapen_gallery_event_is_refused_with_the_path_of_each_field() {
    assert_eq!(refused(&gallery_event("view", json!({}))), ["data.gallery_id", "data.image_id"]);
    let wrong = json!({"gallery_id": 1, "image_id": "x", "external_id": 5, "position": 0, "order_id": "y"});
    assert_eq!(
        refused(&gallery_event("click", wrong)),
        ["data.external_id", "data.gallery_id", "data.image_id", "data.order_id", "data.position"]
    );
}

#[test]
fn other_events_of_the_category_gallery_carry_what_they_like() {
    assert_eq!(parse(&gallery_event("zoomed", json!({"gallery_id": 1}))).expect("an event").act, None);
}

#[test]
fn events_of_a_gallery_share_a_partition_and_so_do_those_of_a_session() {
    let data = json!({"gallery_id": GALLERY, "image_id": IMAGE});
    assert_eq!(parse(&gallery_event("view", data)).expect("a view").partition_key().to_string(), GALLERY);
    assert_eq!(parse(&sample()).expect("an event").partition_key().to_string(), SESSION);
}

fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn events() -> impl Strategy<Value = Event> {
    let ids = prop::array::uniform4(any::<u128>().prop_map(Uuid::from_u128));
    let texts = (any::<String>(), any::<String>(), any::<Option<String>>());
    let schema =
        prop::option::of((any::<u32>(), any::<bool>()).prop_map(|(version, checked)| SchemaMark { version, checked }));
    let replay = prop::option::of((any::<u32>(), any::<i64>(), any::<i64>()).prop_map(|(partition, offset, at)| {
        let at = Timestamp::from_micros(at);
        Replay { partition, offset, at }
    }));
    let times = prop::array::uniform2(any::<i64>());
    let source = prop::option::of(any::<u64>().prop_map(Source::from_bits));
    let served = prop::option::of((any::<u32>(), any::<u16>()).prop_map(|(ordinal, rank)| Served { ordinal, rank }));
    (ids, any::<bool>(), times, texts, json_values(), (schema, replay, source, served)).prop_map(
        |(ids, id_given, [received, stamped], (category, name, visitor_id), data, (schema, replay, source, served))| {
            let [event, project, application, session] = ids;
            Event {
                event_id: EventId(event),
                id_given,
                project_id: ProjectId(project),
                application_id: ApplicationId(application),
                received_at: Timestamp::from_micros(received),
                session_id: session.into(),
                visitor_id,
                category,
                name,
                data: data.to_string().into(),
                timestamp: Timestamp::from_micros(stamped),
                source,
                schema,
                served,
                replay,
            }
        },
    )
}

proptest! {
    #[test]
    fn what_is_taken_can_be_read_by_everybody(data in json_values()) {
        let event = with("data", json!({"inside": data}));
        match parse(&event) {
            Ok(envelope) => {
                let read: Value = serde_json::from_str(&envelope.data).expect("what was taken is JSON");
                prop_assert_eq!(read, serde_json::from_str::<Value>(&event["data"].to_string()).expect("JSON"));
            }
            Err(errors) => {
                prop_assert_eq!(fields(&errors), ["data"]);
                prop_assert!(event["data"].to_string().contains("\\u0000"), "refused without a reason: {}", event);
            }
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _verdict = Envelope::parse(&bytes, now());
    }

    #[test]
    fn no_spoiled_event_makes_the_parser_panic(at in 0usize..220, byte in any::<u8>()) {
        let mut body = with("data", json!({"a": "\u{1f600}\\ \" \u{e9}", "b": [1.5e3, {}]})).to_string().into_bytes();
        let length = body.len();
        body[at % length] = byte;
        let _verdict = Envelope::parse(&body, now());
    }

    #[test]
    fn a_stored_event_reads_back_as_it_was(event in events()) {
        prop_assert_eq!(Event::decode(&event.encode()), Some(event));
    }

    #[test]
    fn a_cut_or_foreign_record_is_no_event(event in events(), cut in 1usize..40) {
        let record = event.encode();
        prop_assert_eq!(Event::decode(&record[..record.len() - cut.min(record.len())]), None);
        let mut longer = record.clone();
        longer.push(0);
        prop_assert_eq!(Event::decode(&longer), None);
        let mut foreign = record;
        foreign[0] = 0;
        prop_assert_eq!(Event::decode(&foreign), None);
    }
}

/// The event of the stored records of each layout.
fn recorded() -> Event {
    Event {
        event_id: EventId(Uuid::from_u128(1)),
        id_given: true,
        project_id: ProjectId(Uuid::from_u128(2)),
        application_id: ApplicationId(Uuid::from_u128(3)),
        received_at: Timestamp::from_micros(5),
        session_id: Uuid::from_u128(4).into(),
        visitor_id: Some("v".to_owned()),
        category: "c".to_owned(),
        name: "n".to_owned(),
        data: "{}".into(),
        timestamp: Timestamp::from_micros(6),
        source: None,
        schema: None,
        served: None,
        replay: None,
    }
}

/// A record with this layout and flags, and `middle` between the times and the texts.
fn record(layout: u8, flags: u8, middle: &[u8]) -> Vec<u8> {
    let mut record = vec![layout, flags];
    for id in 1..=4u128 {
        record.extend(id.to_be_bytes());
    }
    record.extend([5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]);
    record.extend(middle);
    record.extend([1, 0, 0, 0, b'c', 1, 0, 0, 0, b'n', 1, 0, 0, 0, b'v', 2, 0, 0, 0, b'{', b'}']);
    record
}

#[test]
fn a_record_of_each_layout_stays_readable() {
    assert_eq!(Event::decode(&record(1, 3, &[])), Some(recorded()));
    assert_eq!(Event::decode(&record(2, 3, &[])), Some(recorded()));
    assert_eq!(Event::decode(&record(1, 11, &[9, 0, 0, 0])), None, "the first layout had no schemas");
    let schema = Some(SchemaMark { version: 9, checked: true });
    assert_eq!(Event::decode(&record(2, 15, &[9, 0, 0, 0])), Some(Event { schema, ..recorded() }));
    let replay = Some(Replay { partition: 7, offset: 8, at: Timestamp::from_micros(9) });
    let middle = [7, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0];
    let event = Event { replay, ..recorded() };
    assert_eq!(Event::decode(&record(2, 19, &middle)), Some(event.clone()));
    assert_eq!(Event::decode(&record(2, 35, &[1; 8])), None, "the second layout had no sources");
    let source = Some(Source::from_bits(0x0807_0605_0403_0201));
    let sent = Event { source, ..recorded() };
    assert_eq!(Event::decode(&record(3, 35, &[1, 2, 3, 4, 5, 6, 7, 8])), Some(sent.clone()));
    assert_eq!(Event::decode(&record(3, 67, &[1; 6])), None, "the third layout had no place receipts");
    let served = Some(Served { ordinal: 0x0403_0201, rank: 0x0605 });
    let placed = Event { served, ..recorded() };
    assert_eq!(Event::decode(&record(4, 67, &[1, 2, 3, 4, 5, 6])), Some(placed.clone()));
    assert_eq!(placed.encode(), record(4, 67, &[1, 2, 3, 4, 5, 6]));
    assert_eq!((event.arrived_at(), recorded().arrived_at()), (Timestamp::from_micros(9), Timestamp::from_micros(5)));
}
