//! Every command in the README and in `docs/`, run page by page with the objects of `testdata/docs/`: the command line
//! as it is, Envoy with `--mode validate`, and what would change a cluster or a registry by stand-ins, which check that
//! the files are there. Output that a page shows is compared (`UPDATE_GOLDEN=1` writes it). `cli/tests/docs.rs` compares
//! what is generated.
//!
//! This program is the command line, too: under that name it runs it, so that no other build of it is needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "docs/page.rs"]
mod page;
#[path = "docs/sandbox.rs"]
mod sandbox;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;
use ingress_waypoint::Policy;
use ingress_waypoint_cli::run::{self, Cli};
use page::{Page, Step};
use sandbox::Sandbox;
use serde_json::Value;
use testbed::envoy::Envoy;
use testbed::{native, workspace};

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let name = PathBuf::from(arguments.next().unwrap());
    if name.file_name().is_some_and(|name| name == "ingress-waypoint") {
        return command_line();
    }
    // A filter of `cargo test` for other tests.
    if arguments.any(|filter| !filter.starts_with('-') && !"docs".contains(&filter)) {
        return ExitCode::SUCCESS;
    }
    if !native::examples().unwrap().contains(&"module.yaml") {
        println!("docs: skipped, they are about a later Envoy");
        return ExitCode::SUCCESS;
    }
    let mut failures = Vec::new();
    let mut steps = 0;
    for path in pages() {
        let page = Page::read(&path);
        let sandbox = Sandbox::new();
        let outcomes = page.steps.iter().map(|step| (step, run(&sandbox, step)));
        let outcomes: Vec<_> = outcomes.collect();
        steps += outcomes.len();
        page.update(outcomes.iter().filter_map(|(step, done)| Some((*step, done.as_ref().ok()?))));
        let shown = path.display();
        for (step, outcome) in &outcomes {
            let problem = match outcome {
                Err(problem) => problem.clone(),
                Ok(output) if !page::updates() && !step.expects(output) => {
                    format!("prints now:\n{output}")
                }
                Ok(_) => continue,
            };
            failures.push(format!("{shown}:{}: {}\n{problem}", step.line, step.command));
        }
        for (line, language, text) in &page.data {
            if let Err(problem) = data(language, text) {
                failures.push(format!("{shown}:{line}: {problem}"));
            }
        }
    }
    assert!(steps > 40, "only {steps} commands");
    println!("docs: {steps} commands, {} failed", failures.len());
    for failure in &failures {
        eprintln!("{failure}\n");
    }
    ExitCode::from(u8::from(!failures.is_empty()))
}

/// What the program `ingress-waypoint` does.
fn command_line() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    run::run(cli).map_or_else(
        |error| {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        },
        Into::into,
    )
}

fn pages() -> Vec<PathBuf> {
    let mut pages = vec![workspace().join("README.md")];
    for folder in ["docs", "docs/install"] {
        let files = std::fs::read_dir(workspace().join(folder)).unwrap();
        let files = files.map(|entry| entry.unwrap().path());
        pages.extend(files.filter(|path| path.extension().is_some_and(|e| e == "md")));
    }
    pages.sort();
    pages
}

/// Runs a command; what it prints, or why it should not be in a page.
fn run(sandbox: &Sandbox, step: &Step) -> Result<String, String> {
    let mut words = step.command.split_whitespace().skip_while(|word| word.contains('='));
    let program = words.next().unwrap_or_default();
    let done = match program {
        // CI runs the targets; here they have to exist.
        "make" => sandbox.at_home(&step.command.replacen("make", "make -n", 1)),
        // CI runs cargo: this is one of its runs. The test that is named has to exist.
        "cargo" => {
            let test = words.skip_while(|word| *word != "--test").nth(1);
            let there = |folder: &str| {
                let path = format!("{folder}/tests/{}.rs", test.unwrap_or_default());
                workspace().join(path).exists()
            };
            let found = test.is_none() || ["cli", "testbed"].into_iter().any(there);
            return found.then(String::new).ok_or_else(|| "no such test".to_owned());
        }
        _ => sandbox.run(&step.command),
    };
    // `check` tells by its exit code what it found, and `diff` whether there is a difference.
    let found = |name: &str| step.command.contains(&format!("ingress-waypoint {name} "));
    let highest = if found("check") { 2 } else { i32::from(found("diff")) };
    let code = done.status.code().unwrap_or(-1);
    let output = String::from_utf8(done.stdout).unwrap();
    let error = String::from_utf8_lossy(&done.stderr);
    if (0..=highest).contains(&code) && (code == 0 || !output.is_empty()) {
        return Ok(output);
    }
    Err(format!("ends with {code}:\n{error}"))
}

/// Checks a fence that holds data.
fn data(language: &str, text: &str) -> Result<(), String> {
    let documents: Vec<Value> = match language {
        "json" => vec![serde_json::from_str(text).map_err(|error| error.to_string())?],
        _ => serde_saphyr::from_multiple(text).map_err(|error| error.to_string())?,
    };
    for document in documents {
        if document.get("static_resources").is_some() {
            Envoy::validate(&document)?;
        }
        if document.get("services").is_some() {
            let policy = Policy::from_json(document.to_string().as_bytes(), Some("true"));
            policy.map_err(|problems| problems.to_string())?;
        }
    }
    Ok(())
}

/// A path as a shell takes it.
fn shown(path: &Path) -> String {
    format!("'{}'", path.display())
}
