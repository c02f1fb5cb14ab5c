//! `eyeline simulate`.

use std::time::Instant;

use eyeline_core::{GalleryId, Ranking, Strategy};
use eyeline_simulation::{Report, SCENARIOS, Scenario, play};
use serde::Serialize;
use uuid::Uuid;

use super::say;

#[derive(clap::Args)]
#[command(after_help = "\
Example:
  eyeline simulate --strategy interest --scenario catalog --seed 1 --set K=1000
simulates visitors of a gallery in this order. It prints their clicks as a share of the clicks of an oracle, which knows
every image's true appeal. No real visitor is involved.")]
pub(super) struct Arguments {
    /// The strategy of the gallery
    #[arg(long, default_value = "interest", value_parser = parse_strategy)]
    strategy: Strategy,
    /// The images and their visitors
    #[arg(long, default_value = "static_small", value_parser = parse_scenario)]
    scenario: Scenario,
    /// Seed of the world; another seed gives other images and visitors
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Sessions to play [default: the scenario's number]
    #[arg(long)]
    sessions: Option<usize>,
    /// Change a figure of the scenario or a ranking setting (half_life in days), such as K=1000; may be given more than
    /// once
    #[arg(long = "set", value_name = "KEY=VALUE")]
    changes: Vec<String>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Simulated {
    strategy: &'static str,
    #[serde(flatten)]
    report: Report,
    seconds: f64,
    sessions_per_second: f64,
}

fn parse_strategy(text: &str) -> Result<Strategy, String> {
    Strategy::parse(text).ok_or_else(|| format!("this has to be {}", Strategy::NAMES))
}

fn parse_scenario(text: &str) -> Result<Scenario, String> {
    let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
    Scenario::named(text).ok_or_else(|| format!("this has to be one of {}", names.join(", ")))
}

pub(super) fn run(arguments: &Arguments) -> Result<(), String> {
    let mut scenario = arguments.scenario;
    let mut ranking = Ranking { strategy: arguments.strategy, ..Ranking::default() };
    for change in &arguments.changes {
        let (key, value) = change.split_once('=').ok_or_else(|| format!("--set {change}: this has to be KEY=VALUE"))?;
        if !set_ranking(&mut ranking, key, value)? {
            scenario.set(key, value)?;
        }
    }
    scenario.sessions = arguments.sessions.unwrap_or(scenario.sessions).max(1);
    let started = Instant::now();
    // One fixed gallery id for each seed.
    let gallery_id = GalleryId(Uuid::from_u64_pair(arguments.seed, 0));
    let report = play(scenario, ranking, arguments.seed, gallery_id);
    let seconds = started.elapsed().as_secs_f64();
    let sessions_per_second = report.sessions as f64 / seconds;
    let simulated = Simulated { strategy: ranking.strategy.as_str(), report, seconds, sessions_per_second };
    if arguments.json {
        let json =
            serde_json::to_string(&simulated).map_err(|error| format!("the report cannot be written: {error}"))?;
        say(&json);
    } else {
        say(&text(&simulated));
    }
    Ok(())
}

/// Returns false if the key is no ranking setting.
fn set_ranking(ranking: &mut Ranking, key: &str, value: &str) -> Result<bool, String> {
    let wrong = || format!("--set {key}={value}: this value cannot be read");
    let whole = || value.parse().map_err(|_| wrong());
    match key {
        "half_life" => {
            let days: f64 = value.parse().map_err(|_| wrong())?;
            ranking.half_life_s = Some(Ranking::half_life_of_days(days).ok_or_else(wrong)?);
        }
        "view_weight" => ranking.factors.view_weight = whole()?,
        "click_weight" => ranking.factors.click_weight = whole()?,
        "guard" => ranking.guard = matches!(value, "1" | "true"),
        _ => return Ok(false),
    }
    Ok(true)
}

fn text(simulated: &Simulated) -> String {
    let report = &simulated.report;
    let parts: Vec<String> = report.fractions.iter().map(|part| format!("{:.0}", part * 100.0)).collect();
    format!(
        "{} on {}, seed {}: {} sessions, {} images, {:.0} sessions a second
clicks a session   {:.4} of the {:.4} that an oracle gets: {:.1} %
by tenths          {} %
images ever seen   {:.0} %",
        simulated.strategy,
        report.scenario,
        report.seed,
        report.sessions,
        report.images,
        simulated.sessions_per_second,
        report.clicks_per_session,
        report.oracle_clicks_per_session,
        report.fraction * 100.0,
        parts.join(" "),
        report.seen * 100.0,
    )
}
