//! A page, as far as it can be run.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// How a whole manifest of a resource begins.
const MANIFEST: &str = "apiVersion: hydra.ory.sh/";

/// A page and what it asks for.
pub struct Page {
    /// Relative to the repository.
    pub path: String,
    /// The file whose tests run its commands instead.
    pub run_by: Option<String>,
    pub text: String,
    parts: Vec<Part>,
}

pub enum Part {
    /// A file that the commands below it use.
    File { name: String, content: String },
    /// Commands that have to succeed.
    Step(Step),
    /// Commands that nobody runs.
    Skipped { line: usize, reason: String },
}

/// Commands and what they print, as far as it is told.
pub struct Step {
    pub line: usize,
    pub commands: String,
    pub prints: Vec<String>,
}

impl Step {
    /// Whether the page shows that it fails.
    pub fn fails(&self) -> bool {
        let first = self.prints.first();
        first.is_some_and(|line| line.starts_with("Error") || line.contains(" is invalid: "))
    }
}

/// A path of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

impl Page {
    pub fn read(path: &str) -> Self {
        let text = fs::read_to_string(repository(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        let mut page =
            Self { path: path.to_owned(), run_by: None, text: text.clone(), parts: Vec::new() };
        let mut lines = text.lines().zip(1..);
        while let Some((line, number)) = lines.next() {
            if let Some(info) = line.trim_start().strip_prefix("```") {
                let indent = line.len() - line.trim_start().len();
                let block = lines.by_ref().map(|(line, _)| line.get(indent..).unwrap_or_default());
                let block: Vec<_> = block.take_while(|line| !line.starts_with("```")).collect();
                page.add_block(info, number, &block);
            } else if line == "<!-- test" {
                let block = lines.by_ref().map(|(line, _)| line);
                let block: Vec<_> = block.take_while(|line| *line != "-->").collect();
                page.add_block("sh", number, &block);
            } else if let Some(rest) = line.strip_prefix("<!-- run by: ") {
                page.run_by = Some(rest.trim_end_matches(" -->").to_owned());
            }
        }
        page
    }

    fn add_block(&mut self, info: &str, line: usize, block: &[&str]) {
        let (language, rest) = info.split_once(' ').unwrap_or((info, ""));
        if let Some(reason) = rest.strip_prefix("no-test") {
            let reason = reason.trim_start_matches(':').trim().to_owned();
            self.parts.push(Part::Skipped { line, reason });
            return;
        }
        match language {
            "sh" => self.parts.push(Part::Step(Step {
                line,
                commands: block.join("\n"),
                prints: Vec::new(),
            })),
            "console" => self.parts.extend(steps(block, line).into_iter().map(Part::Step)),
            "yaml" if !rest.is_empty() => {
                let (name, content) = (rest.to_owned(), block.join("\n") + "\n");
                self.parts.push(Part::File { name, content });
            }
            "yaml" if block.first().is_some_and(|line| line.starts_with(MANIFEST)) => {
                let (name, content) = (format!("manifest-{line}.yaml"), block.join("\n") + "\n");
                let commands =
                    format!("kubectl apply --dry-run=server --validate=strict -f {name}");
                self.parts.push(Part::File { name, content });
                self.parts.push(Part::Step(Step { line, commands, prints: Vec::new() }));
            }
            _ => {}
        }
    }

    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// What is run.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.parts.iter().filter_map(|part| match part {
            Part::Step(step) => Some(step),
            Part::File { .. } | Part::Skipped { .. } => None,
        })
    }

    /// What is not run: where it stands, and why.
    pub fn skipped(&self) -> impl Iterator<Item = (String, &str)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Skipped { line, reason } => Some((format!("{}:{line}", self.path), &**reason)),
            Part::File { .. } | Part::Step(_) => None,
        })
    }

    /// All pages.
    pub fn all() -> Vec<Self> {
        let mut paths =
            vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned(), "SECURITY.md".to_owned()];
        collect(Path::new("docs"), &mut paths);
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }
}

fn collect(folder: &Path, paths: &mut Vec<String>) {
    for entry in fs::read_dir(repository(folder.to_str().unwrap())).unwrap() {
        let path = folder.join(entry.unwrap().file_name());
        if repository(path.to_str().unwrap()).is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path.to_str().unwrap().to_owned());
        }
    }
}

/// A step for each prompt.
fn steps(block: &[&str], first: usize) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (text, line) in block.iter().zip(first + 1..) {
        if let Some(command) = text.strip_prefix("$ ") {
            steps.push(Step { line, commands: command.to_owned(), prints: Vec::new() });
            continue;
        }
        let step = steps.last_mut().expect("a block `console` begins with a prompt");
        if step.prints.is_empty() && step.commands.ends_with('\\') {
            step.commands.push('\n');
            step.commands.push_str(text);
        } else {
            step.prints.push((*text).to_owned());
        }
    }
    steps
}
