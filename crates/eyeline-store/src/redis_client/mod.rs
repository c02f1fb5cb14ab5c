//! The common parts of the engines on Redis or Valkey: the address, connections with deadlines, and sealed values.
//!
//! The client is the blocking one, on threads of its own. One thread owns a connection and sends what waits as one
//! pipeline, so a busy process needs few round trips, and a slow server never blocks the runtime.

mod address;
mod lane;
mod seal;

use std::time::Duration;

use redis::cluster::{ClusterClient, ClusterConnection};
use redis::{Cmd, Connection, ConnectionLike as _, RedisResult, Value};

pub(crate) use address::Address;
pub(crate) use lane::{BYTES_MAX as LANE_BYTES_MAX, Lane};
pub use seal::Installation;
pub(crate) use seal::Seal;

use crate::cache::VALUE_BYTES_MAX;
use crate::error::Error;

/// The longest time that a caller waits for an answer, and that a thread waits for a socket.
pub const DEADLINE: Duration = Duration::from_millis(250);
/// The most bytes of the answer to one command.
pub(crate) const ANSWER_BYTES_MAX: usize = VALUE_BYTES_MAX + Seal::BYTES + 1;
/// The longest time for a new connection with its handshake.
pub(crate) const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// The pauses between attempts to connect: 50 ms, then doubled up to 2 s, each shortened by up to a half at random, so
/// that many processes do not return at the same moment.
pub(crate) struct Backoff(u32);

impl Backoff {
    const FIRST: Duration = Duration::from_millis(50);
    const DOUBLED_MAX: u32 = 6;
    const LONGEST: Duration = Duration::from_secs(2);

    pub fn new() -> Self {
        Backoff(0)
    }

    pub fn reset(&mut self) {
        self.0 = 0;
    }

    pub fn next(&mut self) -> Duration {
        let pause = (Self::FIRST * (1 << self.0)).min(Self::LONGEST);
        self.0 = (self.0 + 1).min(Self::DOUBLED_MAX);
        let mut drawn = [0];
        // Without randomness the pause is only less spread.
        let _ = getrandom::fill(&mut drawn);
        pause - pause * u32::from(drawn[0]) / 512
    }
}

/// A connection to one server, or to all of a cluster.
pub(crate) enum Link {
    Single(Box<Connection>),
    Cluster(Box<ClusterConnection>),
}

impl Link {
    pub fn open(address: &Address) -> RedisResult<Self> {
        crate::tls::choose_provider();
        if !address.is_cluster {
            return Ok(Link::Single(Box::new(connect(address, 0, DEADLINE)?)));
        }
        let client = ClusterClient::builder(address.nodes()).retries(1).connection_timeout(CONNECT_DEADLINE);
        let connection = client.response_timeout(DEADLINE).build()?.get_connection()?;
        connection.set_read_timeout(Some(DEADLINE))?;
        connection.set_write_timeout(Some(DEADLINE))?;
        Ok(Link::Cluster(Box::new(connection)))
    }

    /// Sends the commands together. The outer error means that the connection is unusable; an inner one is the answer
    /// to one command.
    pub fn ask(&mut self, commands: &[&Cmd]) -> RedisResult<Vec<RedisResult<Value>>> {
        match self {
            Link::Single(connection) => {
                let packed: Vec<u8> = commands.iter().flat_map(|command| command.get_packed_command()).collect();
                connection.send_packed_command(&packed)?;
                commands.iter().map(|_| Ok(connection.recv_response()?.extract_error())).collect()
            }
            Link::Cluster(connection) => {
                let mut together = redis::cluster::cluster_pipe();
                for command in commands {
                    together.add_command((*command).clone());
                }
                if let [_, _, ..] = commands
                    && let Ok(answers) = together.query::<Vec<Value>>(connection)
                {
                    return Ok(answers.into_iter().map(Ok).collect());
                }
                // One of them failed, or cannot be sent with others. Each may be sent twice.
                let answers: Vec<RedisResult<Value>> =
                    commands.iter().map(|command| connection.req_command(command)).collect();
                // One node may be away: the others still serve their keys.
                match answers.iter().find_map(|answer| answer.as_ref().err().filter(|error| error.is_io_error())) {
                    Some(error) if answers.iter().all(Result::is_err) => Err(error.clone()),
                    _ => Ok(answers),
                }
            }
        }
    }
}

/// Connects to the node with this number, counted round.
pub(crate) fn connect(address: &Address, number: usize, read_timeout: Duration) -> RedisResult<Connection> {
    crate::tls::choose_provider();
    let nodes = address.nodes();
    let client = redis::Client::open(nodes[number % nodes.len()].clone())?;
    let connection = client.get_connection_with_timeout(CONNECT_DEADLINE)?;
    connection.set_read_timeout(Some(read_timeout))?;
    connection.set_write_timeout(Some(DEADLINE))?;
    Ok(connection)
}

/// The engine is away, or refused a command. Messages of the client name no password.
pub(crate) fn away(error: &redis::RedisError) -> Error {
    Error::unavailable(format!("Redis: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_are_spread() {
        let mut backoff = Backoff::new();
        let pauses: Vec<Duration> = (0..20).map(|_| backoff.next()).collect();
        assert!(pauses[0] >= Backoff::FIRST / 2 && pauses[0] <= Backoff::FIRST);
        assert!(pauses[10..].iter().all(|pause| *pause >= Backoff::LONGEST / 2 && *pause <= Backoff::LONGEST));
        assert!(pauses[10..].iter().any(|pause| *pause != pauses[10]), "all are equal: {pauses:?}");
        backoff.reset();
        assert!(backoff.next() <= Backoff::FIRST);
    }
}
