//! The README and `docs/`: what is generated from the code is up to date, every link leads somewhere, every test that the
//! security page names is there, and every command runs. `UPDATE_GOLDEN=1` writes what is generated, and the output of
//! commands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../command/mod.rs"]
mod command;
mod generate;
#[path = "../golden/mod.rs"]
mod golden;
mod page;
mod sandbox;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use golden::workspace;
use ingress_waypoint::Policy;
use page::{Page, Step};
use sandbox::Sandbox;
use serde_json::Value;

/// The README and all pages, as paths from the root of the workspace.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![PathBuf::from("README.md")];
    for folder in ["docs", "docs/install"] {
        let names = golden::names(folder).into_iter().filter(|name| name.ends_with(".md"));
        pages.extend(names.map(|name| Path::new(folder).join(name)));
    }
    pages.sort();
    pages
}

/// A page with `text` between the marker of `region` and the next end.
fn with_region(page: &str, region: &str, text: &str) -> String {
    let begin = format!("<!-- generated: {region} -->\n");
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("no {begin}"));
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    format!("{before}{begin}{text}<!-- end -->{after}")
}

#[test]
fn generated_parts_are_up_to_date() {
    for (page, region, text) in [
        ("docs/command-line.md", "commands", generate::commands()),
        ("docs/compatibility.md", "versions", generate::versions()),
        ("docs/compatibility.md", "istio-differences", generate::istio_differences()),
        ("docs/configuration.md", "configuration", generate::configuration()),
        ("docs/findings.md", "findings", generate::findings()),
        ("docs/performance.md", "figures", generate::figures()),
    ] {
        golden::golden(Path::new(page), &with_region(&golden::text(page), region, &text));
    }
}

#[test]
fn the_readme_is_one_page() {
    let lines = golden::text("README.md").lines().count();
    assert!(lines <= 150, "README.md has {lines} lines");
}

/// A heading's name in a link, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

/// A page without its fences, whose lines are not Markdown.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let outside = |line: &&str| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    };
    text.lines().filter(outside).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_link_leads_somewhere() {
    let mut links = 0;
    for page in pages() {
        let text = prose(&golden::text(&page));
        for target in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if target.contains("://") {
                continue;
            }
            links += 1;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file =
                if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(workspace().join(&file).exists(), "{}: {target}", page.display());
            if !heading.is_empty() {
                let there = prose(&golden::text(&file));
                let headings = there.lines().filter_map(|line| line.strip_prefix('#'));
                let found = headings.map(|line| anchor(line.trim_start_matches('#')));
                assert!(found.into_iter().any(|a| a == heading), "{}: {target}", page.display());
            }
        }
    }
    assert!(links > 50);
}

#[test]
fn the_index_has_every_page() {
    let index = golden::text("docs/README.md");
    for page in pages().iter().filter_map(|page| page.strip_prefix("docs").ok()) {
        let page = page.to_str().unwrap();
        assert!(page == "README.md" || index.contains(&format!("({page})")), "{page}");
    }
}

/// All Rust files of the workspace in one text, each after its path.
fn sources(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !name.starts_with('.') && !matches!(name, "target" | "dist") {
            sources(&path, all);
        } else if name.ends_with(".rs") {
            all.push_str(path.strip_prefix(workspace()).unwrap().to_str().unwrap());
            all.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_that_the_security_page_names_is_there() {
    let mut all = String::new();
    sources(&workspace(), &mut all);
    let page = golden::text("docs/security.md");
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let shown: BTreeSet<_> = rows
        .flat_map(|row| row.trim_end_matches(" |").rsplit(" | ").next().unwrap().split('`'))
        .filter(|part| !part.contains([' ', ':', ';', ',', '|', '*']) && !part.is_empty())
        .collect();
    assert!(shown.len() > 30, "{shown:?}");
    for name in shown {
        let is_there = if name.contains('/') {
            workspace().join(name).exists()
        } else if name.contains('_') {
            name.split('…').all(|part| all.contains(part))
        } else {
            all.contains(&format!("/{name}.rs")) || all.contains(&format!("/{name}/"))
        };
        assert!(is_there, "{name}");
    }
}

#[test]
#[ignore = "needs Envoy 1.40, `make wasm` and `make module`: `make docs` runs it"]
fn every_command_runs() {
    if sandbox::envoy_minor() < 40 {
        println!("skipped: the pages are about Envoy 1.40");
        return;
    }
    let mut failures = Vec::new();
    let mut count = 0;
    for path in pages() {
        let page = Page::read(&workspace().join(&path));
        let sandbox = Sandbox::new();
        let outcomes: Vec<_> = page.steps.iter().map(|step| run(&sandbox, step)).collect();
        count += outcomes.len();
        if golden::updates() {
            page.update(&outcomes);
        }
        for (step, outcome) in page.steps.iter().zip(&outcomes) {
            let problem = match outcome {
                Err(problem) => problem.clone(),
                Ok(output) if !golden::updates() && !step.expects(output) => {
                    format!("prints now:\n{output}")
                }
                Ok(_) => continue,
            };
            let place = format!("{}:{}", path.display(), step.line);
            failures.push(format!("{place}: {}\n{problem}", step.command));
        }
        for (line, language, text) in &page.data {
            if let Err(problem) = data(&sandbox, language, text) {
                failures.push(format!("{}:{line}: {problem}", path.display()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(count > 80, "only {count} commands");
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
            let there = |test| workspace().join("cli/tests").join(test).exists();
            let found = test.is_none_or(there);
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
fn data(sandbox: &Sandbox, language: &str, text: &str) -> Result<(), String> {
    let documents: Vec<Value> = match language {
        "json" => vec![serde_json::from_str(text).map_err(|error| error.to_string())?],
        _ => serde_saphyr::from_multiple(text).map_err(|error| error.to_string())?,
    };
    for document in documents {
        if document.get("static_resources").is_some() {
            sandbox.validate(&document.to_string())?;
        }
        if document.get("services").is_some() {
            let policy = Policy::from_json(document.to_string().as_bytes(), Some("true"));
            policy.map_err(|problems| problems.to_string())?;
        }
    }
    Ok(())
}
