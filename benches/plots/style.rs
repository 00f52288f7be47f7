//! Shared by the plots: colours, text, legends.

use super::{Area, Drawn};
use crate::report::Machine;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub(crate) const INK: RGBColor = RGBColor(40, 40, 46);
pub(crate) const GRID: RGBColor = RGBColor(226, 226, 230);

/// Each contender keeps its colour in all plots: the floors grey, quell red and drawn
/// boldly.
pub(crate) fn colour(contender: &str) -> RGBColor {
    match contender {
        "floor" => RGBColor(120, 120, 126),
        "counted floor" | "the clock alone" => RGBColor(178, 178, 184),
        "quell" => RGBColor(213, 38, 46),
        "quell, memory_bound()" => RGBColor(240, 150, 150),
        "Mutex<HashMap>" => RGBColor(31, 90, 166),
        "RwLock, Prometheus" => RGBColor(110, 170, 225),
        "dashmap" => RGBColor(14, 124, 96),
        "papaya" => RGBColor(236, 148, 22),
        "scc HashCache" => RGBColor(122, 74, 160),
        "quick_cache" => RGBColor(206, 124, 176),
        "moka" => RGBColor(122, 82, 40),
        "tracing-throttle" => RGBColor(128, 150, 30),
        _ => INK,
    }
}

/// Returns the width of its lines.
pub(crate) fn width(contender: &str) -> u32 {
    if contender == "quell" { 4 } else { 2 }
}

pub(crate) fn font(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

pub(crate) fn centred(size: u32) -> TextStyle<'static> {
    font(size).pos(Pos::new(HPos::Center, VPos::Center))
}

/// Writes a title and, smaller, what it is about; returns what is left below.
pub(crate) fn title<'a>(
    area: &Area<'a>,
    title: &str,
    about: &str,
) -> Result<Area<'a>, Box<dyn std::error::Error>> {
    area.draw(&Text::new(title.to_owned(), (20, 14), font(24)))?;
    area.draw(&Text::new(about.to_owned(), (20, 44), font(14).color(&INK.mix(0.75))))?;
    Ok(area.split_vertically(66).1)
}

/// Returns a line on where and how it was measured.
pub(crate) fn machine(machine: &Machine, quick: bool) -> String {
    let Machine { processors, processor, .. } = machine;
    format!("{processors} x {processor}{}", if quick { ", a quick run" } else { "" })
}

/// Writes names with their colours in rows across the area.
pub(crate) fn legend(area: &Area<'_>, names: &[String], columns: usize) -> Drawn {
    let (across, _) = area.dim_in_pixel();
    let column = across as i32 / columns as i32;
    for (i, name) in names.iter().enumerate() {
        let (x, y) = ((i % columns) as i32 * column + 20, (i / columns) as i32 * 22 + 8);
        area.draw(&Rectangle::new([(x, y), (x + 18, y + 12)], colour(name).filled()))?;
        area.draw(&Text::new(name.clone(), (x + 25, y - 1), font(14)))?;
    }
    Ok(())
}

/// The names in the order of their first appearance.
pub(crate) fn in_order<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in names {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    all
}

/// A label for a logarithmic axis.
pub(crate) fn short(value: &f64) -> String {
    match *value {
        v if v >= 1e6 => format!("{}M", v / 1e6),
        v if v >= 1e3 => format!("{}k", v / 1e3),
        v => format!("{v}"),
    }
}
