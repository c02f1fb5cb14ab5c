//! The memory of a server: the bound of each of its pools. SECURITY.md has them as a table.

use eyeline_lake::{FOOTERS_BYTES_MAX, MERGE_BYTES_MAX};
use eyeline_store::{cache, inbox, sql};

use crate::flow::event::{collect, event_types};
use crate::flow::gallery::rank;
use crate::flow::lake::{flush, usage};
use crate::flow::notify;
use crate::settings::Settings;
use crate::{compressors, connections, rate_limits};

/// Measured after the start: the program, its threads and its allocator.
const PROGRAM_BYTES: u64 = 90 << 20;

/// 256 bytes of memory for each order on disk: at most 256 MiB of orders of at least 4 KiB.
const ORDERS_INDEX_BYTES: u64 = (256 << 20) / 4096 * 256;

/// The most bytes of each pool. Worker processes have their own bounds.
pub fn pools(settings: &Settings) -> Vec<(&'static str, u64)> {
    vec![
        ("program, threads, allocator", PROGRAM_BYTES),
        ("questions and look-ups", usage::MEMORY_BYTES as u64),
        ("galleries", rank::GALLERIES_BYTES_MAX as u64),
        ("index of the orders on disk", ORDERS_INDEX_BYTES),
        ("events on their way into a file", flush::MEMORY_BYTES as u64),
        ("files that are merged", MERGE_BYTES_MAX),
        ("footers of files", FOOTERS_BYTES_MAX as u64),
        ("cached pages and thumbs", cache::bytes_max(&settings.cache_url).unwrap_or(0)),
        ("parts of orders read last", cache::bytes_max(cache::NEAR_URL).unwrap_or(0)),
        ("compiled schemas", event_types::MEMORY_BYTES),
        ("pages of SQLite", sql::CACHE_BYTES),
        ("inbox", inbox::memory_bytes(&settings.inbox_url()) as u64),
        ("recent ids of events, rate limits", (collect::MEMORY_BYTES + rate_limits::MEMORY_BYTES) as u64),
        ("bodies and answers", settings.body_bytes_max),
        ("compressors of answers", compressors::MEMORY_BYTES),
        ("connections", connections::MEMORY_BYTES),
        ("streams", notify::MEMORY_BYTES),
    ]
}

/// Their sum: the most bytes of memory of the server itself.
pub fn all(settings: &Settings) -> u64 {
    pools(settings).iter().map(|(_, bytes)| bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    /// 1.3 GiB.
    const ALL_MIB_MAX: u64 = 1_331;

    /// The rows of the table in SECURITY.md: what a pool is for, and its MiB.
    fn told() -> Vec<(String, u64)> {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../SECURITY.md"));
        let text = text.expect("SECURITY.md");
        let (_, table) = text.split_once("| pool | most MiB |").expect("the table");
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let cells = rows.map(|row| row.split('|').map(|cell| cell.trim().replace(['*', ','], "")).collect::<Vec<_>>());
        cells.map(|cells| (cells[1].clone(), cells[2].parse().expect("a number of MiB"))).collect()
    }

    #[test]
    fn the_bounds_of_all_pools_add_up_and_are_those_of_the_table() {
        let settings = Settings::default();
        let in_mib = |(name, bytes): &(&'static str, u64)| (name.replace(',', ""), bytes.div_ceil(MIB));
        let mut pools: Vec<(String, u64)> = pools(&settings).iter().map(in_mib).collect();
        let sum: u64 = pools.iter().map(|(_, mib)| mib).sum();
        assert!(sum <= ALL_MIB_MAX, "the pools take {sum} MiB together: {pools:#?}");
        pools.push(("sum if every pool is full at once".to_owned(), sum));
        assert_eq!(told(), pools, "the table in SECURITY.md, and the code");
    }
}
