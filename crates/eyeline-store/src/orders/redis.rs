//! Records in Redis or Valkey, one server or a cluster, which processes share.
//!
//! A record is one string: the time of its last page, then its bytes. It is written in parts under a temporary key and
//! then renamed, so that a reader sees all of it or nothing. An index holds the bytes and the last page of every record;
//! records that it has lost expire by themselves. Commands may be sent twice, so each can be repeated.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use eyeline_core::{GalleryId, OrderId, Timestamp};
use redis::{Cmd, Value};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    ANSWER_KEPT, OrderKey, OrderRecords, Part, QUESTION_KEPT, QUESTIONS_MAX, Question, Record, Usage, charged,
    check_answer, too_many_questions,
};
use crate::error::{Error, Result};
use crate::redis_client::{Address, Installation, Lane};

/// The bytes of the time before a record.
const TIME_BYTES: u64 = 8;
/// The most bytes of one read and of one write.
const PART_BYTES: usize = 256 * 1024;
/// The real time after its last page in which a record expires. Longer than orders are kept.
const EXPIRES: Duration = Duration::from_secs(60 * 60);
/// A record that is not complete by then was left by a process that died.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5 * 60);
/// The real time after which a newest id expires.
const NEWEST_EXPIRES: Duration = Duration::from_secs(24 * 60 * 60);
/// Records that one command of a sweep removes.
const SWEPT_MAX: usize = 200;
/// Larger than any string of Redis.
const END_MAX: u64 = 1 << 30;

const READ: &str = "
    local time = redis.call('GETRANGE', KEYS[1], 0, 7)
    if #time < 8 then return nil end
    return {time, redis.call('GETRANGE', KEYS[1], ARGV[1], ARGV[2])}";
/// Gives a complete record its name. 1 if it has it.
const FINISH: &str = "
    local length = tonumber(ARGV[1])
    if redis.call('STRLEN', KEYS[1]) == length then redis.call('RENAME', KEYS[1], KEYS[2])
    elseif redis.call('STRLEN', KEYS[2]) ~= length then return 0 end
    redis.call('PEXPIRE', KEYS[2], ARGV[2])
    return 1";
/// The bytes of the record with its time; 0 if it is missing.
const SERVE: &str = "
    local length = redis.call('STRLEN', KEYS[1])
    if length == 0 then return 0 end
    redis.call('SETRANGE', KEYS[1], 0, ARGV[1])
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return length";
/// Hexadecimal digits compare like the ids.
const SET_NEWEST: &str = "
    local newest = redis.call('GET', KEYS[1])
    if newest and newest > ARGV[1] then return 0 end
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    return 1";
/// 1 if the question is open now.
const ASK: &str = "
    if not redis.call('ZSCORE', KEYS[1], ARGV[2]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[4])
        if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
    end
    redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
    return 1";
/// The name and the age in milliseconds of all that is stored. A Redis without a name, as after a flush, gets ARGV[1].
const LIFE: &str = "
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local life = redis.call('HMGET', KEYS[1], 'name', 'began')
    if not life[1] then
        life = {ARGV[1], now}
        redis.call('HSET', KEYS[1], 'name', ARGV[1], 'began', string.format('%.0f', now))
    end
    return {life[1], math.max(0, now - life[2])}";
/// The index: times by name, bytes by name, and their sum.
const ADD: &str = "
    local before = redis.call('HGET', KEYS[2], ARGV[1]) or '0'
    redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
    redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
    local sum = redis.call('INCRBY', KEYS[3], tonumber(ARGV[3]) - tonumber(before))
    return {redis.call('ZCARD', KEYS[1]), sum}";
const REMOVE: &str = "
    local bytes = redis.call('HGET', KEYS[2], ARGV[1])
    redis.call('ZREM', KEYS[1], ARGV[1])
    redis.call('HDEL', KEYS[2], ARGV[1])
    local sum = redis.call('DECRBY', KEYS[3], tonumber(bytes or '0'))
    return {redis.call('ZCARD', KEYS[1]), sum}";
/// The oldest record with its time and the newest time, if the sum is beyond the bound.
const OLDEST: &str = "
    if tonumber(redis.call('GET', KEYS[3]) or '0') <= tonumber(ARGV[1]) then return nil end
    local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
    local newest = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
    if not oldest[1] then redis.call('DEL', KEYS[3]) return nil end
    return {oldest[1], oldest[2], newest[2]}";

pub(super) struct RedisOrders {
    lane: Lane,
    prefix: String,
    bytes_max: u64,
    known: Mutex<Known>,
}

/// The index as this process saw it last.
#[derive(Default)]
struct Known {
    records: u64,
    bytes: u64,
    /// Since the last sweep, and between that one and the one before.
    shortest_kept: [Option<Duration>; 2],
}

impl RedisOrders {
    pub async fn open(url: &str, bytes_max: u64, installation: &Installation) -> Result<Self> {
        let wrong = |wrong| Error::Conflict(format!("the URL of the orders {wrong}"));
        let orders = RedisOrders {
            lane: Lane::open(Address::parse(url).map_err(wrong)?, "redis-orders").await?,
            prefix: format!("eyeline:{}:", installation.id.simple()),
            bytes_max,
            known: Mutex::default(),
        };
        if let Err(error) = orders.count().await {
            tracing::debug!(%error, "the stored orders are not counted yet");
        }
        Ok(orders)
    }

    /// The braces keep a record and its temporary key on one node of a cluster.
    fn record(&self, name: &str) -> String {
        format!("{}order:{{{name}}}", self.prefix)
    }

    fn newest_key(&self, gallery_id: GalleryId, variant: &str) -> String {
        format!("{}newest order:{}", self.prefix, question(gallery_id, variant))
    }

    fn asked_key(&self) -> String {
        format!("{}asked orders", self.prefix)
    }

    fn answer_key(&self, gallery_id: GalleryId, text: &str) -> String {
        format!("{}answer:{}", self.prefix, question(gallery_id, text))
    }

    /// The name of everything that is stored, which another one replaces after a flush, and its age.
    pub async fn life(&self) -> Result<(String, Duration)> {
        let key = format!("{}orders since", self.prefix);
        let answer = self.lane.ask(eval(LIFE, &[key], &[&random()?])).await?;
        match &answer {
            Value::Array(parts) => match &parts[..] {
                [name, Value::Int(age)] => text(name)
                    .map(|name| (name, Duration::from_millis(age.max(&0).unsigned_abs())))
                    .ok_or_else(|| unexpected(&answer)),
                _ => Err(unexpected(&answer)),
            },
            _ => Err(unexpected(&answer)),
        }
    }

    /// Asks the index, which answers with the records that are left and their bytes.
    async fn index(&self, script: &str, arguments: &[&str]) -> Result<Value> {
        let keys = ["times", "bytes", "sum"].map(|part| format!("{}{{orders}}:{part}", self.prefix));
        self.lane.ask(eval(script, &keys, arguments)).await
    }

    async fn change_index(&self, script: &str, arguments: &[&str]) -> Result<()> {
        let answer = self.index(script, arguments).await?;
        let Value::Array(counts) = &answer else { return Err(unexpected(&answer)) };
        let [Value::Int(records), Value::Int(bytes)] = counts[..] else { return Err(unexpected(&answer)) };
        let mut known = self.known();
        (known.records, known.bytes) = (records.max(0).unsigned_abs(), bytes.max(0).unsigned_abs());
        Ok(())
    }

    /// Notes how much is stored, also by other processes.
    async fn count(&self) -> Result<()> {
        self.change_index(REMOVE, &["nothing"]).await
    }

    async fn add(&self, name: &str, served_at: Timestamp, bytes: u64) -> Result<()> {
        let (time, bytes) = (served_at.micros().to_string(), charged(bytes).to_string());
        self.change_index(ADD, &[name, &time, &bytes]).await
    }

    /// Removes a record. It leaves the index last, so that a crash leaves nothing uncounted.
    async fn remove(&self, name: &str) -> Result<()> {
        self.lane.ask(command("UNLINK", &self.record(name))).await?;
        self.change_index(REMOVE, &[name]).await
    }

    async fn remove_beyond_bound(&self) -> Result<()> {
        loop {
            let answer = self.index(OLDEST, &[&self.bytes_max.to_string()]).await?;
            let Value::Array(found) = &answer else { return Ok(()) };
            let texts: Vec<String> = found.iter().filter_map(text).collect();
            let [name, oldest, newest] = &texts[..] else { return Err(unexpected(&answer)) };
            self.remove(name).await?;
            let kept = time_of(newest).since(time_of(oldest));
            let shortest = &mut self.known().shortest_kept[0];
            *shortest = Some(shortest.map_or(kept, |shortest| shortest.min(kept)));
        }
    }

    /// Writes the record under a temporary key. Returns its bytes.
    async fn write(&self, temporary: &str, served_at: Timestamp, record: Record) -> Result<u64> {
        // Making the pieces computes for a while.
        let (sender, mut pieces) = mpsc::channel::<Vec<u8>>(4);
        let making = tokio::task::spawn_blocking(move || {
            for piece in record() {
                if sender.blocking_send(piece).is_err() {
                    return;
                }
            }
        });
        let mut gathered = BytesMut::from(&served_at.micros().to_be_bytes()[..]);
        let (mut written, mut is_complete) = (0, false);
        while !is_complete {
            match pieces.recv().await {
                Some(piece) => gathered.extend_from_slice(&piece),
                None => is_complete = true,
            }
            while gathered.len() >= PART_BYTES || (is_complete && !gathered.is_empty()) {
                let part = gathered.split_to(gathered.len().min(PART_BYTES));
                if charged(written + part.len() as u64 - TIME_BYTES) > self.bytes_max {
                    return Err(Error::unavailable("an order takes more bytes than the bound of all orders"));
                }
                let mut command = command("SETRANGE", temporary);
                command.arg(written).arg(&part[..]);
                self.lane.ask(command).await?;
                if written == 0 {
                    self.lane.ask(expire(temporary, WRITTEN_WITHIN)).await?;
                }
                written += part.len() as u64;
            }
        }
        making.await.map_err(|error| Error::internal("making an order's record", error))?;
        Ok(written)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl OrderRecords for RedisOrders {
    async fn put(&self, key: OrderKey, served_at: Timestamp, record: Record) -> Result<()> {
        let name = key.name();
        let (temporary, target) = (format!("{}:{}", self.record(&name), random()?), self.record(&name));
        let outcome = async {
            let bytes = self.write(&temporary, served_at, record).await?;
            self.add(&name, served_at, bytes - TIME_BYTES).await?;
            let keys = [temporary.clone(), target];
            let finish = eval(FINISH, &keys, &[&bytes.to_string(), &milliseconds(EXPIRES)]);
            match self.lane.ask(finish).await? {
                Value::Int(1) => Ok(()),
                _ => Err(Error::unavailable("Redis: a part of an order's record was lost")),
            }
        };
        if let Err(error) = outcome.await {
            // Otherwise it expires.
            self.lane.send(command("UNLINK", &temporary));
            return Err(error);
        }
        self.remove_beyond_bound().await
    }

    async fn read(&self, key: OrderKey, range: Range<u64>) -> Result<Option<Part>> {
        let record = self.record(&key.name());
        let mut bytes = BytesMut::new();
        let mut start = range.start.min(END_MAX);
        let end = range.end.clamp(start, END_MAX);
        loop {
            let part_end = end.min(start + PART_BYTES as u64);
            // Redis counts from the first byte, and includes the last one.
            let [first, last] = [start + TIME_BYTES, part_end + TIME_BYTES - 1].map(|place| place.to_string());
            let answer = self.lane.ask(eval(READ, std::slice::from_ref(&record), &[&first, &last])).await?;
            let Value::Array(found) = answer else { return Ok(None) };
            let [Value::BulkString(time), Value::BulkString(part)] = &found[..] else { return Ok(None) };
            let Ok(time) = <[u8; 8]>::try_from(&time[..]) else { return Ok(None) };
            bytes.extend_from_slice(part);
            start += part.len() as u64;
            if start < part_end || start == end {
                let served_at = Timestamp::from_micros(i64::from_be_bytes(time));
                return Ok(Some(Part { bytes: Bytes::from(bytes), served_at }));
            }
        }
    }

    async fn mark_served(&self, key: OrderKey, served_at: Timestamp) -> Result<bool> {
        let name = key.name();
        let mut serve = redis::cmd("EVAL");
        serve.arg(SERVE).arg(1).arg(self.record(&name));
        serve.arg(&served_at.micros().to_be_bytes()[..]).arg(milliseconds(EXPIRES));
        match self.lane.ask(serve).await? {
            Value::Int(length @ 1..) => {
                self.add(&name, served_at, length.unsigned_abs().saturating_sub(TIME_BYTES)).await?;
                Ok(true)
            }
            _ => {
                self.change_index(REMOVE, &[&name]).await?;
                Ok(false)
            }
        }
    }

    async fn set_newest(
        &self,
        gallery_id: GalleryId,
        variant: &str,
        order_id: OrderId,
        _now: Timestamp,
    ) -> Result<bool> {
        let (key, id) = (self.newest_key(gallery_id, variant), order_id.0.simple().to_string());
        let set = eval(SET_NEWEST, &[key], &[&id, &milliseconds(NEWEST_EXPIRES)]);
        Ok(self.lane.ask(set).await? == Value::Int(1))
    }

    async fn newest(&self, gallery_id: GalleryId, variant: &str) -> Result<Option<OrderId>> {
        let answer = self.lane.ask(command("GET", &self.newest_key(gallery_id, variant))).await?;
        Ok(text(&answer).and_then(|id| Uuid::try_parse(&id).ok()).map(OrderId))
    }

    async fn ask(&self, gallery_id: GalleryId, text: &str, now: Timestamp) -> Result<()> {
        let (text, time) = (question(gallery_id, text), now.micros().to_string());
        let long_ago = now.minus(QUESTION_KEPT).micros().to_string();
        let ask = eval(ASK, &[self.asked_key()], &[&time, &text, &QUESTIONS_MAX.to_string(), &long_ago]);
        if self.lane.ask(ask).await? == Value::Int(1) { Ok(()) } else { Err(too_many_questions()) }
    }

    async fn asked(&self) -> Result<Vec<Question>> {
        let mut command = command("ZRANGE", &self.asked_key());
        command.arg(0).arg(QUESTIONS_MAX - 1).arg("WITHSCORES");
        let Value::Array(found) = self.lane.ask(command).await? else { return Ok(Vec::new()) };
        let asked = found.as_chunks().0.iter().filter_map(|[name, score]| {
            let (gallery_id, question) = parse_question(&text(name)?)?;
            Some(Question { gallery_id, text: question, asked_at: time_of(&text(score)?) })
        });
        Ok(asked.collect())
    }

    async fn is_asked(&self, gallery_id: GalleryId, text: &str) -> Result<bool> {
        let mut command = command("ZSCORE", &self.asked_key());
        command.arg(question(gallery_id, text));
        Ok(self.lane.ask(command).await? != Value::Nil)
    }

    async fn answer(&self, gallery_id: GalleryId, text: &str, answer: Option<Bytes>) -> Result<()> {
        check_answer(answer.as_ref())?;
        if let Some(answer) = answer {
            let mut keep = command("SET", &self.answer_key(gallery_id, text));
            keep.arg(&answer[..]).arg("PX").arg(milliseconds(ANSWER_KEPT));
            self.lane.ask(keep).await?;
        }
        let mut close = command("ZREM", &self.asked_key());
        close.arg(question(gallery_id, text));
        self.lane.ask(close).await.map(drop)
    }

    async fn answered(&self, gallery_id: GalleryId, text: &str) -> Result<Option<Bytes>> {
        match self.lane.ask(command("GET", &self.answer_key(gallery_id, text))).await? {
            Value::BulkString(answer) => Ok(Some(answer.into())),
            _ => Ok(None),
        }
    }

    async fn sweep(&self, unused_since: Timestamp) -> Result<()> {
        const OLD: &str = "return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])";
        let before = format!("({}", unused_since.micros());
        loop {
            let Value::Array(old) = self.index(OLD, &[&before, &SWEPT_MAX.to_string()]).await? else { break };
            for name in old.iter().filter_map(text) {
                self.remove(&name).await?;
            }
            if old.len() < SWEPT_MAX {
                break;
            }
        }
        let mut forget = command("ZREMRANGEBYSCORE", &self.asked_key());
        forget.arg("-inf").arg(&before);
        self.lane.ask(forget).await?;
        self.remove_beyond_bound().await?;
        self.count().await?;
        let mut known = self.known();
        known.shortest_kept = [None, known.shortest_kept[0]];
        Ok(())
    }

    fn usage(&self) -> Usage {
        let known = self.known();
        let shortest_kept = known.shortest_kept.into_iter().flatten().min();
        Usage { records: known.records, bytes: known.bytes, shortest_kept }
    }
}

fn command(name: &str, key: &str) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(key);
    command
}

fn expire(key: &str, time: Duration) -> Cmd {
    let mut command = command("PEXPIRE", key);
    command.arg(milliseconds(time));
    command
}

fn eval(script: &str, keys: &[String], arguments: &[&str]) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(script).arg(keys.len());
    for key in keys {
        command.arg(key);
    }
    for argument in arguments {
        command.arg(*argument);
    }
    command
}

fn milliseconds(time: Duration) -> String {
    time.as_millis().to_string()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    }
}

/// The time of a score, which Redis may write with an exponent.
fn time_of(score: &str) -> Timestamp {
    Timestamp::from_micros(score.parse::<f64>().unwrap_or_default() as i64)
}

fn unexpected(answer: &Value) -> Error {
    Error::Corrupt(format!("the index of orders in Redis answered {answer:?}"))
}

fn question(gallery_id: GalleryId, variant: &str) -> String {
    format!("{}-{variant}", gallery_id.0.simple())
}

fn parse_question(text: &str) -> Option<(GalleryId, String)> {
    let (gallery_id, variant) = text.split_once('-')?;
    Some((Uuid::try_parse(gallery_id).ok()?.into(), variant.to_owned()))
}

fn random() -> Result<String> {
    let mut drawn = [0; 16];
    getrandom::fill(&mut drawn).map_err(|error| Error::internal("drawing the name of a record", error))?;
    Ok(Uuid::from_bytes(drawn).simple().to_string())
}
