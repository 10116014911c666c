//! ◇ The only place that prints. Data goes to stdout, all else to stderr.

use std::io::{IsTerminal as _, Write as _};

/// Writes a line of data. A reader that went away ends the output quietly.
pub(super) fn line(text: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.as_ref()).unwrap_or_default();
}

/// Writes data as it is.
pub(super) fn raw(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).unwrap_or_default();
}

/// Writes bytes to stderr as they are (a task's stderr).
pub(super) fn raw_error(bytes: &[u8]) {
    let mut out = std::io::stderr().lock();
    out.write_all(bytes).and_then(|()| out.flush()).unwrap_or_default();
}

/// Writes a line for people.
pub(super) fn note(text: impl AsRef<str>) {
    let mut out = std::io::stderr().lock();
    writeln!(out, "{}", text.as_ref()).unwrap_or_default();
}

/// Whether stdout is a terminal.
pub(super) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether stderr is a terminal.
pub(super) fn is_error_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Columns with at least two spaces between them; the first row is the header. No trailing spaces but those
/// of an empty last column, as Nomad's tables have them.
pub(super) fn table<R: AsRef<[String]>>(rows: &[R]) -> String {
    let columns = rows.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.as_ref().get(column))
            .map(|c| c.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let render = |row: &R| {
        let cells = row.as_ref();
        let last = cells.len().saturating_sub(1);
        let mut text = String::new();
        for (at, cell) in cells.iter().enumerate() {
            text.push_str(cell);
            if at != last {
                let pad = widths[at].saturating_sub(cell.chars().count()) + 2;
                text.extend(std::iter::repeat_n(' ', pad));
            }
        }
        text
    };
    rows.iter().map(render).collect::<Vec<_>>().join("\n")
}

/// Keys and values, the `=` in one column.
pub(super) fn pairs(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    rows.iter().map(|(key, value)| format!("{key:width$} = {value}")).collect::<Vec<_>>().join("\n")
}

/// A row of a table.
pub(super) fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_with_two_spaces_between() {
        let rows = [row(["ID", "Status"]), row(["3f2a9c11", "running"])];
        assert_eq!(table(&rows), "ID        Status\n3f2a9c11  running");
        assert_eq!(pairs(&[("ID", "x".into()), ("Name", "y".into())]), "ID   = x\nName = y");
    }
}
