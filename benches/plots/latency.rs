//! The time of a hot key's call while another thread floods: a line over the quantiles for
//! each contender.

use super::style::{GRID, INK, centred, colour, font, legend, machine, short, title, width};
use super::{Area, Drawn};
use crate::report::{Latency, Report};
use plotters::prelude::*;

const NAMES: [&str; 4] = ["p50", "p99", "p99.9", "p99.99"];

pub(crate) fn draw(report: &Report, area: &Area<'_>) -> Drawn {
    let about = format!(
        "nanoseconds with the clock's own in them, logarithmic; less is better; {}",
        machine(&report.machine, report.quick)
    );
    let area = title(area, "A hot message's call while another thread floods", &about)?;
    let (left, key) = area.split_horizontally(area.dim_in_pixel().0 - 190);
    let names: Vec<String> =
        report.latency.iter().map(|latency| latency.contender.clone()).collect();
    legend(&key.margin(30, 0, 0, 0), &names, 1)?;

    let quantiles = |latency: &Latency| [latency.p50, latency.p99, latency.p99_9, latency.p99_99];
    let all = || report.latency.iter().flat_map(quantiles);
    let (least, most) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    let mut chart = ChartBuilder::on(&left)
        .margin(12)
        .y_label_area_size(58)
        .x_label_area_size(30)
        .build_cartesian_2d(-0.3..3.3, (least * 0.7..most * 1.5).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .x_labels(0)
        .y_label_formatter(&short)
        .y_desc("ns a call")
        .label_style(font(13))
        .axis_style(INK)
        .draw()?;
    for latency in
        report.latency.iter().filter(|latency| latency.contender != "quell").chain(quell(report))
    {
        let (colour, width) = (colour(&latency.contender), width(&latency.contender));
        let points = || quantiles(latency).into_iter().enumerate().map(|(i, ns)| (i as f64, ns));
        chart.draw_series(LineSeries::new(points(), colour.stroke_width(width)))?;
        chart.draw_series(points().map(|at| Circle::new(at, width + 1, colour.filled())))?;
    }
    let (x, y) = left.get_base_pixel();
    for (i, name) in NAMES.into_iter().enumerate() {
        let at = chart.backend_coord(&(i as f64, least * 0.7));
        left.draw(&Text::new(name, (at.0 - x, at.1 - y + 16), centred(14)))?;
    }
    Ok(())
}

/// Drawn last, on top.
fn quell(report: &Report) -> impl Iterator<Item = &Latency> {
    report.latency.iter().filter(|latency| latency.contender == "quell")
}
