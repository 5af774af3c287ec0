//! How far the reading is, on standard error if that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use source::Progress;

/// Smaller input is read before anyone could look at a bar.
const LARGE: u64 = 8 << 20;

/// Reads, with a bar of bytes or a count of objects until it ends.
pub fn shown<T>(read: impl FnOnce(&dyn Fn(Progress)) -> T) -> T {
    let bar = Bar(ProgressBar::hidden());
    read(&|progress| bar.show(progress))
}

struct Bar(ProgressBar);

impl Bar {
    fn show(&self, progress: Progress) {
        match progress {
            Progress::Files(Some(total)) if total < LARGE => {}
            Progress::Files(Some(total)) => {
                self.0.set_length(total);
                self.draw("reading {bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left");
            }
            Progress::Files(None) => self.draw("reading {spinner} {bytes} {bytes_per_sec}"),
            Progress::Bytes(count) => self.0.inc(count as u64),
            Progress::Cluster => {
                self.0.set_position(0);
                self.draw("listing {msg} {spinner} {pos}");
            }
            Progress::Kind(name) => self.0.set_message(name),
            Progress::Object => self.0.inc(1),
        }
    }

    fn draw(&self, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style);
        }
        self.0.set_draw_target(ProgressDrawTarget::stderr());
        self.0.enable_steady_tick(Duration::from_millis(200));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
