//! Draws what the suite found: `cargo bench --bench plots -- [JSON] [FOLDER]`, from
//! `target/bench/suite.json` to `docs/plots` unless told otherwise.

#[path = "plots/cost.rs"]
mod cost;
#[path = "plots/latency.rs"]
mod latency;
#[path = "plots/memory.rs"]
mod memory;
#[allow(dead_code, reason = "it is the suite that writes it")]
#[path = "common/report.rs"]
mod report;
#[path = "plots/scaling.rs"]
mod scaling;
#[path = "plots/style.rs"]
mod style;

use plotters::prelude::*;
use report::Report;
use std::error::Error;
use std::path::Path;

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), Box<dyn Error>>;

fn main() -> Drawn {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let json = args.next().unwrap_or(report::PATH.into());
    let folder = args.next().unwrap_or("docs/plots".into());
    let report = Report::read(Path::new(&json)).map_err(|error| format!("{json}: {error}"))?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    let draw = |name: &str, size, there: bool, draw: fn(&Report, &Area<'_>) -> Drawn| -> Drawn {
        let path = folder.join(name);
        if !there {
            println!("{} left out: not in {json}", path.display());
            return Ok(());
        }
        let area = SVGBackend::new(&path, size).into_drawing_area();
        area.fill(&WHITE)?;
        draw(&report, &area)?;
        area.present()?;
        println!("{}", path.display());
        Ok(())
    };
    let Report { speed, latency, memory, .. } = &report;
    draw("cost.svg", (1200, 860), !speed.is_empty(), cost::draw)?;
    draw("scaling.svg", (1200, 760), !speed.is_empty(), scaling::draw)?;
    draw("latency.svg", (900, 520), !latency.is_empty(), latency::draw)?;
    draw("memory.svg", (900, 520), !memory.is_empty(), memory::draw)
}
