//! Throughput by the number of threads: a small panel for each workload.

use super::style::{GRID, INK, colour, font, in_order, legend, machine, short, title, width};
use super::{Area, Drawn};
use crate::report::{Report, Speed};
use plotters::prelude::*;

pub(crate) fn draw(report: &Report, area: &Area<'_>) -> Drawn {
    let shown = |speed: &&Speed| {
        !["floor again", "quell, first(3)", "quell, back_off"].contains(&&*speed.contender)
    };
    let names = in_order(report.speed.iter().filter(shown).map(|speed| &speed.contender));
    let workloads = in_order(report.speed.iter().map(|speed| &speed.workload));
    let about = format!(
        "million calls a second of all threads together, logarithmic; more is better; {}",
        machine(&report.machine, report.quick)
    );
    let area = title(area, "Throughput by threads", &about)?;
    let columns = workloads.len().min(4);
    let panels = area.split_evenly((2, columns));
    for (panel, workload) in panels.iter().zip(&workloads) {
        let cells: Vec<&Speed> =
            report.speed.iter().filter(|speed| speed.workload == *workload).collect();
        let threads = cells.iter().map(|speed| speed.threads as f64).fold(1.0, f64::max);
        let rates = || cells.iter().map(|speed| 1000.0 / speed.nanos);
        let (least, most) = (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max));
        let mut chart = ChartBuilder::on(panel)
            .margin(10)
            .caption(workload, font(17))
            .y_label_area_size(44)
            .x_label_area_size(38)
            .build_cartesian_2d(
                (0.93..threads.max(2.0) * 1.07).log_scale().base(2.0),
                (least * 0.7..most * 1.4).log_scale(),
            )?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .x_labels(5)
            .x_label_formatter(&short)
            .y_label_formatter(&short)
            .x_desc("threads")
            .label_style(font(13))
            .axis_style(INK)
            .draw()?;
        // quell last, on top.
        let mut names = names.clone();
        names.sort_by_key(|name| name == "quell");
        for name in &names {
            let points = || {
                let own = cells.iter().filter(|speed| speed.contender == *name);
                own.map(|speed| (speed.threads as f64, 1000.0 / speed.nanos))
            };
            chart.draw_series(LineSeries::new(points(), colour(name).stroke_width(width(name))))?;
            chart.draw_series(
                points().map(|at| Circle::new(at, width(name) + 1, colour(name).filled())),
            )?;
        }
    }
    // In the panel that is left over, if one is.
    match panels.get(workloads.len()) {
        Some(panel) => legend(&panel.margin(40, 0, 10, 0), &names, 1),
        None => legend(&panels[0].margin(40, 0, 60, 0), &names, 1),
    }
}
