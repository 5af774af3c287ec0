//! The core and the native module: their instructions, counted by callgrind, and what they allocate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use testbed::workspace;

/// Where instructions can be counted. They are those of one kind of processor, and not every system has
/// valgrind.
pub fn possible() -> bool {
    let valgrind = || Command::new("valgrind").arg("--version").output().is_ok();
    cfg!(all(target_os = "linux", target_arch = "x86_64")) && valgrind()
}

/// What `cargo` builds with these arguments, as the native module is built.
fn build(arguments: &[&str]) -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--profile=module", "--quiet", "--message-format=json"])
        .current_dir(workspace())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let messages = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut programs = messages.filter_map(|message| Some(message["executable"].as_str()?.into()));
    programs.next_back().expect("a program")
}

fn run(command: &mut Command) -> (String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

/// The instructions of the functions with `measured` in their name, and of all that they call.
fn instructions(program: &Path, arguments: &[&str], services: &str, measured: &str) -> u64 {
    let (_, said) = run(Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect=*{measured}*"))
        .arg(program)
        .args(arguments)
        .env("SERVICES", services));
    let count = said.lines().find_map(|line| line.split_once("Collected : ")?.1.parse().ok());
    count.filter(|count| *count > 0).unwrap_or_else(|| panic!("{measured} was not seen:\n{said}"))
}

fn core(figures: &mut BTreeMap<String, u64>) {
    let example = ["build", "--package", "ingress-waypoint", "--example", "cost"];
    let program = build(&example);
    for services in ["10", "100000"] {
        for way in ["direct", "waypoint", "unknown"] {
            let figure = |what: &str| format!("core decision {way}, {services} services: {what}");
            let (said, _) = run(Command::new(&program).args([way, services]));
            let said: Value = serde_json::from_str(&said).unwrap();
            figures
                .insert(figure("allocations"), said["decision"]["allocations"].as_u64().unwrap());
            let count = instructions(&program, &[way, services], services, "measured_decisions");
            figures.insert(figure("instructions"), count / 10_000);
            if way == "direct" {
                let figure =
                    |what: &str| format!("core configuration of {services} services: {what}");
                let of = |what: &str| said["configuration"][what].as_u64().unwrap();
                figures.insert(figure("allocations"), of("allocations"));
                figures.insert(figure("bytes of memory"), of("held"));
                figures.insert(figure("bytes of memory at most"), of("peak"));
                let measured = "measured_configuration";
                let count = instructions(&program, &[way, services], services, measured);
                figures.insert(figure("instructions"), count);
            }
        }
    }
}

fn module(figures: &mut BTreeMap<String, u64>) {
    let program = build(&["test", "--no-run", "--package", "ingress-waypoint-module", "--lib"]);
    for (way, test) in [("direct", "to_the_endpoints"), ("waypoint", "to_the_vip")] {
        for entry in ["specifier", "filter"] {
            let test = format!("tests::instructions::{test}");
            let arguments = [test.as_str(), "--exact", "--ignored", "--test-threads=1"];
            let measured = format!("measured_{entry}");
            let count = instructions(&program, &arguments, "100000", &measured);
            let figure = format!("module {entry} {way}, 100000 services: instructions");
            figures.insert(figure, count / 1000);
        }
    }
}

/// All of them.
pub fn measured() -> BTreeMap<String, u64> {
    let mut figures = BTreeMap::new();
    core(&mut figures);
    module(&mut figures);
    figures
}
