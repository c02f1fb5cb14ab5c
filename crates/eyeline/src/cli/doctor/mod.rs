//! `eyeline doctor`: checks the preconditions of the product's promises, one by one.

mod budgets;
mod machine;
mod mounts;
mod settings;

use eyeline_store::checks::{self, Check, Verdict};
use serde_json::{Value, json};

use super::{client, say};
use crate::clock::Clock;
use crate::settings::Settings;

#[derive(clap::Args)]
#[command(after_help = "\
Checks the settings in force in each engine, that every lake file exists, the sandbox that the kernel enforces, disk,
memory and secrets. It may run while the server runs. The exit code is 1 if a promise does not hold.

--fix first adds a CORS rule to the bucket of the objects, if that refuses pages of EYELINE_PUBLIC_URL. Other rules of
the bucket stay as they are.")]
pub(super) struct Arguments {
    /// Print the report as JSON, for scripts
    #[arg(long)]
    json: bool,
    /// Correct what can be corrected: the CORS rules of the bucket
    #[arg(long)]
    fix: bool,
}

pub(super) async fn run(settings: &Settings, arguments: &Arguments) -> Result<(), String> {
    let clock = Clock::default();
    let origin = settings.public_url();
    let mut found = machine::checks(settings).await;
    if arguments.fix {
        found.extend(fix(settings, &origin).await?);
    }
    found.extend(settings::checks(settings));
    found.extend(checks::catalog(&settings.catalog_url(), || clock.real_now()).await);
    found.extend(checks::inbox(&settings.inbox_url()).await);
    found.extend(checks::objects(&settings.objects(), &origin).await);
    found.extend(checks::cache(&settings.cache_url).await);
    found.extend(checks::lake(&settings.catalog_url(), &settings.objects()).await);
    found.extend(server(client::readiness(settings).await));

    let broken = found.iter().filter(|check| check.verdict == Verdict::Broken).count();
    if arguments.json {
        say(&json!({"holds": broken == 0, "checks": found}).to_string());
    } else {
        found.iter().for_each(|check| say(&line(check)));
    }
    match broken {
        0 => Ok(()),
        1 => Err("1 promise does not hold".to_owned()),
        many => Err(format!("{many} promises do not hold")),
    }
}

/// Corrects what can be corrected. Returns what was changed.
async fn fix(settings: &Settings, origin: &str) -> Result<Option<Check>, String> {
    let is_changed = checks::let_pages(&settings.objects(), origin).await.map_err(|error| {
        format!("the CORS rules of the bucket could not be set: {error}. The credentials need to read and write them")
    })?;
    Ok(is_changed
        .then(|| Check::holds("objects.cors.fixed", format!("a CORS rule for {origin} was added to the bucket"))))
}

fn line(check: &Check) -> String {
    let verdict = match check.verdict {
        Verdict::Holds => "ok",
        Verdict::Noted => "note",
        Verdict::Broken => "BROKEN",
    };
    let remedy = check.remedy.as_ref().map(|remedy| format!(". {remedy}")).unwrap_or_default();
    format!("{verdict:<7} {:<27} {}{remedy}", check.name, check.found)
}

/// Facts that only a running server knows: the state of its engines.
fn server((url, told): (String, Option<Value>)) -> Vec<Check> {
    const NAME: &str = "server";
    let Some(engines) = told.as_ref().and_then(|told| told["engines"].as_array()) else {
        let remedy = "Start one, or set EYELINE_URL: only a running server knows of a failed fsync.";
        return vec![Check::noted(NAME, format!("no server answers at {url}"), remedy)];
    };
    const KEPT: &str = "Events are accepted, and counted once the partition is free.";
    let remedy = "After a failed fsync nothing is accepted until a restart: check the server's log and the disk, then \
                  restart it.";
    const SLOWER: &str =
        "Until it answers, pages take longer, and processes notice changes later: check EYELINE_CACHE_URL.";
    let away = engines.iter().filter(|engine| engine["reachable"] != true);
    let away = away.filter_map(|engine| Some((engine["name"].as_str()?, engine["required"] != false)));
    let broken: Vec<Check> = away
        .map(|(name, is_required)| {
            let remedy = if is_required { remedy } else { SLOWER };
            Check::broken(format!("{NAME}.{name}"), format!("the server at {url} cannot use it"), remedy)
        })
        .collect();
    let troubles = told.as_ref().and_then(|told| told["troubles"].as_array()).into_iter().flatten();
    let troubles = troubles.filter_map(Value::as_str);
    let troubles = troubles.map(|found| Check::broken(format!("{NAME}.partitions"), found, KEPT));
    let broken: Vec<Check> = broken.into_iter().chain(troubles).collect();
    if broken.is_empty() { vec![Check::holds(NAME, format!("{url} answers, and so do its engines"))] } else { broken }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(inbox: bool) -> Option<Value> {
        Some(json!({"engines": [{"name": "catalog", "reachable": true}, {"name": "inbox", "reachable": inbox}]}))
    }

    #[test]
    fn a_running_server_whose_inbox_failed_breaks_the_promise() {
        let judge = |told| server(("http://x".to_owned(), told));
        assert_eq!(judge(told(true))[0].verdict, Verdict::Holds);
        assert_eq!(judge(None)[0].verdict, Verdict::Noted);
        let slower = json!({"engines": [{"name": "cache", "reachable": false, "required": false}]});
        let slower = judge(Some(slower));
        assert_eq!((slower.len(), slower[0].name.as_str()), (1, "server.cache"));
        assert!(slower[0].remedy.as_ref().is_some_and(|remedy| remedy.contains("EYELINE_CACHE_URL")));
        let broken = judge(told(false));
        assert_eq!((broken.len(), broken[0].name.as_str()), (1, "server.inbox"));
        assert_eq!(broken[0].verdict, Verdict::Broken);
    }

    #[test]
    fn a_line_says_what_was_found_and_what_to_do() {
        let check = Check::broken("catalog.fsync", "fsync is off", "Set fsync = on.");
        assert_eq!(line(&check), "BROKEN  catalog.fsync               fsync is off. Set fsync = on.");
    }
}
