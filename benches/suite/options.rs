//! The options of the command line.

use super::common::report;
use super::common::workloads::Workload;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const HELP: &str = "\
cargo bench --bench suite -- [OPTIONS]
  --quick              less of everything: below two minutes
  --rounds N           undisturbed rounds to measure (9; quick: 7)
  --section A,B        speed, latency, flood, memory, clocks, hashes
  --workload A,B       hot1, hot64, zipf, unique, mixed, rollover, bigzipf
  --contender A,B      by parts of their names; the floor always takes part
  --threads A,B        1,2,4,8
  --json FILE          target/bench/suite.json
  --unpinned           leave the choice of processors to the system";

const SECTIONS: [&str; 6] = ["speed", "latency", "flood", "memory", "clocks", "hashes"];

pub(crate) struct Options {
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    pub(crate) workloads: Vec<String>,
    pub(crate) threads: Vec<u64>,
    pub(crate) json: PathBuf,
    pub(crate) unpinned: bool,
    sections: Vec<String>,
    contenders: Vec<String>,
}

impl Options {
    /// Ends the program with what is wrong with them, if anything is.
    pub(crate) fn of_command_line() -> Self {
        Self::parse(std::env::args().skip(1)).unwrap_or_else(|wrong| {
            eprintln!("{wrong}\n\n{HELP}");
            std::process::exit(2);
        })
    }

    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            quick: false,
            rounds: 0,
            workloads: Workload::NAMES.map(Into::into).into(),
            threads: vec![1, 2, 4, 8],
            json: report::PATH.into(),
            unpinned: false,
            sections: SECTIONS.map(Into::into).into(),
            contenders: Vec::new(),
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} takes a value"));
            let list = |value: String| value.split(',').map(Into::into).collect::<Vec<String>>();
            let number = |text: &str| match text.parse() {
                Ok(number @ 1..) => Ok(number),
                _ => Err(format!("{text} is no number to count with")),
            };
            let of = |known: &[&str], list: Vec<String>| match list
                .iter()
                .find(|name| !known.contains(&name.as_str()))
            {
                Some(unknown) => Err(format!("{unknown} is none of {}", known.join(", "))),
                None => Ok(list),
            };
            match arg.as_str() {
                // From cargo.
                "--bench" => {}
                "--quick" => options.quick = true,
                "--unpinned" => options.unpinned = true,
                "--rounds" => options.rounds = number(&value()?)? as usize,
                "--section" => options.sections = of(&SECTIONS, list(value()?))?,
                "--workload" => options.workloads = of(&Workload::NAMES, list(value()?))?,
                "--contender" => options.contenders = list(value()?),
                "--threads" => {
                    options.threads =
                        list(value()?).iter().map(|text| number(text)).collect::<Result<_, _>>()?;
                    // The checks of emissions go from one thread to more.
                    options.threads.sort_unstable();
                    options.threads.dedup();
                }
                "--json" => options.json = value()?.into(),
                _ => return Err(format!("{arg} is not known")),
            }
        }
        if options.rounds == 0 {
            options.rounds = if options.quick { 7 } else { 9 };
        }
        Ok(options)
    }

    /// After so long a workload gets no more rounds than it must have.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(if self.quick { 4 } else { 60 })
    }

    /// Returns whether a contender of that name takes part.
    pub(crate) fn takes(&self, name: &str) -> bool {
        self.contenders.is_empty() || self.contenders.iter().any(|part| name.contains(part))
    }

    pub(crate) fn has(&self, section: &str) -> bool {
        self.sections.iter().any(|name| name == section)
    }
}
