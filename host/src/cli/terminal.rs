//! Standard output and standard error of placehost itself.
//!
//! Styles are always written; `anstream` takes them out where no terminal would show them or `NO_COLOR` is set.

use std::fmt::{self, Display, Write as _};
use std::io::{ErrorKind, Write as _};

use anstyle::{AnsiColor, Style};

use super::error::CliError;
use super::exit_code::ExitCode;

/// For what is wrong.
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
/// For what may turn out to be wrong.
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
/// For what is right.
pub(crate) const GREEN: Style = AnsiColor::Green.on_default().bold();
/// For what to do next.
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default().bold();

/// A line on stderr.
pub(crate) fn say(line: &dyn Display) {
    // Where even stderr is closed there is nobody to be told.
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

/// What was asked for, on stdout, with a line break at its end.
///
/// # Errors
/// Nobody reads it any more, which is silent, or the system would not write it.
pub(crate) fn answer(text: &dyn Display) -> Result<(), CliError> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| cannot_write(&error))
}

/// Adds a row to a table for people: a name, and what there is of it on one or more lines; nothing if there is nothing.
pub(crate) fn row<T: Display>(text: &mut String, name: &str, values: impl IntoIterator<Item = T>) -> fmt::Result {
    for (index, value) in values.into_iter().enumerate() {
        writeln!(text, "{:<11}{value}", if index == 0 { name } else { "" })?;
    }
    Ok(())
}

/// Rows under a heading, each column as wide as it has to be; nothing where there are none. Begins with a line break.
pub(crate) fn table<const N: usize>(
    f: &mut fmt::Formatter<'_>,
    heading: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> fmt::Result {
    let rows: Vec<[String; N]> = rows.map(|row| row.map(|cell| plain(&cell))).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let all = || [heading.map(str::to_owned)].into_iter().chain(rows.iter().cloned());
    let widths: [usize; N] = std::array::from_fn(|column| all().map(|row| row[column].chars().count()).max().unwrap_or(0));
    for row in all() {
        let cells: String = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  ")).collect();
        write!(f, "\n{}", cells.trim_end())?;
    }
    Ok(())
}

/// What others wrote, without what a terminal would obey.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The error for standard output that takes no more.
pub(crate) fn cannot_write(error: &std::io::Error) -> CliError {
    match error.kind() {
        ErrorKind::BrokenPipe => CliError::silent(ExitCode::CLOSED),
        _ => CliError::new(ExitCode::CANNOT, "cannot write to standard output").cause(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Two(Vec<[String; 2]>);

    impl Display for Two {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            table(f, ["ID", "NAME"], self.0.iter().cloned())
        }
    }

    #[test]
    fn columns_stand_below_each_other() {
        let row = |id: &str, name: &str| [id.to_owned(), name.to_owned()];
        assert_eq!(Two(vec![row("1", ""), row("100", "a\x1b[31mb")]).to_string(), "\nID   NAME\n1\n100  a\u{fffd}[31mb");
        assert_eq!(Two(Vec::new()).to_string(), "");
    }
}
