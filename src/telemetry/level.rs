//! The level of the log as a file has it, which can change while the process runs.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use tracing::Subscriber;
use tracing_subscriber::{filter::Targets, reload::Handle};

use crate::settings::log_filter;

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(5);

/// Applies what `file` says for as long as the process runs, and `otherwise` while there is no file or nothing in it. What
/// cannot be understood changes nothing, and is told once.
pub(super) async fn follow<S: Subscriber>(
    file: PathBuf,
    otherwise: Targets,
    filter: Handle<Targets, S>,
) {
    let mut known = String::new();
    let mut interval = tokio::time::interval(INTERVAL);
    loop {
        interval.tick().await;
        let Some(text) = read(&file).await.filter(|text| *text != known) else { continue };
        known = text;
        match wanted(&known, &otherwise) {
            Ok(wanted) => {
                // Fails only when the subscriber is gone, and with it the log.
                let _ = filter.reload(wanted);
                tracing::info!(level = %shown(&known), "The log level has changed");
            }
            Err(error) => tracing::warn!(file = %file.display(), "Kept the log level: {error}"),
        }
    }
}

/// What the file holds; nothing where there is none. `None`: it cannot be told now.
async fn read(file: &Path) -> Option<String> {
    match tokio::fs::read_to_string(file).await {
        Ok(text) => Some(text.trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Some(String::new()),
        Err(_) => None,
    }
}

fn wanted(text: &str, otherwise: &Targets) -> Result<Targets, String> {
    if text.is_empty() {
        return Ok(otherwise.clone());
    }
    log_filter(text).map_err(|error| error.to_string())
}

fn shown(text: &str) -> &str {
    if text.is_empty() { "as at the start" } else { text }
}

#[cfg(test)]
mod tests {
    use tracing::level_filters::LevelFilter;

    use super::*;

    #[test]
    fn a_file_without_content_means_the_setting() {
        let setting = Targets::new().with_default(LevelFilter::WARN);
        assert_eq!(wanted("", &setting), Ok(setting.clone()));
        let debug =
            Targets::new().with_default(LevelFilter::INFO).with_target("kube", LevelFilter::DEBUG);
        assert_eq!(wanted("info,kube=debug", &setting), Ok(debug));
        assert!(wanted("loud", &setting).is_err_and(|error| error.contains("\"loud\"")));
    }
}
