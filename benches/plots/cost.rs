//! The cost of a call, in times the floor: a group of bars for each workload, a panel for
//! one thread and one for two.

use super::style::{GRID, INK, centred, colour, font, in_order, legend, machine, short, title};
use super::{Area, Drawn};
use crate::report::{Report, Speed};
use plotters::prelude::*;

pub(crate) fn draw(report: &Report, area: &Area<'_>) -> Drawn {
    let shown = |speed: &&Speed| {
        !["floor", "floor again"].contains(&&*speed.contender) && !speed.contender.contains(',')
            || speed.contender == "RwLock, Prometheus"
    };
    let names = in_order(report.speed.iter().filter(shown).map(|speed| &speed.contender));
    let workloads = in_order(report.speed.iter().map(|speed| &speed.workload));
    let about = format!(
        "times the floor, logarithmic; less is better; {}",
        machine(&report.machine, report.quick)
    );
    let area = title(area, "What a call costs", &about)?;
    let (panels, key) = area.split_vertically(area.dim_in_pixel().1 - 56);
    legend(&key, &names, 5)?;

    let mut threads: Vec<u64> = report.speed.iter().map(|speed| speed.threads).collect();
    threads.dedup();
    threads.sort_unstable();
    threads.dedup();
    threads.truncate(2);
    let most = report.speed.iter().map(|speed| speed.times_the_floor).fold(10.0, f64::max) * 2.0;
    for (panel, threads) in panels.split_evenly((threads.len(), 1)).iter().zip(threads) {
        let mut chart = ChartBuilder::on(panel)
            .margin(12)
            .caption(format!("{threads} thread{}", if threads == 1 { "" } else { "s" }), font(17))
            .y_label_area_size(52)
            .x_label_area_size(26)
            .build_cartesian_2d(0.0..workloads.len() as f64, (0.7..most).log_scale())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .x_labels(0)
            .y_label_formatter(&short)
            .y_desc("times the floor")
            .label_style(font(13))
            .axis_style(INK)
            .draw()?;
        chart.draw_series(LineSeries::new([(0.0, 1.0), (workloads.len() as f64, 1.0)], INK))?;
        let bar = 0.88 / names.len() as f64;
        for (group, workload) in workloads.iter().enumerate() {
            let found = |name: &String| {
                report.speed.iter().find(|speed| {
                    speed.threads == threads
                        && speed.workload == *workload
                        && speed.contender == *name
                })
            };
            for (i, (name, speed)) in
                names.iter().filter_map(|name| Some((name, found(name)?))).enumerate()
            {
                let left = group as f64 + 0.06 + i as f64 * bar;
                let top = speed.times_the_floor;
                let corners = [(left, 1.0), (left + bar * 0.9, top)];
                chart.draw_series([Rectangle::new(corners, colour(name).filled())])?;
                let label = if top < 9.95 { format!("{top:.1}") } else { format!("{top:.0}") };
                let at = (left + bar * 0.45, top.max(1.0) * 1.17);
                chart.draw_series([Text::new(label, at, centred(9))])?;
            }
            // Below the axis.
            let at = chart.backend_coord(&(group as f64 + 0.5, 0.7));
            let (left, top) = panel.get_base_pixel();
            panel.draw(&Text::new(
                workload.clone(),
                (at.0 - left, at.1 - top + 14),
                centred(14),
            ))?;
        }
    }
    Ok(())
}
