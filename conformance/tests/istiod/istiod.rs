//! istiod, in processes that each judge one set of objects after the other.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::thread;

use serde::Deserialize;
use serde_json::{Value, json};
use testbed::workspace;

/// The namespace of the gateway.
pub const INGRESS: &str = "istio-ingress";

/// They wait for themselves half of the time.
const PROCESSES: usize = 3;

/// What istiod says of a set of objects.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Answer {
    #[serde(default)]
    pub error: String,
    #[serde(default)]
    pub refused: Vec<Refused>,
    #[serde(default)]
    pub clusters: BTreeMap<String, Cluster>,
    #[serde(default)]
    pub services: Vec<Service>,
    #[serde(default)]
    pub ports: Vec<Port>,
}

/// An object that its clients cannot read.
#[derive(Debug, Clone, Deserialize)]
pub struct Refused {
    pub index: usize,
    pub why: String,
}

/// Where the gateway sends requests.
#[derive(Debug, Clone, Deserialize)]
pub struct Cluster {
    #[serde(rename = "type")]
    pub discovery: String,
    pub http2: bool,
    pub vips: Vec<String>,
    pub endpoints: Vec<String>,
}

/// What ztunnel is given of a service, for one host.
#[derive(Debug, Clone, Deserialize)]
pub struct Service {
    pub namespace: String,
    pub name: String,
    pub host: String,
    pub addresses: Vec<String>,
    #[serde(default)]
    pub waypoint: String,
    pub ingress: bool,
    pub own_namespace: bool,
}

/// What istiod takes a port for.
#[derive(Debug, Clone, Deserialize)]
pub struct Port {
    pub namespace: String,
    pub host: String,
    pub number: u16,
    pub protocol: String,
}

fn program() -> PathBuf {
    workspace().join(".tools/istiod/istiod")
}

struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    fn start() -> Self {
        let program = program();
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{}: {error}: run scripts/install-istiod", program.display())
            });
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdin, stdout }
    }

    /// `None` if it died of the question.
    fn ask(&mut self, objects: &[Value]) -> Option<Answer> {
        let question = json!({"name": "", "ingress": INGRESS, "objects": objects});
        writeln!(self.stdin, "{question}").ok()?;
        let mut line = String::new();
        self.stdout.read_line(&mut line).ok()?;
        let mut answer: Answer = serde_json::from_str(&line).ok()?;
        // The filter reads names of hosts in one form.
        let clusters = std::mem::take(&mut answer.clusters).into_iter();
        let normal = |name: String| name.to_lowercase().trim_end_matches('.').to_owned();
        answer.clusters = clusters.map(|(name, cluster)| (normal(name), cluster)).collect();
        Some(answer)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks about many sets of objects. The answers are in their order.
pub fn ask(sets: &[Vec<Value>]) -> Vec<Answer> {
    let next = Mutex::new(sets.iter().enumerate());
    let answers = Mutex::new(vec![Answer::default(); sets.len()]);
    thread::scope(|scope| {
        for _ in 0..PROCESSES.min(sets.len()) {
            scope.spawn(|| {
                let mut process = Process::start();
                loop {
                    let Some((at, objects)) = next.lock().unwrap().next() else { return };
                    let answer = process.ask(objects).unwrap_or_else(|| {
                        process = Process::start();
                        Answer { error: "istiod died; see above".to_owned(), ..Answer::default() }
                    });
                    answers.lock().unwrap()[at] = answer;
                }
            });
        }
    });
    answers.into_inner().unwrap()
}
