//! The files behind `-f`: a file as it is named, a folder's manifests in sorted order.

use std::fs;
use std::io::{self, Read, stdin};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use encoding_rs_io::DecodeReaderBytesBuilder;
use ingress_waypoint_file::irregular;

use super::documents;
use super::kinds::Wanted;
use super::open::{is_descriptor, open};
use super::out::Stream;
use super::read::{Progress, Read as Yield, Source, warning};
use yaml::Budget;

/// One file to read.
pub struct Input {
    path: Arc<PathBuf>,
    is_stdin: bool,
    /// Its length, if it has one.
    pub size: Option<u64>,
}

/// The files of all sources, in the order given.
pub fn find(sources: &[Source], sink: &mut dyn FnMut(Yield)) -> anyhow::Result<Vec<Input>> {
    let mut files = Vec::new();
    for source in sources {
        match source {
            Source::Stdin => {
                let path = Arc::new(PathBuf::from("-"));
                files.push(Input { path, is_stdin: true, size: None });
            }
            Source::Path(path) => {
                let before = files.len();
                add(path, true, &mut Vec::new(), &mut files)?;
                if files.len() == before {
                    sink(warning(format!(
                        "{}: no *.yaml, *.yml or *.json in this folder",
                        path.display()
                    )));
                }
            }
            Source::Cluster { .. } => {}
        }
    }
    Ok(files)
}

fn add(
    path: &Path,
    named: bool,
    above: &mut Vec<PathBuf>,
    files: &mut Vec<Input>,
) -> anyhow::Result<()> {
    let cannot_read = || format!("cannot read {}", path.display());
    let metadata = fs::metadata(path).with_context(cannot_read)?;
    if !metadata.is_dir() {
        let is_manifest = path.extension().is_some_and(|extension| {
            ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
        });
        if named || is_manifest {
            if let Some(what) = irregular(metadata.file_type()).filter(|_| !is_descriptor(path)) {
                bail!("cannot read {}: is {what}, not a regular file", path.display());
            }
            // A pipe (`-f <(helm template …)`) has no length.
            let size = metadata.is_file().then_some(metadata.len());
            files.push(Input { path: Arc::new(path.to_owned()), is_stdin: false, size });
        }
        return Ok(());
    }
    // A link to a folder above would never end.
    let real = path.canonicalize().with_context(cannot_read)?;
    if above.contains(&real) {
        return Ok(());
    }
    above.push(real);
    let mut entries = fs::read_dir(path)
        .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>())
        .with_context(cannot_read)?;
    entries.sort();
    for entry in entries {
        // A mounted ConfigMap holds everything twice: in `..data`, and as links into it.
        let is_hidden = entry.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        // A dangling link in a folder is not a manifest.
        if !is_hidden && entry.exists() {
            add(&entry, false, above, files)?;
        }
    }
    above.pop();
    Ok(())
}

impl Input {
    /// Hands its objects to `sink`.
    pub fn read(
        &self,
        progress: &dyn Fn(Progress),
        wanted: Wanted,
        budget: &Budget,
        sink: &mut dyn FnMut(Yield),
    ) -> anyhow::Result<()> {
        let raw: Box<dyn Read> = if self.is_stdin {
            Box::new(stdin().lock())
        } else {
            let file = open(&self.path);
            Box::new(file.with_context(|| format!("cannot read {}", self.path.display()))?)
        };
        // What PowerShell redirects into a file is UTF-16.
        let reader = DecodeReaderBytesBuilder::new()
            .bom_sniffing(true)
            .strip_bom(true)
            .utf8_passthru(true)
            .build(Counted { reader: raw, progress });
        let stream = Stream { path: &self.path, wanted, budget };
        documents::read(reader, stream, sink)
            .with_context(|| format!("cannot read {}", self.path.display()))
    }
}

/// Tells how much is read through it.
struct Counted<'a, R> {
    reader: R,
    progress: &'a dyn Fn(Progress),
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        (self.progress)(Progress::Bytes(read));
        Ok(read)
    }
}
