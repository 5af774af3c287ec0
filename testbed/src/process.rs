//! A child process with its output in files. It ends with the value.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait;

/// A running process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts it; `name` stands in errors, and its output goes into `folder`.
    pub fn start(name: impl Into<String>, mut command: Command, folder: &Path) -> Result<Self> {
        let [stdout, stderr] = ["stdout", "stderr"].map(|file| folder.join(file));
        command.stdin(Stdio::null());
        command.stdout(File::create(&stdout)?).stderr(File::create(&stderr)?);
        let child =
            command.spawn().with_context(|| format!("cannot run {:?}", command.get_program()))?;
        Ok(Self { name: name.into(), child, stdout, stderr })
    }

    /// Waits until `probe` holds; if the process ends first, the error ends with its log.
    pub async fn until_ready<T, F>(&mut self, mut probe: F) -> Result<T>
    where
        F: AsyncFnMut(&Self) -> Result<Option<T>>,
    {
        let what = format!("{} to be ready", self.name);
        wait::until(&what, async || {
            if let Some(status) = self.exited()? {
                bail!(
                    "{} ended with {status} before it was ready:\n{}",
                    self.name,
                    tail(&self.log())
                );
            }
            probe(self).await
        })
        .await
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The file with its standard output.
    pub fn output_file(&self) -> &Path {
        &self.stdout
    }

    /// Its standard error so far.
    pub fn log(&self) -> String {
        read(&self.stderr)
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Takes its processor away: it keeps its connections, and answers nothing.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Gives it back.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        let what = format!("{} to end", self.name);
        wait::until(&what, async || self.exited()).await
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = Pid::from_raw(self.child.id().try_into()?);
        kill(id, signal).with_context(|| format!("{signal} to {}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error only means that the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the log of {} ends with\n{}", self.name, tail(&self.log()));
        }
    }
}

/// The text of a file, as far as it is there.
pub(crate) fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The last lines; of Envoy's lists of its extensions only the beginning.
pub(crate) fn tail(log: &str) -> String {
    let length = |line: &str| if line.contains("[info]") { 200 } else { usize::MAX };
    let lines: Vec<String> = log.lines().map(|l| l.chars().take(length(l)).collect()).collect();
    lines.get(lines.len().saturating_sub(60)..).unwrap_or_default().join("\n")
}
