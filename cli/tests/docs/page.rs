//! A page of Markdown: its commands, with the output that it shows, and its data.

use std::path::{Path, PathBuf};

/// One command, and what the page says that it prints.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its line in the page, counted from one.
    pub line: usize,
    /// As a shell takes it.
    pub command: String,
    /// The lines of its output, as indices into the page's lines.
    output: std::ops::Range<usize>,
    expected: Vec<String>,
}

/// A page.
#[derive(Debug)]
pub struct Page {
    path: PathBuf,
    lines: Vec<String>,
    /// The commands in their order.
    pub steps: Vec<Step>,
    /// Fences that hold data: the line, the language and the text.
    pub data: Vec<(usize, String, String)>,
}

impl Page {
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let (mut steps, mut data) = (Vec::new(), Vec::new());
        let mut at = 0;
        while let Some(line) = lines.get(at) {
            let Some(language) = line.trim_start().strip_prefix("```") else {
                at += 1;
                continue;
            };
            let indent = line.len() - line.trim_start().len();
            let body = at + 1;
            let is_end = |line: &String| line.trim_start().starts_with("```");
            let length = lines[body..].iter().position(is_end).unwrap();
            let inside = &lines[body..body + length];
            match language {
                "console" => steps.extend(commands(inside, body)),
                "json" | "yaml" => {
                    let text = inside.iter().map(|line| line.get(indent..).unwrap_or_default());
                    data.push((body, language.to_owned(), text.collect::<Vec<_>>().join("\n")));
                }
                "" | "text" => {}
                other => panic!("{}:{body}: a fence of {other}", path.display()),
            }
            at = body + length + 1;
        }
        Self { path: path.to_owned(), lines, steps, data }
    }

    /// Writes the output of the commands into the page.
    pub fn update(&self, outputs: &[Result<String, String>]) {
        let mut lines = self.lines.clone();
        for (step, output) in self.steps.iter().zip(outputs).rev() {
            if let Ok(output) = output
                && !step.expects(output)
            {
                lines.splice(step.output.clone(), output.lines().map(str::to_owned));
            }
        }
        std::fs::write(&self.path, lines.join("\n") + "\n").unwrap();
    }
}

impl Step {
    /// Whether the output is what the page shows. A page that shows none has nothing to compare, and a line `...`
    /// stands for any lines.
    pub fn expects(&self, output: &str) -> bool {
        let actual: Vec<_> = output.lines().map(str::trim_end).collect();
        self.expected.is_empty() || matches(&self.expected, &actual)
    }
}

fn matches(expected: &[String], actual: &[&str]) -> bool {
    match expected.split_first() {
        None => actual.is_empty(),
        Some((line, rest)) if line == "..." => {
            (0..=actual.len()).any(|skipped| matches(rest, &actual[skipped..]))
        }
        Some((line, rest)) => {
            actual.split_first().is_some_and(|(first, after)| line == first && matches(rest, after))
        }
    }
}

/// The commands of a fence whose text begins at `first`.
fn commands(lines: &[String], first: usize) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut continued = false;
    for (index, line) in (first..).zip(lines) {
        let text = line.trim_start().strip_prefix("$ ");
        if let (true, Some(step)) = (continued, steps.last_mut()) {
            step.command.push('\n');
            step.command.push_str(line);
            step.output = index + 1..index + 1;
        } else if let Some(command) = text {
            let (output, command) = (index + 1..index + 1, command.to_owned());
            steps.push(Step { line: index + 1, command, output, expected: Vec::new() });
        } else {
            let step = steps.last_mut().unwrap();
            step.output.end = index + 1;
            step.expected.push(line.trim_end().to_owned());
            continue;
        }
        continued = line.ends_with('\\');
    }
    steps
}
