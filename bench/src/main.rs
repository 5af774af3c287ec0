//! `make bench`: what the filter costs on a real Envoy, beside what a user would take instead.
//!
//! Each variant is a configuration of Envoy, in front of the same backend and under the same load. What is measured
//! here depends on the machine. What no machine changes is in the testbed's `figures`.

// Of JSON that is made here.
#![allow(clippy::indexing_slicing)]

mod aims;
mod backend;
mod chart;
mod configuration;
mod controller;
mod envoy;
mod ext_proc;
mod floor;
mod load;
mod lua;
mod measure;
mod middle;
mod place;
mod process;
mod report;
mod services;
mod variants;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use configuration::Configuration;
use load::{WORKLOADS, Workload};
use measure::{Cell, Plan, measure};
use place::Place;
use services::Services;
use testbed::ports::free;

const USAGE: &str = "\
usage: bench [--quick]
       bench controller [--services NUMBER] [--updates NUMBER]

  --quick     fewer rounds and sizes: under five minutes instead of most of an hour
  --services  in the mesh of the controller [default: 100000]
  --updates   of each form's gateway under load [default: 1000]";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[String]) -> Result<()> {
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    let plan = match words.as_slice() {
        [] => full(),
        ["--quick"] => quick(),
        ["-h" | "--help"] => {
            println!("{USAGE}");
            return Ok(());
        }
        ["controller", options @ ..] => {
            let plan = controller::Plan::parse(options).context(USAGE)?;
            return tokio::select! {
                measured = controller::run(plan) => measured,
                _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            };
        }
        // The processes that the benchmark starts beside Envoy.
        ["backend", addresses @ ..] => {
            let addresses: Result<Vec<_>, _> = addresses.iter().map(|text| text.parse()).collect();
            return backend::serve(&addresses?).await;
        }
        ["ext-proc", address, vips] => {
            return ext_proc::serve(address.parse()?, vips.as_ref()).await;
        }
        _ => bail!("unknown arguments {words:?}\n{USAGE}"),
    };
    let (cells, configuration) = tokio::select! {
        measured = all(&plan) => measured?,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    };
    let quick = arguments.contains(&"--quick".to_owned());
    let results = report::Results::new(&cells, &configuration, plan.rounds, quick);
    results.write().context("bench/results.json")?;
    chart::write(&cells, &results.source()).context("bench/cpu.svg")?;
    report::print(&cells);
    report::print_configuration(&configuration);
    aims::print(&cells, &configuration)?;
    println!("\n{}: bench/results.json, bench/cpu.svg", results.source());
    Ok(())
}

async fn all(plan: &Plan) -> Result<(Vec<Cell>, Configuration)> {
    let cells = measure(plan, &|what| eprintln!("{what}")).await?;
    eprintln!("{} services: reading the configuration", configuration::SERVICES);
    Ok((cells, read().await?))
}

/// Measures how a large configuration is read.
async fn read() -> Result<Configuration> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("services.json");
    let loopback = [[127, 0, 0, 1].into()];
    let port = || free(&loopback).map(|port| ([127, 0, 0, 1], port).into());
    let place = Place { listener: port()?, admin: port()?, ext_proc: port()?, file: &file };
    let services = Services { count: configuration::SERVICES, port: free(&loopback)? };
    configuration::measure(&services, &place).await
}

fn full() -> Plan {
    let mut groups = vec![(10_000, 1, WORKLOADS.to_vec())];
    for workers in [1, 2] {
        for services in [10, 10_000, 100_000] {
            if (services, workers) != (10_000, 1) {
                groups.push((services, workers, vec![Workload::Small]));
            }
        }
    }
    Plan { rounds: 7, groups }
}

fn quick() -> Plan {
    Plan { rounds: 3, groups: vec![(10_000, 1, vec![Workload::Small, Workload::Download])] }
}
