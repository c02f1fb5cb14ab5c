//! Lets the visitors of `eyeline simulate` come to a real server over HTTP, and tells what part of the clicks its orders
//! got that an oracle would have got.

use std::collections::BTreeMap;
use std::io::{Write as _, stdout};
use std::time::Instant;

use clap::Parser;
use eyeline_e2e::visitors::{Played, play};
use eyeline_e2e::{Catalog, Server, processes};
use eyeline_simulation::{Ranking, SCENARIOS, Scenario, Strategy};
use serde_json::json;

/// Plays scenarios on `eyeline serve`, a gallery for each seed, one session being 60.48 seconds of the server's clock.
/// Beside it is what the same visitors bring in memory, in galleries with the same ids, so that chance draws the same.
#[derive(Parser)]
struct Options {
    /// Scenarios, several separated by commas; `all` for those of docs/ranking.md
    #[arg(long, value_delimiter = ',', default_values_t = ["static_small".to_owned(), "lowtraffic".to_owned()])]
    scenarios: Vec<String>,
    /// How the galleries are ordered, several separated by commas
    #[arg(long, value_delimiter = ',', default_values_t = ["interest".to_owned()])]
    strategies: Vec<String>,
    /// Seeds, from 0 on
    #[arg(long, default_value_t = 2)]
    seeds: u64,
    /// Sessions of each scenario at the most
    #[arg(long)]
    sessions: Option<usize>,
    /// The galleries have a guard
    #[arg(long)]
    guard: bool,
    /// Besides the table, a line of JSON for each gallery
    #[arg(long)]
    json: bool,
}

/// Played only if named, because it is not part of the others' mean.
const LARGE: &str = "large";

#[tokio::main]
async fn main() {
    let options = Options::parse();
    let seeds: Vec<u64> = (0..options.seeds.max(1)).collect();
    tell("| scenario | order | over HTTP | in memory | largest difference | sessions/s | server CPU a session |");
    tell("|---|---|---|---|---|---|---|");
    let mut means = BTreeMap::new();
    for scenario in scenarios(&options) {
        for strategy in &options.strategies {
            let strategy = Strategy::parse(strategy).unwrap_or_else(|| panic!("an order is {}", Strategy::NAMES));
            let ranking = Ranking { strategy, guard: options.guard, ..Ranking::default() };
            let fractions = run(scenario, ranking, &seeds, options.json).await;
            if scenario.name != LARGE {
                means.entry(strategy).or_insert_with(Vec::new).push(fractions);
            }
        }
    }
    for (strategy, scenarios) in means {
        let of_seed = |seed: usize| mean(&scenarios.iter().map(|fractions| fractions[seed]).collect::<Vec<_>>());
        let of_seeds: Vec<f64> = (0..seeds.len()).map(of_seed).collect();
        let (strategy, count) = (strategy.as_str(), scenarios.len());
        tell(&format!("| mean of {count} without {LARGE} | {strategy} | {} | | | | |", mean_and_deviation(&of_seeds)));
    }
}

fn scenarios(options: &Options) -> Vec<Scenario> {
    let all = || SCENARIOS.iter().filter(|scenario| scenario.name != LARGE).map(|scenario| scenario.name);
    let names = options.scenarios.iter().flat_map(|name| match name.as_str() {
        "all" => all().collect(),
        name => vec![name],
    });
    names
        .map(|name| {
            let mut scenario = Scenario::named(name).unwrap_or_else(|| panic!("{name} is no scenario"));
            scenario.sessions = options.sessions.unwrap_or(usize::MAX).clamp(1, scenario.sessions);
            scenario
        })
        .collect()
}

/// Plays one row of the table on its own server. Returns the fractions by seed.
async fn run(scenario: Scenario, ranking: Ranking, seeds: &[u64], in_json: bool) -> Vec<f64> {
    let server = Server::start_with(Catalog::Sqlite, &[("EYELINE_TEST_CLOCK", "true")]).await;
    let before = processes::cpu_seconds(&server.processes());
    let began = Instant::now();
    let setting = serde_json::to_value(ranking).expect("a setting can be written");
    let played = play(&server, scenario, &setting, seeds).await;
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), processes::cpu_seconds(&server.processes()) - before);
    drop(server);
    let in_memory: Vec<f64> = played
        .iter()
        .map(|Played { gallery_id, report }| {
            eyeline_simulation::play(scenario, ranking, report.seed, *gallery_id).fraction
        })
        .collect();
    let fractions: Vec<f64> = played.iter().map(|played| played.report.fraction).collect();
    let largest = fractions.iter().zip(&in_memory).map(|(http, memory)| (http - memory).abs()).fold(0.0, f64::max);
    let sessions = (scenario.sessions * seeds.len()) as f64;
    tell(&format!(
        "| {} | {} | {} | {} | {largest:.4} | {:.0} | {:.2} ms |",
        scenario.name,
        ranking.strategy.as_str(),
        mean_and_deviation(&fractions),
        mean_and_deviation(&in_memory),
        sessions / seconds,
        cpu / sessions * 1e3,
    ));
    if in_json {
        for (Played { report, .. }, in_memory) in played.iter().zip(in_memory) {
            let strategy = ranking.strategy;
            tell(
                &json!({"strategy": strategy, "guard": ranking.guard, "in_memory": in_memory, "over_http": report})
                    .to_string(),
            );
        }
    }
    fractions
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn mean_and_deviation(values: &[f64]) -> String {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = (squares / (values.len() as f64 - 1.0).max(1.0)).sqrt();
    format!("{mean:.3} ± {deviation:.3}")
}

fn tell(line: &str) {
    writeln!(stdout(), "{line}").expect("a line can be written");
}
