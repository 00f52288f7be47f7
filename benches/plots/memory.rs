//! Bytes of heap a tracked key, by the most entries.

use super::style::{GRID, INK, colour, font, in_order, legend, machine, short, title, width};
use super::{Area, Drawn};
use crate::report::{Memory, Report};
use plotters::prelude::*;

const BOUND: &str = "quell, memory_bound()";

pub(crate) fn draw(report: &Report, area: &Area<'_>) -> Drawn {
    let about = format!(
        "filled with as many keys as there is to be room for, logarithmic; less is better; {}",
        machine(&report.machine, report.quick)
    );
    let area = title(area, "Bytes of heap a tracked key", &about)?;
    let (left, key) = area.split_horizontally(area.dim_in_pixel().0 - 210);
    let mut names = in_order(report.memory.iter().map(|memory| &memory.contender));
    if let Some(at) = names.iter().position(|name| name == "quell") {
        names.insert(at + 1, BOUND.into());
    }
    legend(&key.margin(30, 0, 0, 0), &names, 1)?;

    let sizes = || report.memory.iter().map(|memory| memory.max_entries as f64);
    let (first, last) = (sizes().fold(f64::INFINITY, f64::min), sizes().fold(0.0, f64::max));
    let bytes = |memory: &Memory| memory.bytes as f64 / memory.tracked.max(1) as f64;
    let bound = |memory: &Memory| Some(memory.bound? as f64 / memory.max_entries as f64);
    let all = || report.memory.iter().map(bytes);
    let (least, most) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    let mut chart = ChartBuilder::on(&left)
        .margin(12)
        .y_label_area_size(58)
        .x_label_area_size(42)
        .build_cartesian_2d(
            (first * 0.8..last * 1.25).log_scale().base(4.0),
            (least * 0.8..most * 1.25).log_scale(),
        )?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .y_label_formatter(&short)
        .x_label_formatter(&|entries| entries_label(*entries))
        .x_desc("max_entries")
        .y_desc("bytes a key")
        .label_style(font(13))
        .axis_style(INK)
        .draw()?;
    names.sort_by_key(|name| name == "quell");
    for name in &names {
        let points: Vec<(f64, f64)> = if name == BOUND {
            report
                .memory
                .iter()
                .filter_map(|memory| Some((memory.max_entries as f64, bound(memory)?)))
                .collect()
        } else {
            let own = report.memory.iter().filter(|memory| memory.contender == *name);
            own.map(|memory| (memory.max_entries as f64, bytes(memory))).collect()
        };
        let (colour, width) = (colour(name), width(name));
        chart.draw_series(LineSeries::new(points.clone(), colour.stroke_width(width)))?;
        chart.draw_series(
            points.into_iter().map(|at| Circle::new(at, width + 1, colour.filled())),
        )?;
    }
    Ok(())
}

fn entries_label(entries: f64) -> String {
    match entries {
        n if n >= 1_048_576.0 => format!("{}Mi", n / 1_048_576.0),
        n if n >= 1024.0 => format!("{}Ki", n / 1024.0),
        n => format!("{n}"),
    }
}
