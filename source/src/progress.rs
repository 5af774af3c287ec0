//! How far the reading is, on standard error and only if that is a terminal.

use std::io::{IsTerminal as _, Read, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar by bytes; a counter of bytes where the end is not known.
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// For `total` bytes, `None` if standard input is among the sources.
    pub fn of_bytes(total: Option<u64>) -> Self {
        // Small input is read before anybody could look at a bar.
        if !stderr().is_terminal() || total.is_some_and(|total| total < 8 << 20) {
            return Self(None);
        }
        let (bar, template) = match total {
            Some(total) => (
                ProgressBar::new(total),
                "reading {bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left",
            ),
            None => (ProgressBar::no_length(), "reading {spinner} {bytes} {bytes_per_sec}"),
        };
        Self::drawn(bar, template)
    }

    /// A line that says what the cluster is asked for.
    pub fn of_cluster() -> Self {
        if !stderr().is_terminal() {
            return Self(None);
        }
        Self::drawn(ProgressBar::no_length(), "listing {msg} {spinner} {pos}")
    }

    fn drawn(bar: ProgressBar, template: &str) -> Self {
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(Some(bar))
    }

    /// Counts what is read through it.
    pub fn count<'a, R: Read + 'a>(&self, reader: R) -> Box<dyn Read + 'a> {
        match &self.0 {
            Some(bar) => Box::new(bar.wrap_read(reader)),
            None => Box::new(reader),
        }
    }

    /// Says which kind is listed.
    pub fn kind(&self, name: String) {
        if let Some(bar) = &self.0 {
            bar.set_message(name);
        }
    }

    /// Counts objects.
    pub fn add(&self, count: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(count);
        }
    }

    /// Takes the bar off the screen.
    pub fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
