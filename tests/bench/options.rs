//! How much to measure.

use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, error::ErrorKind};

/// Measures the operator on real servers, against what these can do at most.
#[derive(Clone, Debug, Parser)]
#[command(name = "bench")]
pub struct Options {
    /// New clients at once
    #[arg(long, env = "BENCH_CLIENTS", default_value_t = 1000)]
    pub clients: usize,

    /// New clients, one after another
    #[arg(long, env = "BENCH_SINGLES", default_value_t = 30)]
    pub singles: usize,

    /// Requests in flight, one round of new clients for each; the best round counts
    #[arg(long, env = "BENCH_CONCURRENCY", value_delimiter = ',', default_value = "8,16,32")]
    pub concurrency: Vec<usize>,

    /// Converged clients at a restart, ascending
    #[arg(long, env = "BENCH_RESTART", value_delimiter = ',', default_value = "100,1000,10000")]
    pub restart: Vec<usize>,

    /// Secrets that are none of the operator's
    #[arg(long, env = "BENCH_SECRETS", default_value_t = 5000)]
    pub secrets: usize,

    /// A binary of hydra-maester to measure as well
    #[arg(long, env = "MAESTER_BIN")]
    pub maester: Option<PathBuf>,

    /// The date that the report names
    #[arg(long, default_value = "not stated")]
    pub date: String,

    /// Where to write the report, besides standard output
    #[arg(long)]
    pub output: Option<PathBuf>,
}

impl Options {
    /// What was asked for; ends the process if that cannot be measured.
    pub fn checked() -> Self {
        let options = Self::parse();
        if let Err(message) = options.check() {
            <Self as CommandFactory>::command().error(ErrorKind::ValueValidation, message).exit();
        }
        options
    }

    fn check(&self) -> Result<(), &'static str> {
        let sizes = [&self.concurrency[..], &self.restart, &[self.clients, self.singles]];
        if sizes.iter().any(|sizes| sizes.is_empty() || sizes.contains(&0)) {
            return Err("there must be at least one of everything");
        }
        if !self.restart.is_sorted_by(|fewer, more| fewer < more) {
            return Err("the numbers of --restart must ascend");
        }
        Ok(())
    }

    /// The command that measures as much as this.
    pub fn command(&self) -> String {
        let list =
            |numbers: &[usize]| numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        let text = |options: &Self| {
            [
                ("BENCH_CLIENTS", options.clients.to_string()),
                ("BENCH_SINGLES", options.singles.to_string()),
                ("BENCH_CONCURRENCY", list(&options.concurrency)),
                ("BENCH_RESTART", list(&options.restart)),
                ("BENCH_SECRETS", options.secrets.to_string()),
            ]
        };
        let set = text(self).into_iter().zip(text(&Self::defaults()));
        let mut words: Vec<_> = set
            .filter(|(value, default)| value != default)
            .map(|((name, value), _)| format!("{name}={value}"))
            .collect();
        words.extend(self.maester.is_some().then(|| "MAESTER_BIN=<path>".to_owned()));
        words.push("make bench".to_owned());
        words.join(" ")
    }

    /// What holds where nothing is said, also not by the environment.
    fn defaults() -> Self {
        let command = <Self as CommandFactory>::command();
        let matches = command.mut_args(|argument| argument.env(None)).get_matches_from(["bench"]);
        Self::from_arg_matches(&matches).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_measured_is_refused() {
        let usual = Options::defaults;
        assert_eq!(usual().check(), Ok(()));
        let refused = [
            Options { clients: 0, ..usual() },
            Options { concurrency: vec![8, 0], ..usual() },
            Options { restart: vec![], ..usual() },
            Options { restart: vec![100, 100], ..usual() },
        ];
        for options in refused {
            assert!(options.check().is_err(), "{options:?}");
        }
    }

    #[test]
    fn the_command_says_what_is_not_as_usual() {
        let usual = Options::defaults();
        assert_eq!(usual.command(), "make bench");
        let shorter = Options {
            clients: 50,
            restart: vec![10, 20],
            maester: Some("maester".into()),
            ..usual
        };
        assert_eq!(
            shorter.command(),
            "BENCH_CLIENTS=50 BENCH_RESTART=10,20 MAESTER_BIN=<path> make bench"
        );
    }
}
