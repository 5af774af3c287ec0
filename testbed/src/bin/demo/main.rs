//! `make run`: the project on one machine. The same requests go through an Envoy ingress gateway twice, with the filter
//! off and on. The outcome has to be the expected one, and the same with both forms of the filter.

mod ask;
mod expected;
mod mesh;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use testbed::example::Example;
use testbed::program::{self, Arguments};
use testbed::scene::{Scene, SceneOptions};
use testbed::table::{self, GREEN, RED, YELLOW};
use testbed::{until_signalled, workspace};

use ask::Row;

const USAGE: &str = "\
usage: demo [--module] [--keep]

  --module  the native module (route specifier and HTTP filter) instead of the wasm filter
  --keep    leave everything running until Ctrl-C";

/// A form of the filter: `envoy/FILE` loads it, `make TARGET` builds it.
struct Form {
    example: &'static str,
    file: &'static str,
    target: &'static str,
}

const WASM: Form =
    Form { example: "filter-state.yaml", file: "dist/ingress_waypoint.wasm", target: "wasm" };
const MODULE: Form =
    Form { example: "module.yaml", file: "dist/libingress_waypoint.so", target: "module" };

#[tokio::main]
async fn main() -> ExitCode {
    match Arguments::read(USAGE) {
        Ok(Arguments { module, keep }) => {
            program::run(run(if module { &MODULE } else { &WASM }, keep)).await
        }
        Err(code) => code,
    }
}

async fn run(form: &Form, keep: bool) -> Result<()> {
    let built = workspace().join(form.file);
    ensure!(built.is_file(), "there is no {}: run `make {}`", built.display(), form.target);
    let edit = |ingress: &mut Example| {
        let mut compiled = mesh::compile(&ingress.ports)?;
        compiled.insert("annotate".into(), true.into());
        ingress.set_plugin(&compiled.into())
    };
    let options = SceneOptions {
        example: form.example.into(),
        switch: Some(false),
        ..SceneOptions::edited(edit)
    };
    let scene = Scene::start(options).await?;

    table::headline("1. Filter off (INGRESS_USE_WAYPOINTS=false)");
    println!(
        "Requests go to the endpoints and bypass the waypoint, which denies /admin: this is the problem.\n"
    );
    let off = ask::all(&scene).await?;
    print(&off);

    let scene = scene.restart_with_switch(true).await?;
    table::headline("2. Filter on (INGRESS_USE_WAYPOINTS=true)");
    println!(
        "Services that opted in are reached at their VIP, so the waypoint's policy applies.\n"
    );
    let on = ask::all(&scene).await?;
    print(&on);

    let differences = [compare(1, &off, &expected::OFF), compare(2, &on, &expected::ON)].concat();
    println!();
    if differences.is_empty() {
        table::good(
            "As expected: with the filter on, no request to a service that opted in bypasses its waypoint.",
        );
    } else {
        table::bad("Not as expected:");
        println!("{}", differences.join("\n"));
    }
    if keep {
        invite(&scene);
        until_signalled().await?;
        drop(scene);
        println!("\nstopped");
    }
    ensure!(differences.is_empty(), "{} rows are not as expected", differences.len());
    Ok(())
}

fn print(rows: &[Row]) {
    let headings = ["request", "went to", "waypoint policy", "decision", "reason"];
    let cells: Vec<_> = rows.iter().map(Row::cells).collect();
    table::print(headings, &cells, |cell| match cell.split_whitespace().next() {
        Some("skipped!") => RED,
        Some("allowed" | "denied") => GREEN,
        Some("refused") => YELLOW,
        _ => "",
    });
}

/// The rows of a phase that differ from what is expected, each with both sides.
fn compare(phase: u8, rows: &[Row], expected: &[expected::Row]) -> Vec<String> {
    let actual: Vec<_> = rows.iter().map(Row::outline).collect();
    let expected: Vec<_> = expected.iter().map(|row| row.map(str::to_owned)).collect();
    let missing = expected.iter().filter(|row| !actual.contains(row)).map(|row| ("expected", row));
    let surplus = actual.iter().filter(|row| !expected.contains(row)).map(|row| ("got", row));
    let line = |(what, row): (&str, &[String; 5])| {
        format!("  phase {phase}: {what:<8} {}", row.join(" | "))
    };
    missing.chain(surplus).map(line).collect()
}

fn invite(scene: &Scene) {
    let (address, admin) = (scene.address(), scene.ingress.admin());
    println!(
        "
Still running. To try:
  curl -i -H 'Host: reviews.example.com' http://{address}/
  curl -i -H 'Host: reviews.example.com' http://{address}/admin   # denied by the waypoint
  curl -i -H 'Host: ratings.example.com' http://{address}/admin   # not labelled
  curl -i -H 'Host: billing.example.com' http://{address}/        # refused: required, without a VIP
  curl -s http://{admin}/stats/prometheus | grep ingress_waypoint
  tail -f {log}
Ctrl-C stops it.",
        log = scene.ingress.access_log_file().display(),
    );
}
