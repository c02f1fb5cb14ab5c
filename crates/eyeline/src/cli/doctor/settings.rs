//! Settings and secrets: the operator's choices, and the rights to the secret files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use eyeline_store::checks::Check;

use crate::settings::Settings;

pub(super) fn checks(settings: &Settings) -> Vec<Check> {
    let mut checks = vec![
        secrets(&settings.data, settings.secret.is_none(), settings.admin_key.is_none()),
        Check::of(
            !settings.test_clock,
            "settings.test_clock",
            if settings.test_clock { "the test clock is on" } else { "the clock cannot be set" },
            "Anyone with the admin key can change every timestamp, weight and expiry: unset EYELINE_TEST_CLOCK.",
        ),
    ];
    let is_open = !settings.listen.ip().is_loopback();
    checks.push(match &settings.public_url {
        None if is_open => Check::noted(
            "settings.public_url",
            format!("links begin with {}, which nobody else can reach", settings.public_url()),
            "Set EYELINE_PUBLIC_URL to the address that clients use.",
        ),
        Some(url) if is_open && url.starts_with("http://") => Check::noted(
            "settings.public_url",
            format!("clients use {url}, where keys and links travel unencrypted"),
            "Put a TLS proxy in front of the server, and set EYELINE_PUBLIC_URL to its https:// address.",
        ),
        _ => Check::holds("settings.public_url", format!("links begin with {}", settings.public_url())),
    });
    checks
}

/// Checks that only their owner may read the folder and the keys in it. Keys from the settings are not in the folder.
fn secrets(data: &Path, secret_in_file: bool, admin_key_in_file: bool) -> Check {
    const NAME: &str = "secrets";
    let mut files = vec![(data.to_owned(), "700")];
    files.extend(secret_in_file.then(|| (data.join("secret"), "600")));
    files.extend(admin_key_in_file.then(|| (data.join("admin.key"), "600")));
    let mut open = Vec::new();
    let mut missing = Vec::new();
    for (path, mode) in files {
        match fs::metadata(&path) {
            Ok(metadata) if metadata.permissions().mode() & 0o077 == 0 => {}
            Ok(_) => open.push(format!("chmod {mode} {}", path.display())),
            Err(_) => missing.push(path.display().to_string()),
        }
    }
    if !open.is_empty() {
        return Check::broken(NAME, "others on this machine can read secrets", format!("{}.", open.join("; ")));
    }
    if !missing.is_empty() {
        let found = format!("these are missing or cannot be read: {}", missing.join(", "));
        return Check::noted(NAME, found, "The first start creates them.");
    }
    Check::holds(NAME, "only their owner can read the data folder and its keys")
}

#[cfg(test)]
mod tests {
    use eyeline_store::checks::Verdict;

    use super::*;

    #[test]
    fn a_key_that_others_can_read_breaks_the_promise() {
        let parent = tempfile::tempdir().expect("a folder");
        let data = parent.path().join("data");
        assert_eq!(secrets(&data, true, true).verdict, Verdict::Noted);
        let folder = crate::data_folder::DataFolder::open(&data).expect("a data folder");
        folder.secret().expect("a secret");
        folder.admin_key().expect("a key");
        assert_eq!(secrets(&data, true, true).verdict, Verdict::Holds);

        fs::set_permissions(data.join("admin.key"), fs::Permissions::from_mode(0o644)).expect("rights");
        let broken = secrets(&data, true, true);
        assert_eq!(broken.verdict, Verdict::Broken);
        assert!(broken.remedy.expect("a remedy").contains("chmod 600"));
        assert_eq!(secrets(&data, true, false).verdict, Verdict::Holds, "the settings give the key");

        fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).expect("rights");
        assert_eq!(secrets(&data, true, false).verdict, Verdict::Broken);
    }

    #[test]
    fn a_clock_that_can_be_set_breaks_the_promise() {
        let verdict = |settings: &Settings, name: &str| {
            checks(settings).into_iter().find(|check| check.name == name).expect(name).verdict
        };
        let mut settings = Settings::default();
        assert_eq!(verdict(&settings, "settings.test_clock"), Verdict::Holds);
        assert_eq!(verdict(&settings, "settings.public_url"), Verdict::Holds);
        settings.test_clock = true;
        settings.listen = "0.0.0.0:80".parse().expect("an address");
        assert_eq!(verdict(&settings, "settings.test_clock"), Verdict::Broken);
        assert_eq!(verdict(&settings, "settings.public_url"), Verdict::Noted);
    }
}
