//! The command line, from its definition.

use clap::{Arg, Command, CommandFactory};

use super::cell;
use crate::cli::Cli;

const HEAD: &str = "<!-- Written by `make docs` from src/cli.rs. -->\n\
    # Command line\n\n\
    A wrong setting ends the process at once with status 2 and a message that names it. An empty value is the same as none.\n\
    `hydra-operator <command> --help` shows the same.\n\n\
    | command | |\n|---|---|\n";

/// The page of all commands, with the settings of `run`.
pub fn page() -> String {
    let cli = Cli::command();
    let mut page = HEAD.to_owned();
    page.extend(cli.get_subcommands().map(summary));
    page.extend(cli.get_subcommands().filter(|command| has_flags(command)).map(settings));
    page
}

fn summary(command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    format!("| `hydra-operator {}` | {} |\n", usage(command), cell(&about))
}

/// A table for each heading.
fn settings(command: &Command) -> String {
    let mut section = format!("\n## {}\n", command.get_name());
    let mut heading = None;
    for arg in command.get_arguments().filter(|arg| arg.get_long().is_some()) {
        if arg.get_help_heading() != heading {
            heading = arg.get_help_heading();
            section.push_str("\n### ");
            section.push_str(heading.unwrap_or("Others"));
            section.push_str("\n\n| flag | variable | default | |\n|---|---|---|---|\n");
        }
        section.push_str(&row(arg));
    }
    section
}

fn usage(command: &Command) -> String {
    let values = command.get_positionals().map(|arg| choices(arg).join("\\|"));
    std::iter::once(command.get_name().to_owned()).chain(values).collect::<Vec<_>>().join(" ")
}

fn has_flags(command: &Command) -> bool {
    command.get_arguments().any(|arg| arg.get_long().is_some())
}

fn row(arg: &Arg) -> String {
    let name = arg.get_long().unwrap_or_default();
    let takes_value = arg.get_action().takes_values();
    let value = arg.get_value_names().filter(|_| takes_value).and_then(|names| names.first());
    let flag = value.map_or_else(|| name.to_owned(), |value| format!("{name}={value}"));
    let variable = arg.get_env().map(|name| format!("`{}`", name.to_string_lossy()));
    let defaults = arg.get_default_values().iter().filter(|_| takes_value);
    let defaults: Vec<_> = defaults.map(|value| format!("`{}`", value.to_string_lossy())).collect();
    let default = if arg.is_required_set() { "required".to_owned() } else { defaults.join(", ") };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let help = match choices(arg).join(", ") {
        choices if takes_value && !choices.is_empty() => format!("{help}: {choices}"),
        _ => help,
    };
    format!("| `--{flag}` | {} | {default} | {} |\n", variable.unwrap_or_default(), cell(&help))
}

fn choices(arg: &Arg) -> Vec<String> {
    let values = arg.get_possible_values();
    values.iter().map(|value| value.get_name().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flag_has_its_row() {
        let page = page();
        for row in [
            "| `hydra-operator run` | Runs the operator until it is told to stop",
            "| `hydra-operator reference oauth2client\\|jsonwebkeyset\\|cli` |",
            "### Leader election",
            "| `--hydra-admin-url=URL` | `HYDRA_ADMIN_URL` | required | Base URL",
            "| `--concurrency=N` | `CONCURRENCY` | `8` |",
            "| `--observe` | `OBSERVE` |  | Write nothing",
            "| `--log-format=FORMAT` | `LOG_FORMAT` | `text` | Format of the log, which is written to standard error: text, json |",
            "| `--kubeconfig=FILE` |  |  |",
        ] {
            assert!(page.contains(row), "{row}\n{page}");
        }
        let flags = Cli::command();
        let run = flags.get_subcommands().find(|command| command.get_name() == "run").unwrap();
        for flag in run.get_arguments().filter_map(Arg::get_long) {
            assert!(page.contains(&format!("| `--{flag}")), "{flag}");
        }
    }
}
