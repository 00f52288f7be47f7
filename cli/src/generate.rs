//! The manual page and shell completions, made from the options.

use crate::args::Args;
use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;
use std::io::{self, Write};

/// The texts that `--generate` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Generate {
    /// The manual page, for man(1)
    Man,
    /// Completions for bash
    Bash,
    /// Completions for zsh
    Zsh,
    /// Completions for fish
    Fish,
}

impl Generate {
    pub(crate) fn print(self, out: &mut impl Write) -> io::Result<()> {
        let mut command = Args::command();
        let shell = match self {
            Self::Man => return clap_mangen::Man::new(command).render(out),
            Self::Bash => Shell::Bash,
            Self::Zsh => Shell::Zsh,
            Self::Fish => Shell::Fish,
        };
        // Into memory first: the generator panics where it cannot write.
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, "quell", &mut script);
        out.write_all(&script)
    }
}
