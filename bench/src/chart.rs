//! The chart that `docs/performance.md` shows: Envoy's CPU a request that each variant adds.

use anyhow::Result;
use svg::Document;
use svg::node::element::{Group, Rectangle, Style, Text, Title};
use testbed::workspace;

use crate::measure::{Cell, Way};
use crate::middle::middle;
use crate::variants::Variant;

const WIDTH: f64 = 760.0;
const LABELS: f64 = 200.0;
/// What is left of the bars for their figures.
const FIGURES: f64 = 110.0;
const HEAD: f64 = 74.0;
const ROW: f64 = 38.0;
const BAR: f64 = 14.0;

const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 15px }
.small { font-size: 12px; fill: #59636e }
.direct { fill: #57a0d3 }
.waypoint { fill: #1b4f72 }";

/// Writes `bench/cpu.svg`: small requests, one worker, 10,000 services.
///
/// # Errors
/// If it cannot be written.
pub fn write(cells: &[Cell], source: &str) -> Result<()> {
    Ok(svg::save(workspace().join("bench/cpu.svg"), &draw(cells, source))?)
}

fn draw(cells: &[Cell], source: &str) -> Document {
    let shown: Vec<_> = cells.iter().filter(|cell| cell.is_shown()).collect();
    let added = |variant: Variant, way: Way| {
        let of = |wanted: Variant| {
            let cell = shown.iter().find(|cell| (cell.variant, cell.way) == (wanted, way));
            cell.map(|cell| cell.cpu.as_slice()).unwrap_or_default()
        };
        let pairs = of(variant).iter().zip(of(Variant::NoFilter));
        middle(&pairs.map(|(with, without)| with - without).collect::<Vec<_>>())
    };
    let variants: Vec<_> = shown
        .iter()
        .filter(|cell| cell.way == Way::Direct && cell.variant != Variant::NoFilter)
        .map(|cell| cell.variant)
        .collect();
    let all = variants.iter().flat_map(|variant| Way::ALL.map(|way| added(*variant, way).median));
    let most = all.fold(1.0, f64::max);
    let scale = (WIDTH - LABELS - FIGURES) / most;

    let height = HEAD + ROW * variants.len() as f64 + 14.0;
    let title = "CPU of Envoy that each adds to a request";
    let mut document = Document::new()
        .set("viewBox", (0, 0, WIDTH, height))
        .set("role", "img")
        .add(Title::new(title))
        .add(Style::new(STYLE))
        .add(Rectangle::new().set("width", WIDTH).set("height", height).set("fill", "#ffffff"))
        .add(text(16.0, 26.0, title, "title"))
        .add(text(16.0, 46.0, source, "small"));
    for (way, x) in Way::ALL.into_iter().zip([16.0, 150.0]) {
        let mark = Rectangle::new().set("x", x).set("y", 56).set("width", 10).set("height", 10);
        document = document.add(mark.set("class", class(way))).add(text(
            x + 15.0,
            65.0,
            way.title(),
            "small",
        ));
    }
    for (row, variant) in variants.iter().enumerate() {
        let top = HEAD + ROW * row as f64;
        let mut group = Group::new().add(text(16.0, top + BAR + 5.0, variant.title(), ""));
        for (bar, way) in Way::ALL.into_iter().enumerate() {
            let (value, y) = (added(*variant, way), top + 2.0 + (BAR + 2.0) * bar as f64);
            let width = (value.median * scale).max(1.0);
            let figure = format!("{:+.1} ± {:.1} µs", value.median, value.spread);
            group = group
                .add(
                    Rectangle::new()
                        .set("x", LABELS)
                        .set("y", y)
                        .set("width", width)
                        .set("height", BAR)
                        .set("class", class(way)),
                )
                .add(text(LABELS + width + 6.0, y + BAR - 3.0, &figure, "small"));
        }
        document = document.add(group);
    }
    document
}

fn class(way: Way) -> &'static str {
    match way {
        Way::Direct => "direct",
        Way::Waypoint => "waypoint",
    }
}

fn text(x: f64, y: f64, content: &str, class: &str) -> Text {
    let text = Text::new(content).set("x", x).set("y", y);
    if class.is_empty() { text } else { text.set("class", class) }
}
