//! How figures are printed, and judged.

/// `12.3`, `1234`, or a dash for what was not measured.
pub(crate) fn show(figure: Option<f64>) -> String {
    match figure {
        Some(figure) if figure >= 100.0 => format!("{figure:.0}"),
        Some(figure) if figure >= 10.0 => format!("{figure:.1}"),
        Some(figure) => format!("{figure:.2}"),
        None => "–".to_owned(),
    }
}

/// `≤ 60 ok` or `≤ 60 over`; the sign says which way is good.
pub(crate) fn judge(sign: char, limit: f64, figure: Option<f64>) -> String {
    let word = match figure {
        None => "not measured",
        Some(figure) if (sign == '≤' && figure <= limit) || (sign == '≥' && figure >= limit) => {
            "ok"
        }
        Some(_) => "**over**",
    };
    format!("{sign} {limit} {word}")
}

/// The names above a table.
pub(crate) fn head(columns: &[&str]) {
    println!("| {} |", columns.join(" | "));
    println!("|{}", " --- |".repeat(columns.len()));
}

pub(crate) fn row(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

/// How busy the machine is: figures of a busy one are worth less than their ratios.
pub(crate) fn load(when: &str) {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap();
    let words: Vec<&str> = text.split(' ').take(3).collect();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("load {when}: {} on {cores} cores", words.join(" "));
}
