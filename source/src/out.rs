//! Where the objects of one document go, and the items that cannot be told yet what they are.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::kinds::Wanted;
use super::read::Read;
use super::tree::{Items, Node, Root};
use super::typed::{self, ListKind};
use mesh::Diagnostic;
use mesh::object::Origin;
use yaml::{Budget, Problem};

/// One file or stream, and what is wanted of it.
#[derive(Clone, Copy)]
pub struct Stream<'a> {
    pub path: &'a Arc<PathBuf>,
    pub wanted: Wanted,
    /// What its aliases may stand for.
    pub budget: &'a Budget,
}

/// One document's way out.
pub struct Out<'a> {
    pub stream: Stream<'a>,
    pub document: usize,
    pub sink: &'a mut dyn FnMut(Read),
    list: Option<ListKind>,
    waiting: Option<BufWriter<File>>,
    failed: Option<io::Error>,
    /// How many items were handed over.
    pub items: usize,
    /// How many items to leave out, since they were handed over before.
    pub skip: usize,
}

impl<'a> Out<'a> {
    pub fn new(stream: Stream<'a>, document: usize, sink: &'a mut dyn FnMut(Read)) -> Self {
        Self { stream, document, sink, list: None, waiting: None, failed: None, items: 0, skip: 0 }
    }

    fn origin(&self, item: Option<usize>) -> Origin {
        Origin::File { path: Arc::clone(self.stream.path), document: self.document, item }
    }

    /// Names something that is not an object.
    pub fn invalid(&mut self, item: Option<usize>, message: String) {
        self.error(item, typed::error(None, message));
    }

    fn error(&mut self, item: Option<usize>, diagnostic: Diagnostic) {
        let origin = self.origin(item);
        (self.sink)(Read::Diagnostic(Some(origin), diagnostic));
    }

    /// The document is read: what it is, and what its list's items are.
    pub fn end(&mut self, root: Root) -> io::Result<()> {
        match root {
            Root::Empty => {}
            Root::NotObject(what) => {
                self.invalid(None, format!("expected a Kubernetes object, found {what}"));
            }
            Root::Object(node) => {
                let origin = self.origin(None);
                typed::read(node, None, self.stream.wanted, &origin, self.sink);
            }
            Root::List(node) => {
                if let Value::Object(outer) = &node.value {
                    self.begin(outer);
                }
                for problem in node.problems {
                    let diagnostic = typed::error(None, problem.message);
                    self.error(None, diagnostic.field(problem.field, None));
                }
            }
        }
        self.release()
    }

    /// A list's kind may stand behind its items (keys sorted), and then they wait: in a file, for
    /// there is no bound to their number.
    fn wait(&mut self, index: usize, node: &Node) -> io::Result<()> {
        let file = match self.waiting.take() {
            Some(file) => file,
            None => BufWriter::new(tempfile::tempfile()?),
        };
        let file = self.waiting.insert(file);
        serde_json::to_writer(&mut *file, &(index, &node.value, &node.problems))?;
        file.write_all(b"\n")
    }

    /// Hands over what waited.
    pub fn release(&mut self) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let Some(waiting) = self.waiting.take() else { return Ok(()) };
        let mut file = waiting.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        let lines = serde_json::Deserializer::from_reader(BufReader::new(file));
        for line in lines.into_iter::<(usize, Value, Vec<Problem>)>() {
            let (index, value, problems) = line?;
            self.hand_over(index, Node { value, problems });
        }
        Ok(())
    }

    fn hand_over(&mut self, index: usize, node: Node) {
        let origin = self.origin(Some(index));
        typed::read(node, self.list.as_ref(), self.stream.wanted, &origin, self.sink);
    }
}

impl Items for Out<'_> {
    fn begin(&mut self, outer: &Map<String, Value>) {
        self.list = ListKind::of(outer).or_else(|| self.list.take());
    }

    fn item(&mut self, index: usize, node: Node) {
        if index < self.skip {
            return;
        }
        self.items = index + 1;
        if self.list.is_none() && node.value.is_object() && !typed::has_kind(&node.value) {
            if let Err(error) = self.wait(index, &node) {
                self.failed.get_or_insert(error);
            }
        } else {
            self.hand_over(index, node);
        }
    }
}
