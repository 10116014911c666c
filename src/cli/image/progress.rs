//! ◇ How far a pull is: bars on a terminal, a line for each layer elsewhere.

use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use super::short;
use crate::cli::format::{self, text};
use crate::cli::output;

const BYTES: &str =
    "{prefix}  [{bar:30}]  {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}";
/// Where nobody said how long it is.
const UNKNOWN: &str = "{prefix}  {binary_bytes}  {binary_bytes_per_sec}";
const LAYERS: &str = "{prefix}  [{bar:30}]  {pos}/{len} layers";

/// Where progress is shown.
#[derive(Debug)]
pub(super) enum Display {
    Bars(Bars),
    Lines,
    Nowhere,
}

/// A bar for all layers, and one for each that is on its way.
#[derive(Debug)]
pub(super) struct Bars {
    screen: MultiProgress,
    all: Option<ProgressBar>,
    layers: BTreeMap<String, ProgressBar>,
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

impl Display {
    pub(super) fn new(quiet: bool) -> Self {
        if quiet {
            Self::Nowhere
        } else if output::is_error_terminal() {
            let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
            Self::Bars(Bars { screen, all: None, layers: BTreeMap::new() })
        } else {
            Self::Lines
        }
    }

    /// A bar for an archive of that length that is being sent; it is seen only on a terminal.
    pub(super) fn sending(&mut self, length: Option<u64>) -> ProgressBar {
        let Self::Bars(bars) = self else { return ProgressBar::hidden() };
        let bar = bars.bar(length).with_prefix("archive     ");
        bars.layers.insert(String::new(), bar.clone());
        bar
    }

    /// Shows an event.
    pub(super) fn show(&mut self, event: &Value) {
        match self {
            Self::Bars(bars) => bars.show(event),
            Self::Lines => line(&event["Layer"]),
            Self::Nowhere => {}
        }
    }

    /// Takes the bars off the terminal.
    pub(super) fn end(&mut self) {
        if let Self::Bars(bars) = self {
            // A screen that is gone needs no clearing.
            bars.screen.clear().unwrap_or_default();
            bars.layers.clear();
        }
    }
}

impl Bars {
    fn bar(&self, length: Option<u64>) -> ProgressBar {
        let bar = self.screen.add(ProgressBar::new(length.unwrap_or(0)));
        bar.set_style(style(if length.is_some() { BYTES } else { UNKNOWN }));
        bar
    }

    fn show(&mut self, event: &Value) {
        if let Some(count) = event["Layers"].as_u64() {
            // An archive that was sent is there now.
            self.layers.clear();
            let all = self.screen.insert(0, ProgressBar::new(count)).with_prefix("image       ");
            all.set_style(style(LAYERS));
            all.tick();
            if let Some(before) = self.all.replace(all) {
                before.finish_and_clear();
            }
        }
        let layer = &event["Layer"];
        let Some(id) = layer["ID"].as_str() else { return };
        if text(layer, "Stage") == "pulling" {
            if !self.layers.contains_key(id) {
                let bar = self.bar(layer["Total"].as_u64()).with_prefix(short(id).to_owned());
                self.layers.insert(id.to_owned(), bar);
            }
            if let Some(bar) = self.layers.get(id) {
                bar.set_position(layer["Bytes"].as_u64().unwrap_or(0));
            }
            return;
        }
        if let Some(bar) = self.layers.remove(id) {
            bar.finish_and_clear();
        }
        if let Some(all) = &self.all {
            all.inc(1);
        }
    }
}

/// A line for a layer that has come, or was there.
fn line(layer: &Value) {
    let id = short(text(layer, "ID"));
    match text(layer, "Stage") {
        "present" => output::note(format!("layer {id}: here already")),
        "done" => {
            let bytes = layer["Bytes"].as_u64().unwrap_or(0);
            output::note(format!("layer {id}: {}", format::bytes(bytes)));
        }
        _ => {}
    }
}
